#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what CONTRIBUTING.md promises of the public headers and a compiler does not see.

 - Parameters: the deadline is the last input, and outputs (ret_x) come after all inputs.
 - No name is both a type and a function, for in C++ such a type needs "struct" before it.
 - weir/weir.h does not include weir/backend.h: programs do not see the backend's structs.
 - Each declaration has a comment that says Thread: and Since:. A comment covers the declarations
   that follow it without an empty line.
 - No line has more than 100 columns, drawings and comments included.
 - A header is at least half prose: as many lines of comment as of code.

Usage: public_surface.py INCLUDE_DIR     check the headers
       public_surface.py --self-test     check that planted violations are found
"""

import os
import re
import sys

LEAST_PROSE = 0.5
COLUMNS = 100
# A list of includes, and parts of structs that users never name.
NO_PROSE = ("weir/weir.h", "weir/sync/wait.h")

COMMENT = re.compile(r"/\*.*?\*/", re.S)
FUNCTION = re.compile(r"^(?:WEIR_API|static inline) [^;{}]*?\b(weir_\w+)\(([^;{}]*?)\)(?= WEIR_|[;\s])",
                      re.M | re.S)
TYPE = re.compile(r"^struct (weir_\w+)(?: \{|;)", re.M)
INCLUDE = re.compile(r'^#include "(weir/[^"]+)"', re.M)
DECLARATIONS = re.compile(r"/\*\*(?P<comment>.*?)\*/\n(?P<code>(?:(?!/\*\*)[^\n]+\n)+)", re.S)


def name_of(parameter):
    """The name in "const char *text", or in "void (*drop)(void *arg)"."""
    found = re.search(r"\(\*(\w+)\)", parameter) or re.search(r"(\w+)(?:\[\w*\])?\s*$", parameter)
    return found.group(1) if found else ""


def parameters_of(text):
    """Split at the commas that are not inside parentheses."""
    depth, parts = 0, [""]
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [name_of(part) for part in parts]


def bad_order(names):
    inputs = [name for name in names if not name.startswith("ret_")]
    if names != inputs + names[len(inputs):]:
        return "an output stands before an input"
    if "deadline" in inputs[:-1]:
        return "the deadline is not the last input"
    return None


def prose_of(text):
    """The share of comment lines. A comment behind code on its line counts as code."""
    comment, code, inside = 0, 0, False
    for line in text.split("\n"):
        begins = line.lstrip().startswith("/*")
        if line.strip() and (inside or begins):
            comment += 1
        elif line.strip():
            code += 1
        if inside or "/*" in line:
            inside = "*/" not in line
    return comment / max(comment + code, 1)


def check_file(path, text):
    code = COMMENT.sub("", text)
    functions = FUNCTION.findall(code)
    for name, parameters in functions:
        wrong = bad_order(parameters_of(parameters))
        if wrong:
            yield f"{path}: {name}: {wrong}"
    if path not in NO_PROSE and prose_of(text) < LEAST_PROSE:
        yield f"{path}: {prose_of(text):.0%} of its lines are comments, expected {LEAST_PROSE:.0%}"
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.expandtabs(8)) > COLUMNS:
            yield f"{path}:{number}: {len(line.expandtabs(8))} columns, expected at most {COLUMNS}"
    described = set()
    for match in DECLARATIONS.finditer(text):
        names = [name for name, _ in FUNCTION.findall(COMMENT.sub("", match.group("code")))]
        described.update(names)
        for word in ("Thread:", "Since:"):
            if names and word not in match.group("comment"):
                yield f"{path}: {names[0]}: its comment does not say {word}"
    for name, _ in functions:
        if name not in described:
            yield f"{path}: {name}: no comment"


def reached(headers, path, seen):
    if path not in seen:
        seen.add(path)
        for included in INCLUDE.findall(headers.get(path, "")):
            reached(headers, included, seen)
    return seen


def check(headers):
    """headers: path -> text."""
    for path, text in sorted(headers.items()):
        yield from check_file(path, text)
    everything = COMMENT.sub("", "\n".join(headers.values()))
    for name in sorted(set(TYPE.findall(everything)) & {name for name, _ in FUNCTION.findall(everything)}):
        yield f"{name} is a type and a function"
    if "weir/backend.h" in reached(headers, "weir/weir.h", set()):
        yield "weir/weir.h includes weir/backend.h"


PLANTED = """
/** Thread: [any]. Since: 0.1 */
WEIR_API int weir_x_get(struct weir_x *x, uint64_t deadline, int *ret_value) WEIR_MUST_CHECK;
/** Thread: [any]. Since: 0.1 */
WEIR_API void weir_x_set(struct weir_x *x,
			 void (*drop)(void *arg), int value);
WEIR_API int weir_x_twice(struct weir_x *x);
"""


def self_test():
    """Each change of the planted header is found; the header itself is good."""
    changes = [("uint64_t deadline, int *ret_value", "int *ret_value, uint64_t deadline"),
               ("uint64_t deadline, int *ret_value", "uint64_t deadline, int value"),
               ("Thread: [any]. Since: 0.1 */\nWEIR_API void", "*/\nWEIR_API void"),
               ("weir_x_twice", "weir_x"),
               ("WEIR_API int weir_x_twice", "\nWEIR_API int weir_x_twice"),
               ("WEIR_API int weir_x_twice", "int a;\n" * 20 + "WEIR_API int weir_x_twice"),
               ("/** Thread", "/** " + "x" * COLUMNS + " Thread"),
               ("\n/**", '\n#include "weir/backend.h"\n/**')]
    planted = "struct weir_x;\n" + PLANTED + "/*\n *\n *\n *\n */\n"
    headers = {"weir/weir.h": '#include "weir/x.h"\n', "weir/x.h": planted, "weir/backend.h": "/* */"}
    failed = list(check(headers))
    for old, new in changes:
        assert old in planted, old
        if not list(check({**headers, "weir/x.h": planted.replace(old, new, 1)})):
            failed.append(f"not found: {new!r}")
    return failed


def main(argv):
    if argv == ["--self-test"]:
        wrong = self_test()
    else:
        headers = {}
        for folder, _, names in os.walk(argv[0]):
            for name in names:
                if name.endswith(".h"):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as handle:
                        headers[os.path.relpath(path, argv[0])] = handle.read()
        wrong = list(check(headers)) if headers else ["no headers there"]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

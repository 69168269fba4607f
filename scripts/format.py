#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks or restores the formatting that .clang-format describes, with exceptions.

clang-format cannot keep trailing comments aligned with tabs, one-line initialisers
in macros, or assembly with one instruction per line, and it joins lines that were
broken early for legibility. Therefore this script ignores blanks before a comment or
a backslash, leaves macro definitions and assembly alone, and accepts a statement
that only breaks its lines elsewhere, or more often. Without clang-format it exits
with 77, which means skipped.

Usage: format.py --check | --fix [FILE...]
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ["include", "core", "topo", "sched", "stack", "backends", "net", "os", "sync", "tools",
           "examples", "bench", "tests"]
SKIPPED = ("bench/peers/",)
BLANKS = re.compile(r"[ \t]+(/\*|\\$)")
POINTER_TO_MACRO = re.compile(r"\) \* (?=\w)")     # clang-format sees a product in WEIR_ATOMIC(T) *x


def sources():
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(ROOT, top))):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                if name.endswith((".c", ".h", ".cc")) and not path.startswith(SKIPPED):
                    yield path


def same_as(line):
    return POINTER_TO_MACRO.sub(") *", BLANKS.sub(r" \1", line.rstrip("\n")))


def left_alone(lines):
    """Returns the numbers of the lines that belong to a #define or to assembly."""
    inside, found = None, set()
    for number, line in enumerate(lines):
        if inside is None and re.match(r"\s*#\s*define\b", line):
            inside = lambda l: l.rstrip().endswith("\\")
        elif inside is None and re.match(r"\s*__asm__\b.*[^;]$", line.rstrip()):
            inside = lambda l: not l.rstrip().endswith(");")
        if inside is not None:
            found.add(number)
            inside = inside if inside(line) else None
    return found


def broken_otherwise(old, new):
    """Whether only line breaks differ, old has as many or more of them, and no brace moves."""
    def joined(lines):
        return re.sub(r"(?<=[({]) | (?=[)}])", "", " ".join(" ".join(lines).split()))

    def braces(lines):
        return [(l.strip()[0], l.strip()[-1]) for l in lines
                if l.strip() and (l.strip()[0] in "{}" or l.strip()[-1] in "{}")]
    return len(old) >= max(len(new), 2) and joined(old) == joined(new) and \
        braces(old) == braces(new) and max(len(l.expandtabs(8)) for l in old) <= 101


def formatted(paths):
    """Yields (text, formatted text) of each file. One call for all: starting clang-format is slow."""
    answer = subprocess.run(["clang-format", "--style=file", "--output-replacements-xml", *paths],
                            cwd=ROOT, check=True, capture_output=True).stdout
    documents = answer.split(b"<?xml version='1.0'?>\n")[1:]
    assert len(documents) == len(paths)
    for path, document in zip(paths, documents):
        with open(os.path.join(ROOT, path), "rb") as handle:
            old = handle.read()
        new, end = [], 0
        for change in ElementTree.fromstring(document).iter("replacement"):
            at = int(change.get("offset"))
            new += [old[end:at], (change.text or "").encode()]
            end = at + int(change.get("length"))
        yield old.decode(), b"".join(new + [old[end:]]).decode()


def reformat(old, new):
    """Returns the lines of the file as they are and as they should be."""
    old, new = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if old == new:
        return old, new
    alone, out = left_alone(old), []
    matcher = difflib.SequenceMatcher(None, [same_as(l) for l in old], [same_as(l) for l in new],
                                      autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        keep = tag == "equal" or any(i in alone for i in range(max(i1 - 1, 0), i2 + 1)) or \
            broken_otherwise(old[i1:i2], new[j1:j2])
        out += old[i1:i2] if keep else new[j1:j2]
    return old, out


def main(argv):
    if not argv or argv[0] not in ("--check", "--fix"):
        sys.exit(__doc__)
    if not shutil.which("clang-format"):
        print("clang-format not found (package clang-format)")
        return 77
    wrong = 0
    paths = argv[1:] or list(sources())
    for path, texts in zip(paths, formatted(paths)):
        old, new = reformat(*texts)
        if old == new:
            continue
        wrong += 1
        if argv[0] == "--fix":
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as handle:
                handle.writelines(new)
            print("formatted", path)
        else:
            sys.stdout.writelines(difflib.unified_diff(old, new, path, path + " (formatted)", n=1))
    return 1 if wrong and argv[0] == "--check" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

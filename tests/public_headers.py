#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles each public header alone, twice over, as C11 and as C++17, warnings as errors.

Usage: public_headers.py INCLUDE_DIR --c COMPILER... [--cpp COMPILER...]
"""

import os
import subprocess
import sys

WARN = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compile_alone(command, standard, language, include_dir, header):
    text = f'#include "{header}"\n' * 2
    if language == "c":
        text += "extern int weir_headers_not_empty;\n"
    run = subprocess.run(command + ["-std=" + standard, *WARN, "-I", include_dir, "-x", language, "-"],
                         input=text, capture_output=True, text=True, check=False)
    return run.returncode == 0, run.stderr


def main(argv):
    include_dir, rest = argv[0], argv[1:]
    cut = rest.index("--cpp") if "--cpp" in rest else len(rest)
    languages = [("c11", "c", rest[1:cut])]
    if cut < len(rest):
        languages.append(("c++17", "c++", rest[cut + 1:]))
    headers = sorted(os.path.relpath(os.path.join(folder, name), include_dir)
                     for folder, _, names in os.walk(include_dir)
                     for name in names if name.endswith(".h"))
    failed = number = 0
    print(f"1..{len(headers) * len(languages)}")
    for header in headers:
        for standard, language, command in languages:
            number += 1
            passed, complaint = compile_alone(command, standard, language, include_dir, header)
            failed += not passed
            print(f"{'ok' if passed else 'not ok'} {number} - {header} as {standard}")
            for line in complaint.splitlines():
                print("# " + line)
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails if tests/README.md names a test that does not exist: it was renamed or removed.

Every word in backquotes that has an underscore is the name of a case or of a program. A program is
named after its folder and file (api_misuse is tests/api/misuse.c) or after its file alone.

Usage: fault_table.py ROOT
"""

import os
import re
import sys

SOURCE = (".c", ".cpp", ".py", ".sh")
QUOTED = re.compile(r"`([a-z0-9]+_[a-z0-9_]+)`")
WORD = re.compile(r"\w+")


def names_of_tests(tests):
    """The words of every source file, and the names of its program."""
    names = set()
    for folder, _, files in os.walk(tests):
        for name in files:
            stem, extension = os.path.splitext(name)
            if extension in SOURCE:
                names |= {stem, f"{os.path.basename(folder)}_{stem}"}
                with open(os.path.join(folder, name), encoding="utf-8") as handle:
                    names |= {word.removeprefix("test_") for word in WORD.findall(handle.read())}
            elif name == "meson.build":
                with open(os.path.join(folder, name), encoding="utf-8") as handle:
                    names |= set(WORD.findall(handle.read()))
    return names


def main():
    tests = os.path.join(sys.argv[1], "tests")
    with open(os.path.join(tests, "README.md"), encoding="utf-8") as handle:
        named = QUOTED.findall(handle.read())
    known = names_of_tests(tests)
    unknown = [name for name in named if name not in known]
    for name in unknown:
        print(f"tests/README.md: no test is named {name}")
    return 1 if unknown or not named else 0


if __name__ == "__main__":
    sys.exit(main())

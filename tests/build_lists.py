#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails if a source file is in no meson.build: it would be neither built nor run.

A file is listed if its name, with or without the extension, stands in quotes in a
meson.build of its folder or of a folder above.

Usage: build_lists.py ROOT
"""

import os
import re
import sys

COMMENT = re.compile(r"#.*")
NAMED = re.compile(r"'([^'\n]*)'")
SOURCE = (".c", ".cc", ".cpp", ".S")
# Folders that have a Makefile of their own.
ELSEWHERE = ("bench/peers/",)


def names_in(root, folder):
    """All names quoted in the meson.build of the folder and above it, relative to the folder."""
    names = set()
    while True:
        path = os.path.join(root, folder, "meson.build")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as handle:
                names |= {os.path.normpath(os.path.join(folder, n))
                          for n in NAMED.findall(COMMENT.sub("", handle.read()))}
        if not folder:
            return names
        folder = os.path.dirname(folder)


def main(root):
    missing = files = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "build", "out"))]
        here = os.path.relpath(folder, root).replace(".", "", 1) if folder == root \
            else os.path.relpath(folder, root)
        listed = None
        for name in sorted(names):
            path = os.path.join(here, name)
            if not name.endswith(SOURCE) or path.startswith(ELSEWHERE):
                continue
            files += 1
            listed = listed or names_in(root, here)
            if path not in listed and os.path.splitext(path)[0] not in listed:
                missing += 1
                print(f"{path}: in no meson.build")
    print(f"{files} files, {missing} not built")
    return 1 if missing or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

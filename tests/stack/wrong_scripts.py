#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the scripts of scripts/wrong. Each must fail with the message (a pattern) that its comment
states. Also checks that every group of scripts is a test.

Usage: wrong_scripts.py SCRIPTS EXECUTABLE GROUP...
"""

import os
import re
import shlex
import subprocess
import sys

SAYS = re.compile(r"^# says: (.*)$", re.M)
OTHERS = {"setup", "wrong"}


def messages(tap):
    """Returns name -> the comment lines of each test that failed; None for one that passed."""
    found, name = {}, None
    for line in tap.splitlines():
        match = re.match(r"(not )?ok \d+ - (\S+)", line)
        if match:
            name = match[2]
            found[name] = "" if match[1] else None
        elif line.startswith("#") and name and found[name] is not None:
            found[name] += line + "\n"
    return found


def check(folder, found, file):
    with open(os.path.join(folder, file), encoding="utf-8") as handle:
        says = SAYS.search(handle.read())
    message = found.get("wrong/" + file[:-len(".tcp")], "")
    if not says:
        return f"{file}: no \"# says:\""
    if message is None:
        return f"{file}: it passed"
    if not re.search(says[1], message):
        return f"{file}: \"{says[1]}\" is not in:\n{message}"
    return None


def main(scripts, executable, groups):
    folder = os.path.join(scripts, "wrong")
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
    run = subprocess.run(wrapper + [executable, "--group", "wrong"], capture_output=True,
                         text=True, check=False)
    found = messages(run.stdout)
    files = sorted(os.listdir(folder))
    wrong = [text for text in (check(folder, found, file) for file in files) if text]
    there = {entry.name for entry in os.scandir(scripts) if entry.is_dir()} - OTHERS
    wrong += [f"{group}: in tests/stack/meson.build or a folder, not both"
              for group in sorted(there ^ set(groups))]
    for text in wrong:
        print(text)
    print(f"{len(files)} wrong scripts, {len(wrong)} failures")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

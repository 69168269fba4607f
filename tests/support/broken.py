#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the broken tests (broken.c) and checks that each ends as its name says.

Usage: broken.py EXECUTABLE
"""

import os
import re
import shlex
import subprocess
import sys

# name -> a pattern that the message must match; None if the test must pass
EXPECTED = {
    "passes": None,
    "passes_each_round/0": None,
    "passes_each_round/1": None,
    "passes_each_round/2": None,
    "fails_an_assert": r"broken\.c:\d+: Assertion '1 == 2' failed",
    "fails_in_another_thread": r"in another thread",
    "crashes": r".",
    "exits_early": r"ended itself before the test was over",
    "leaks_a_file": r"1 files.*file \d+: /dev/null",
    # The second alternative is the outcome under AddressSanitizer, which has its own leak check.
    "leaks_heap": r"1 heap blocks.*1234 bytes from|return value 1\b",
    "leaks_a_thread": r"left behind: 1 threads",
    "hangs": r"124",
    "skips_itself": "SKIP nothing to see in round 0",
    "fails_in_its_teardown": r"torn down",
}


def results(tap):
    """Returns name -> (ok, the rest of the test's line and its comment lines)."""
    found, name = {}, None
    for line in tap.splitlines():
        match = re.match(r"(not )?ok \d+ - (\S+)(.*)", line)
        if match:
            name = match[2]
            found[name] = (not match[1], match[3])
        elif line.startswith("#") and name:
            found[name] = (found[name][0], found[name][1] + line)
    return found


def selection(command):
    """Several names run these cases, and no others; a name that no case has is an error."""
    two = subprocess.run(command + ["passes", "passes_each_round"], capture_output=True, text=True,
                         check=False)
    wrong = [] if two.returncode == 0 and len(results(two.stdout)) == 4 else [two.stdout]
    one = subprocess.run(command + ["passes", "nothing"], capture_output=True, text=True, check=False)
    return wrong + ([] if one.returncode == 99 and "nothing" in one.stderr else [one.stderr])


def main():
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
    run = subprocess.run(wrapper + sys.argv[1:], capture_output=True, text=True, check=False,
                         env=dict(os.environ, WEIR_TEST_SCALE="1"))
    found = results(run.stdout)
    wrong = []
    if run.returncode != 1:
        wrong.append(f"exit status {run.returncode}, expected 1")
    if found.keys() != EXPECTED.keys():
        wrong.append(f"missing or unexpected tests: {found.keys() ^ EXPECTED.keys()}")
    for name, (passed, text) in found.items():
        pattern = EXPECTED.get(name)
        want_pass = pattern is None or pattern.startswith("SKIP")
        if passed != want_pass or (pattern and not re.search(pattern, text)):
            wrong.append(f"{name}: {'ok' if passed else 'not ok'} {text}")
    wrong += selection(wrapper + sys.argv[1:])
    if "pause" not in run.stderr and not wrapper:
        wrong.append("the watchdog's stacks do not show pause(), in which the test hangs")
    if wrong:
        print("\n".join(wrong), "\n---- stdout\n", run.stdout, "\n---- stderr\n", run.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

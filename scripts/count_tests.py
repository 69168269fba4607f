#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up meson's test logs: "N passed, N failed, N skipped".

Of a TAP program each line counts as a test; any other program counts as one test.
A program that failed without a failed line, because it crashed or hung, counts as
one failure. So does a missing log, because its suite did not run. The failed ones
are named, and make the exit status 1.

Usage: count_tests.py LOG...   (glob patterns; each must match a testlog*.json)
"""

import glob
import json
import re
import sys

TAP = re.compile(r"^(not )?ok \d+(.*)$", re.M)
GOOD = {"OK", "EXPECTEDFAIL"}


def count_one(test):
    """Returns (passed, failed, skipped) for one entry of the log."""
    if test["result"] == "SKIP" and not TAP.search(test.get("stdout", "")):
        return 0, 0, 1
    lines = TAP.findall(test.get("stdout", "")) if "1.." in test.get("stdout", "") else []
    skipped = sum("# SKIP" in rest for _, rest in lines)
    failed = sum(bool(no) for no, _ in lines)
    passed = len(lines) - failed - skipped
    good = test["result"] in GOOD | {"SKIP"}
    if not lines:
        return int(good), int(not good), 0
    return passed, failed + int(not good and failed == 0), skipped


def count_log(path):
    totals = [0, 0, 0]
    with open(path, encoding="utf-8") as handle:
        for test in map(json.loads, handle):
            counts = count_one(test)
            totals = [a + b for a, b in zip(totals, counts)]
            if counts[1]:
                print(f"failed: {path}: {test['name']} ({test['result']})")
    return totals


def main(patterns):
    totals = [0, 0, 0]
    for pattern in patterns:
        logs = sorted(glob.glob(pattern))
        if not logs:
            print(f"failed: {pattern}: no such log; its suite did not run")
            totals[1] += 1
        for path in logs:
            totals = [a + b for a, b in zip(totals, count_log(path))]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

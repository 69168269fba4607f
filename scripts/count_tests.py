#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums meson's test logs: "N passed, N failed, N skipped".

A TAP program counts by its lines, anything else as one. A program that failed
without a failed line (it crashed, or hung) counts as one failure, and so does a
log that is not there: its suite did not get as far as running. Says which failed;
exits 1 if any did.

Usage: count_tests.py LOG...   (patterns, each of which must fit a testlog*.json)
"""

import glob
import json
import re
import sys

TAP = re.compile(r"^(not )?ok \d+(.*)$", re.M)
GOOD = {"OK", "EXPECTEDFAIL"}


def count_one(test):
    """(passed, failed, skipped) of one entry of the log."""
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
            print(f"failed: {pattern}: there is no such log, its suite did not run")
            totals[1] += 1
        for path in logs:
            totals = [a + b for a, b in zip(totals, count_log(path))]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

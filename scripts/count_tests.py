#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums the meson test logs of all build folders: "N passed, N failed, N skipped".

A TAP program counts by its lines, anything else as one. A program that failed
without a failed line (it crashed, or hung) counts as one failure. Says which
failed; exits 1 if any did, or if nothing ran.

Usage: count_tests.py BUILD_FOLDER...
"""

import glob
import json
import os
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


def main(folders):
    totals = [0, 0, 0]
    for folder in folders:
        for log in sorted(glob.glob(os.path.join(folder, "meson-logs", "testlog*.json"))):
            with open(log, encoding="utf-8") as handle:
                for test in map(json.loads, handle):
                    counts = count_one(test)
                    totals = [a + b for a, b in zip(totals, counts)]
                    if counts[1]:
                        print(f"failed: {folder}: {test['name']} ({test['result']})")
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

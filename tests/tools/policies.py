#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""If the proxy warns that it cannot do something, bench/policies.py --load ends with that warning
instead of a figure. The load and the echo are fakes: nothing is measured.

Usage: policies.py WEIR [TEST...]
"""

import os
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import check

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "policies.py")
FOLDER = tempfile.mkdtemp(prefix="weir-policies-")
ECHO = """import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    server.accept()[0].close()
"""
LOAD = """print('{"cpu_us": 2.0}')
"""


def put(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!{sys.executable}\n{text}")
    os.chmod(path, 0o755)
    return path


def policies(setting, env=None):
    put("epoll-echo", ECHO)
    command = [sys.executable, SCRIPT, harness.WEIR, "--load", put("load", LOAD), "--rounds", "1",
               "--workers", "1", "--only", setting]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=2 * harness.PATIENCE, env={**os.environ, **(env or {})}, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_table():
    code, out, err = policies("default")
    check(code == 0 and err == "", code, err)
    check(out.split("\n")[2] == "| default | " + " | ".join(["1.00 (1.00-1.00)"] * 3) + " |", out)


def test_an_option_that_does_nothing_ends_the_run():
    code, out, err = policies("groups, bind cpu, steer")
    check(code == 1 and "groups, bind cpu, steer |" not in out, code, out)
    check("weir proxy: --steer has no effect: there is only one shard" in err, err)
    check("proxy tcp://" in err and " --steer" in err, "which proxy:", err)


def test_a_proxy_that_does_not_start_says_why():
    code, _, err = policies("default", env={"WEIR_BACKEND": "foo"})
    check(code == 1 and "does not answer" in err and "unknown backend 'foo'" in err, code, err)


if __name__ == "__main__":
    try:
        sys.exit(harness.main(globals()))
    finally:
        shutil.rmtree(FOLDER)

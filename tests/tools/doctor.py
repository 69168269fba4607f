#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir doctor on this machine, also with seccomp filters, low limits and a single CPU.
tests/unit/tools_doctor*.c test what it says about described machines.

Usage: doctor.py WEIR [TEST...]
"""

import ctypes
import errno
import json
import os
import re
import resource
import struct
import subprocess
import sys

import harness
from harness import Skip, check, run_weir
from usage import reachable, refused

LEVELS = ("pass", "info", "warn", "fail")
GROUPS = ["kernel", "backends", "io_uring", "runtime", "cpu", "memory", "numa", "limits", "sockets",
          "network cards", "clocks"]
LINE = re.compile(r"(PASS|INFO|WARN|FAIL)  ([a-z_]+\.[a-z0-9_]+(?:\.[\w.-]+)?) {2,}(\S.*)")
IO_URING_SETUP = 425


def examined(*arguments, **options):
    """Returns the findings by id and the exit code, which must match them."""
    code, out, err = run_weir("doctor", "--json", *arguments, **options)
    check(err == "", "stderr:", err)
    report = json.loads(out)
    findings = {f["id"]: f for f in report["checks"]}
    check(len(findings) == len(report["checks"]), "an id is there twice")
    counts = {level: sum(f["level"] == level for f in findings.values()) for level in LEVELS}
    check(report["counts"] == counts, report["counts"], counts)
    check(code == (1 if counts["fail"] else 0), "exit code", code, counts)
    return findings


def deny(call, error):
    """Returns a preexec_fn that makes a system call fail with an error, in all children too."""
    def statement(code, jump_true, jump_false, value):
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    def install():
        code = (statement(0x20, 0, 0, 0) +              # load the call's number
                statement(0x15, 0, 1, call) +           # equal: on, else: skip one
                statement(0x06, 0, 0, 0x00050000 | error) +
                statement(0x06, 0, 0, 0x7fff0000))      # allowed
        program = ctypes.create_string_buffer(code, len(code))
        filters = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
            os._exit(99)
    return install


def test_lines():
    code, out, err = run_weir("doctor")
    check(err == "" and code in (0, 1), code, err)
    blocks = out.rstrip("\n").split("\n\n")
    check(re.fullmatch(r"weir [0-9.]+ doctor, for proxy", blocks[0]), blocks[0])
    check([b.split("\n")[0] for b in blocks[1:-1]] == GROUPS, blocks)
    lines = [line for block in blocks[1:-1] for line in block.split("\n")[1:]
             if not line.startswith(" " * 30)]      # continued lines, and commands
    for line in lines:
        check(LINE.fullmatch(line), "not a line of a check:", repr(line))
    counts = [sum(line.startswith(level) for line in lines)
              for level in ("PASS", "INFO", "WARN", "FAIL")]
    check(blocks[-1] == "{} checks: {} PASS, {} INFO, {} WARN, {} FAIL".format(len(lines), *counts),
          blocks[-1])
    check(code == (1 if counts[3] else 0), code, counts)


def test_json_says_the_same():
    _, out, _ = run_weir("doctor")
    findings = examined()
    ids = [match[2] for match in map(LINE.fullmatch, out.split("\n")) if match]
    check(ids == list(findings), ids, list(findings))
    check({f["group"] for f in findings.values()} == set(GROUPS), "groups")
    for finding in findings.values():
        check(set(finding) == {"level", "group", "id", "found", "advice", "fix"}, finding)
        check(finding["level"] in LEVELS and finding["found"], finding)
    check(os.uname().release in findings["kernel.version"]["found"], findings["kernel.version"])


def test_the_header_of_a_build_with_io_uring():
    findings = examined()
    backend = findings.get("backend.io_uring")
    absent = not backend or "not in this build" in backend["found"]
    found = findings["uring.liburing"]["found"]
    check(found.startswith("header of this build none") == absent, found, backend)


def test_script_is_only_printed():
    def limits():
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))

    findings = examined(preexec_fn=limits)
    code, out, _ = run_weir("doctor", "--fix-script", preexec_fn=limits)
    check(code == 1, code)
    done = subprocess.run(["sh", "-n"], input=out, text=True, capture_output=True, check=False)
    check(done.returncode == 0 and out.startswith("#!/bin/sh\n"), done.stderr, out)
    commands = [line for line in out.split("\n") if line and not line.startswith("#")]
    wanted = [f["fix"] for f in findings.values() if f["level"] in ("warn", "fail") and f["fix"]]
    check(commands == wanted, commands, wanted)
    check(any("prlimit" in command and "--nofile" in command for command in commands), commands)
    check(resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 600, "limits of this process")


def test_usage():
    refused(["doctor", "--wat"], "weir doctor: --wat", "--for, --json, --fix-script")
    refused(["doctor", "--jsn"], "did you mean --json?")
    refused(["doctor", "--for", "dpdk"], "--for 'dpdk'", "proxy or bench")
    refused(["doctor", "--for"], "expected USE")
    refused(["doctor", "now"], "'now'", "no argument")
    refused(["doctor", "--json", "--fix-script"], "--json and --fix-script")
    code, out, err = run_weir("doctor", "--help")
    check(code == 0 and out.startswith("usage: weir doctor") and err == "", code, out, err)


def test_use_chooses_severity():
    def limits():
        resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))

    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 10000:
        raise Skip("the hard limit of descriptors is below 10,000")
    check(examined("--for", "proxy", preexec_fn=limits)["limits.nofile"]["level"] == "warn")
    check(examined("--for=bench", preexec_fn=limits)["limits.nofile"]["level"] == "pass")


def filtered(error, word):
    findings = examined(preexec_fn=deny(IO_URING_SETUP, error))
    setup = findings["uring.setup"]
    check(setup["level"] == "warn", setup)
    check(f"io_uring_setup: {word}: a seccomp filter denies it" in setup["found"], setup)
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register", "weir uses epoll"):
        check(name in setup["advice"], name, setup)
    check("uring.napi" not in findings, "features of a ring that cannot be made")
    code, out, _ = run_weir("doctor", preexec_fn=deny(IO_URING_SETUP, error))
    check(code == 0 or "FAIL" in out, code)
    check(f"WARN  uring.setup             io_uring_setup: {word}: a seccomp filter" in out, out)


def sysctl_disabled():
    try:
        with open("/proc/sys/kernel/io_uring_disabled", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 0


def test_seccomp_eperm():
    if sysctl_disabled():
        raise Skip("kernel.io_uring_disabled is set here, and is the first reason")
    filtered(errno.EPERM, "EPERM")


def test_seccomp_enosys():
    filtered(errno.ENOSYS, "ENOSYS")


def test_seccomp_enomem():
    setup = examined(preexec_fn=deny(IO_URING_SETUP, errno.ENOMEM))["uring.setup"]
    check(setup["level"] == "warn" and "ENOMEM" in setup["found"], setup)


def test_without_epoll():
    def no_epoll():
        deny(291, errno.EPERM)()

    if os.uname().machine != "x86_64":
        raise Skip("the number of epoll_create1 is that of x86-64")
    findings = examined(preexec_fn=no_epoll)
    check(findings["epoll.create"]["level"] == "fail", findings["epoll.create"])
    check(findings["backend.epoll"]["level"] == "warn", findings["backend.epoll"])


def test_few_descriptors():
    def limits():
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    nofile = examined(preexec_fn=limits)["limits.nofile"]
    check(nofile["level"] == "fail" and "512 soft, 512 hard" in nofile["found"], nofile)
    check(nofile["fix"].endswith("prlimit --pid $$ --nofile=1048576:1048576"), nofile)
    check("LimitNOFILE" in nofile["advice"], nofile)


def unprivileged(memlock):
    """Options that run a program as the user nobody with a limit of locked memory."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become somebody without capabilities")
    options = {"user": 65534, "group": 65534, "extra_groups": []}
    if not reachable(options):
        raise Skip("another user cannot run the program from this folder")
    return {**options, "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK,
                                                                (memlock, memlock))}


def test_little_locked_memory():
    memlock = examined(**unprivileged(65536))["limits.memlock"]
    check(memlock["level"] == "warn" and memlock["found"].startswith("64 KiB"), memlock)
    check(memlock["fix"] == "prlimit --pid $$ --memlock=unlimited", memlock)


def test_no_locked_memory():
    setup = examined(**unprivileged(0))["uring.setup"]
    if setup["level"] == "pass" or "ENOMEM" not in setup["found"]:
        raise Skip("rings are no locked memory here: " + setup["found"])
    check("RLIMIT_MEMLOCK is 0 KiB" in setup["found"], setup)
    check(setup["fix"] == "prlimit --pid $$ --memlock=unlimited", setup)


def test_one_cpu():
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        raise Skip("there is one CPU only")
    one = {min(mine)}
    allowed = examined(preexec_fn=lambda: os.sched_setaffinity(0, one))["cpu.allowed"]
    check(allowed["level"] == "info" and allowed["found"].startswith("1 of "), allowed)
    check("starts 1 worker" in allowed["found"], allowed)


def test_what_the_environment_asks_for():
    start = examined(env={"WEIR_BACKEND": "epoll", "WEIR_WORKERS": "3"})
    found = start["runtime.start"]["found"]
    check(found.startswith("starts with 3 workers on epoll"), found)
    check("WEIR_BACKEND is 'epoll', WEIR_WORKERS is '3'" in found, found)
    check("weir starts 3 workers" in start["cpu.allowed"]["found"], start["cpu.allowed"])
    for name, value, valid in (("WEIR_BACKEND", "foo", "epoll"),
                               ("WEIR_WORKERS", "abc", "1 to 256")):
        env = {"WEIR_BACKEND": "", "WEIR_WORKERS": "", name: value}
        code, _, err = run_weir("proxy", "tcp://127.0.0.1:0", "tcp://127.0.0.1:1", env=env)
        findings = examined(env=env)
        start = findings["runtime.start"]
        check(code == 2 and start["level"] == "fail", code, start)
        for words in (f"'{value}'", valid):
            check(words in start["found"] and words in err, words, start, err)
        check(f"{name} is '{value}'" in start["advice"], start)
        check(start["fix"] == f"unset {name}", start)
        check("weir does not start" in findings["cpu.allowed"]["found"], findings["cpu.allowed"])


def test_a_full_disk_is_no_success():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.WEIR, "doctor"], stdout=full, stderr=subprocess.PIPE,
                              check=False)
    check(done.returncode == 1 and b"standard output" in done.stderr, done)


def test_lines_end_where_columns_say():
    """Lines are wrapped, except for the commands, which users copy."""
    def lines(columns):
        _, out, _ = run_weir("doctor", env={"COLUMNS": str(columns)})
        return [l for l in out.split("\n") if not l.lstrip().startswith("→")]

    check(70 < max(map(len, lines(200))) <= 80, lines(200))
    check(max(map(len, lines(64))) <= 64, lines(64))


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input of the weir command: exit code 2, and one line that names the value.

Usage: usage.py WEIR [TEST...]
"""

import errno
import os
import resource
import socket
import sys
import tempfile

import harness
from harness import Skip, Upstream, check, echo, failing, refused, run_weir

OK = ("tcp://127.0.0.1:0", "tcp://127.0.0.1:9")


def test_commands():
    refused([], "--help")
    refused(["proxxy"], "'proxxy'", "proxy, bench, demo, topo, doctor or help")
    refused(["help", "nothing"], "'nothing'")
    refused(["demo", "what"], "weir demo: 'what'")
    for arguments in (["--help"], ["help"], ["help", "proxy"], ["proxy", "--help"], ["demo", "-h"],
                      ["doctor", "-h"]):
        code, out, err = run_weir(*arguments)
        check(code == 0 and out.startswith("usage: weir") and err == "", arguments, code, out, err)
    code, out, _ = run_weir("--version")
    check(code == 0 and out.startswith("weir 0."), code, out)


def test_numbers():
    for value in ("abc", "0", "257", "-1", "1.5", "99999999999999999999999", "", " 1", "1x"):
        refused(["proxy", "--workers", value, *OK], f"weir proxy: --workers '{value}'", "1 to 256")
    refused(["proxy", "--workers=many", *OK], "--workers 'many'", "expected a number from 1 to 256")
    refused(["proxy", "--backlog", "0", *OK], "--backlog '0'", "1 to 65535")
    refused(["proxy", "--max-connections", "0", *OK], "--max-connections '0'")
    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 200000000:
        refused(["proxy", "--max-connections", "100000000", *OK], "'100000000'", "RLIMIT_NOFILE")


def test_durations():
    for name in ("connect-timeout", "idle-timeout", "half-close-timeout", "keepalive",
                 "drain-timeout"):
        for value in ("soon", "5", "5 s", "-5s", "5sec", "99999999999h", "s", "1.5s"):
            refused(["proxy", "--" + name, value, *OK], f"--{name} '{value}'", "10s")


def test_options():
    refused(["proxy", "--wrokers", "1", *OK], "--wrokers", "did you mean --workers?")
    refused(["proxy", "--colour", *OK], "--colour", "unknown option")
    refused(["proxy", "-w", *OK], "-w", "two dashes")
    refused(["proxy", *OK, "--workers"], "--workers", "expected N")
    refused(["proxy", "--quiet=yes", *OK], "--quiet 'yes'", "no value")
    refused(["proxy", "--policy", "fastest", *OK], "--policy 'fastest'", "performance, none,",
            "or resource")
    refused(["proxy", "--bind", "node", *OK], "--bind 'node'", "auto, none, group, core or cpu")
    refused(["proxy", "--threads-per-core", "0", *OK], "--threads-per-core '0'", "1 to 8")
    refused(["proxy", "--group-workers", "65", *OK], "--group-workers '65'", "1 to 64")
    refused(["proxy", "--pin", *OK], "--pin", "unknown option")
    refused(["proxy", "--balance", "random", *OK], "--balance 'random'", "roundrobin or leastconn")
    refused(["proxy", "--shards", "thread", *OK], "--shards 'thread'", "one, group or worker")
    refused(["proxy", "--dispatch", "fair", *OK], "--dispatch 'fair'", "local or least-loaded")
    refused(["proxy", "--access-log", "/nonexistent/log", *OK], "--access-log '/nonexistent/log'")
    refused(["proxy", "--access-log", "", *OK], "--access-log ''")


def test_backend():
    refused(["proxy", "--backend", "kpoll", *OK], "kpoll", "epoll")
    refused(["proxy", *OK], "kpoll", env={"WEIR_BACKEND": "kpoll"})
    refused(["proxy", *OK], "WEIR_WORKERS", "'lots'", env={"WEIR_WORKERS": "lots"})


def test_a_backend_that_the_system_refuses():
    """Is no mistake of the command line, whoever has named it."""
    for options, env in ([["--backend", "epoll"], None], [[], {"WEIR_BACKEND": "epoll"}]):
        code, out, err = run_weir("proxy", *options, *OK, env=env,
                                  preexec_fn=failing("epoll_create1", errno.EMFILE))
        check(code == 1 and out == "", options, code, out, err)
        check("epoll" in err and os.strerror(errno.EMFILE) in err, err)
        check(err.count("\n") == 1, err)


def test_addresses():
    refused(["proxy"], "tcp://LISTEN tcp://UPSTREAM")
    refused(["proxy", OK[0]], "tcp://UPSTREAM")
    refused(["proxy", *OK, "tcp://127.0.0.1:10"], "'tcp://127.0.0.1:10'", "commas")
    for bad in ("tcp://", "127.0.0.1", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:x",
                "udp://127.0.0.1:1", "http://127.0.0.1:1", "tcp://1.2.3:80", "tcp://[::1:80",
                "tcp://::1:80", "tcp://a b:80", "unix:/tmp/weir-test"):
        refused(["proxy", bad, OK[1]], f"listen '{bad}'", "tcp://127.0.0.1:8080")
    for bad in ("", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "ftp://a:1",
                "tcp://256.1.1.1:80", "tcp://" + "a" * 300 + ":80"):
        refused(["proxy", OK[0], bad], f"upstream '{bad[:100]}", "expected an address")
        refused(["proxy", OK[0], OK[1] + "," + bad], f"upstream '{bad[:100]}", "expected an address")
    refused(["proxy", OK[0], ",".join([OK[1]] * 65)], "one too many", "64")
    refused(["proxy", "tcp://192.0.2.1:8080", OK[1]], "'tcp://192.0.2.1:8080'",
            "not an address of this machine")


def test_unknown_host():
    """The error must be about the name. A resolver, if there is one, knows no such name."""
    bad = "tcp://nowhere.invalid:80"
    for what, addresses in ("upstream", (OK[0], bad)), ("listen", (bad, OK[1])):
        code, _, err = run_weir("proxy", *addresses)
        check((code, err) in ((2, f"weir proxy: {what} '{bad}': no host has this name\n"),
                              (1, f"weir proxy: {what} '{bad}': no name server answers\n")), code, err)


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for workers in ("1", "2"):
            refused(["proxy", "--workers", workers, f"tcp://127.0.0.1:{port}", OK[1]],
                    f"listen 'tcp://127.0.0.1:{port}'", "in use")


def test_port_in_use_by_another_proxy():
    proxy = harness.Proxy(Upstream(echo), options=["--workers", "2"])
    refused(["proxy", "--workers", "2", f"tcp://127.0.0.1:{proxy.port}", OK[1]], "in use")
    with proxy.connect() as client:
        harness.ask(client)
    check(proxy.stop() == 0)


def test_privileged_port():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as limit:
        if int(limit.read()) <= 81:
            raise Skip("every port is for everybody here")
    options = {}
    if os.geteuid() == 0:
        options = {"user": 65534, "group": 65534}
        if not reachable(options):
            raise Skip("another user cannot run the program from this folder")
    refused(["proxy", "tcp://127.0.0.1:81", OK[1]], "'tcp://127.0.0.1:81'", "port 81",
            "from 1024 on", **options)


def test_what_fails_is_named():
    """The message names the call that failed, and not the usual cause of that errno."""
    for error, text in ((errno.EPERM, "Operation not permitted"), (errno.EACCES, "Permission denied"),
                        (errno.ENXIO, "No such device or address")):
        code, _, err = run_weir("proxy", "tcp://127.0.0.1:18080", OK[1],
                                preexec_fn=failing("bind", error))
        check(code == 1 and f"bind or listen: {text}" in err, code, err)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        path = os.path.join(folder, "socket")
        sock.bind(path)
        refused(["proxy", "--access-log", path, *OK], f"--access-log '{path}'",
                "open: No such device or address")


def reachable(options):
    try:
        return run_weir("--version", **options)[0] == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How connections through weir proxy end: what the other side sees, and what the access log says.

Usage: ends.py WEIR [TEST...]
"""

import fcntl
import os
import re
import signal
import socket
import struct
import sys
import tempfile
import time

import harness
from harness import (PATIENCE, Proxy, Skip, Upstream, ask, check, check_reset, echo, receive,
                     receive_all, refused_port, reset)


def test_client_resets():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"half a mess")
    check(receive(server, 11))
    reset(client)
    check_reset(server)
    check(proxy.ends() == ["client-reset"])
    check(proxy.stop() == 0)


def test_upstream_resets():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    server.sendall(b"half an ans")
    check(receive(client, 11))
    reset(server)
    check_reset(client)
    check(proxy.ends() == ["upstream-reset"])
    check(proxy.stop() == 0)


def test_upstream_down_goes_to_the_next():
    down, upstream = refused_port(), Upstream(echo)
    proxy = Proxy(f"tcp://127.0.0.1:{down}", upstream)
    for _ in range(4):
        with proxy.connect() as client:
            ask(client)
    check(set(proxy.ends(count=4, pattern=r" upstream=(\S+) .* end=done$"))
          == {f"127.0.0.1:{upstream.port}"})
    counters = proxy.counters()
    check(counters[f"upstream tcp://127.0.0.1:{down} connect-failures"] >= 2, counters)
    check(counters[f"upstream {upstream.url} connections"] == 4, counters)
    check(counters[f"upstream {upstream.url} active"] == 0, counters)
    check(proxy.stop() == 0)


def test_every_upstream_down():
    one, two = refused_port(), refused_port()
    proxy = Proxy(f"tcp://127.0.0.1:{one}", f"tcp://127.0.0.1:{two}")
    try:
        check_reset(proxy.connect())
    except ConnectionResetError:
        pass  # the reset came before connect returned
    check(proxy.ends(pattern=r" upstream=(\S+) up_bytes=0 ") == ["-"])
    check(proxy.ends() == ["connect-failed:ECONNREFUSED"])
    check(proxy.counters()["connect-failures"] == 2, "each upstream is tried once")
    check(proxy.stop() == 0)


def test_unix_upstream():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        listener = socket.socket(socket.AF_UNIX)
        harness._open.append(listener)
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(PATIENCE)
        proxy = Proxy("unix:" + path)
        client = proxy.connect()
        server, _ = listener.accept()
        client.sendall(b"hello")
        check(receive(server, 5) == b"hello")
        server.close()
        check(client.recv(1) == b"")
        client.close()
        check(proxy.ends(pattern=r" upstream=(\S+) .* end=done$") == ["unix:" + path])
        check(proxy.stop() == 0)


def blackhole(host="127.0.0.1"):
    """Returns a port that answers no SYN, because its queue is full."""
    upstream = Upstream(backlog=0, at=(host, 0))
    sockets = []
    for _ in range(8):
        sock = socket.socket()
        harness._open.append(sock)
        sock.setblocking(False)
        sock.connect_ex((host, upstream.port))
        sockets.append(sock)
    probe = socket.socket()
    harness._open.append(probe)
    probe.settimeout(0.3)
    try:
        probe.connect((host, upstream.port))
    except socket.timeout:
        return upstream
    raise Skip("a full accept queue answers here")


def test_connect_timeout():
    proxy = Proxy(blackhole(), options=["--connect-timeout", "300ms"])
    begin = time.monotonic()
    client = proxy.connect()
    check_reset(client)
    took = time.monotonic() - begin
    check(took >= 0.25, f"after {took} s already")
    check(proxy.ends() == ["connect-timeout"])
    check(proxy.stop() == 0)


def test_connect_timeout_goes_to_the_next():
    upstream = Upstream(echo)
    proxy = Proxy(blackhole(), upstream, options=["--connect-timeout", "200ms"])
    with proxy.connect() as client:
        ask(client)
    check(proxy.ends(pattern=r" upstream=(\S+) .* end=done$") == [f"127.0.0.1:{upstream.port}"])
    connect_us = int(proxy.ends(pattern=r" connect_us=(\d+) ")[0])
    check(connect_us >= 200000, connect_us)
    check(proxy.stop() == 0)


def test_upstream_never_answers():
    upstream = Upstream()
    proxy = Proxy(upstream, options=["--idle-timeout", "300ms"])
    client, server = proxy.connect(), upstream.accept()
    begin = time.monotonic()
    client.sendall(b"anybody?")
    check(receive(server, 8) == b"anybody?")
    check_reset(client)
    took = time.monotonic() - begin
    check(took >= 0.25, f"after {took} s already")
    check(proxy.ends() == ["idle-timeout"])
    check(proxy.stop() == 0)


def test_half_close_timeout():
    upstream = Upstream()
    proxy = Proxy(upstream, options=["--half-close-timeout", "300ms"])
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"bye")
    client.shutdown(1)
    check(receive_all(server) == b"bye")
    check_reset(client)
    check(proxy.ends() == ["half-close-timeout"])
    check(proxy.stop() == 0)


LINE = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) client=(?P<client>\S+) listener=(?P<listener>\S+) "
    r"upstream=(?P<upstream>\S+) up_bytes=(?P<up>\d+) down_bytes=(?P<down>\d+) "
    r"connect_us=(?P<connect>\d+) duration_ms=(?P<duration>\d+) end=(?P<end>[a-z-]+(:\w+)?)$")


def test_access_log_line():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"12345")
    check(receive(server, 5))
    server.sendall(b"123")
    check(receive(client, 3))
    own = client.getsockname()
    client.close()
    check(server.recv(1) == b"")
    server.close()
    proxy.log.find("end=")
    check(len(proxy.log.lines) == 1, proxy.log.lines)
    line = LINE.match(proxy.log.lines[0])
    check(line, proxy.log.lines[0])
    check(line["client"] == f"{own[0]}:{own[1]}", line[0])
    check(line["listener"] == f"127.0.0.1:{proxy.port}", line[0])
    check(line["upstream"] == f"127.0.0.1:{upstream.port}", line[0])
    check((line["up"], line["down"], line["end"]) == ("5", "3", "done"), line[0])
    check(abs(time.time() - time_of(line["time"])) < 60, line[0])
    check(proxy.stop() == 0)


def test_access_log_of_a_client_that_has_reset():
    """A client resets before it is accepted, as port scanners do. The log still has its address."""
    proxy = Proxy(Upstream(echo))
    os.kill(proxy.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, proxy.process.pid, os.WSTOPPED)
    client = proxy.connect()
    own = client.getsockname()
    reset(client)
    os.kill(proxy.process.pid, signal.SIGCONT)
    check(proxy.ends(pattern=r" client=(\S+) ") == [f"{own[0]}:{own[1]}"])
    check(proxy.stop() == 0)


def keepalive_ms(near, far):
    """Returns when the kernel sends the next keepalive probe, from /proc; None if it sends none.

    Timer 02 in that file is the keepalive timer.
    """
    def text(address):
        host = struct.unpack("=I", socket.inet_aton(address[0]))[0]
        return f"{host:08X}:{address[1]:04X}"

    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[1:3] == [text(near), text(far)]:
                kind, left = words[5].split(":")
                return int(left, 16) * 1000 // os.sysconf("SC_CLK_TCK") if kind == "02" else None
    raise AssertionError(f"{near}, {far}: no such connection")


def test_keepalive():
    for options, least, most in (((), 1, 60000), (("--keepalive", "5s"), 1, 5000),
                                 (("--keepalive", "0"), None, None)):
        upstream = Upstream()
        proxy = Proxy(upstream, options=options)
        client, server = proxy.connect(), upstream.accept()
        client.sendall(b"x")
        check(receive(server, 1) == b"x")
        server.sendall(b"y")
        check(receive(client, 1) == b"y")
        for peer in (client, server):
            left = keepalive_ms(peer.getpeername(), peer.getsockname())
            check(left is None if least is None else least <= left <= most, options, left)
        check(proxy.process.poll() is None)
        client.close()
        server.close()
        proxy.ends()
        check(proxy.stop() == 0)


def time_of(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def test_access_log_file_is_reopened():
    with tempfile.TemporaryDirectory() as folder:
        path, old = os.path.join(folder, "log"), os.path.join(folder, "log.1")
        proxy = Proxy(Upstream(echo), options=["--access-log", path])
        with proxy.connect() as client:
            ask(client)
        wait_for_lines(path, 1)
        os.rename(path, old)
        proxy.signal(signal.SIGHUP)
        wait_for_lines(path, 0)
        with proxy.connect() as client:
            ask(client)
        wait_for_lines(path, 1)
        check(proxy.stop() == 0)
        check(len(lines_of(old)) == 1 and len(lines_of(path)) == 1)


def lines_of(path):
    with open(path, encoding="ascii") as file:
        return file.readlines()


def wait_for_lines(path, count):
    """Reads a file again and again until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not os.path.exists(path) or len(lines_of(path)) < count:
        check(time.monotonic() < end, f"{path}: {count} lines are missing")
        time.sleep(0.01)


def test_access_log_that_nobody_reads():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    proxy = Proxy(Upstream(echo), stdout=writer)
    os.close(writer)
    for _ in range(200):
        with proxy.connect() as client:
            ask(client)
    counters = proxy.counters()
    check(counters["accepted"] == 200, counters)
    begin = time.monotonic()
    check(proxy.stop() == 0)
    check(time.monotonic() - begin < PATIENCE / 2)
    last = harness.parse_counters(proxy.err.lines)
    os.set_blocking(reader, False)
    got = os.read(reader, 1 << 20).count(b"\n")
    check(last["written"] + last["dropped"] == 200, last)
    check(0 < got and last["dropped"] > 0, got, last)
    os.close(reader)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

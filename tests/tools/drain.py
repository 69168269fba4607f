#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir proxy: signals, draining, counters, balancing and --max-connections.

Usage: drain.py WEIR [TEST...]
"""

import os
import resource
import select
import signal
import socket
import sys
import time

import ends
import harness
from harness import (PATIENCE, SCALE, Proxy, Skip, Upstream, ask, check, check_reset, connect, echo,
                     pattern_bytes, receive, receive_all)


def test_signals_from_the_first_moment():
    """Signals that arrive before the runtime exists neither kill the process nor get lost."""
    number, early = signal.SIGTERM, 0
    for _ in range(10):
        process = harness.Quiet("--workers", "4", "--access-log", "off", "tcp://127.0.0.1:0",
                                Upstream(echo).url)
        end = time.monotonic() + PATIENCE
        while True:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
            if int(status["SigCgt"], 16) >> (number - 1) & 1:
                break
            check(time.monotonic() < end, "SIGTERM is not caught")
        early += int(status["Threads"]) <= 2     # the main thread and the one that writes stderr
        process.process.send_signal(signal.SIGHUP)
        process.process.send_signal(signal.SIGUSR1)
        check(process.stop() == 0, process.process.returncode)
    check(early, "signals are only caught once the workers run")


def test_signals_while_a_name_is_looked_up():
    """The look-up may never end; the signal must end the process nevertheless."""
    for addresses in (("tcp://127.0.0.1:0", "tcp://slow.example:80"),
                      ("tcp://slow.example:0", "tcp://127.0.0.1:80")):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = harness.Quiet("--access-log", "off", *addresses,
                                    preexec_fn=harness.with_a_mute_name_server,
                                    close_fds=False)
            end = time.monotonic() + PATIENCE
            while not harness.has_asked_it(process.pid):
                if process.process.poll() == harness.NO_NAMESPACES:
                    raise Skip("cannot make a network namespace")
                check(process.process.poll() is None, process.process.returncode)
                check(time.monotonic() < end, "the process does not ask the name server")
                time.sleep(0.01)
            process.process.send_signal(number)
            code = process.process.wait(PATIENCE)
            check(code == 0, addresses, code)


def test_nothing_to_drain():
    for number in (signal.SIGTERM, signal.SIGINT):
        proxy = Proxy(Upstream(echo))
        begin = time.monotonic()
        proxy.signal(number)
        check(proxy.wait() == 0)
        check(time.monotonic() - begin < PATIENCE / 2)


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_drain_lets_a_transfer_end():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    data = pattern_bytes(8 << 20, 3)
    client.sendall(b"go")
    check(receive(server, 2) == b"go")
    server.sendall(data[:100000])
    check(receive(client, 50000) == data[:50000])
    proxy.signal(signal.SIGTERM)
    proxy.err.find("stopped accepting, 1 connections")
    check(refuses(proxy.port))
    harness.threading.Thread(target=lambda: (server.sendall(data[100000:]), server.close()),
                             daemon=True).start()
    check(receive_all(client) == data[50000:])
    client.close()
    check(proxy.wait() == 0)
    check(proxy.ends() == ["done"])


def test_drain_deadline():
    upstream = Upstream()
    proxy = Proxy(upstream, options=["--drain-timeout", "300ms"])
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"x")
    check(receive(server, 1) == b"x")
    begin = time.monotonic()
    check(proxy.stop() == 0)
    took = time.monotonic() - begin
    check(0.25 <= took < PATIENCE / 2, took)
    check(proxy.ends() == ["drained"])
    check_reset(client)
    check_reset(server)
    check(harness.parse_counters(proxy.err.lines)["drained"] == 1)


def test_second_signal():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"x")
    check(receive(server, 1) == b"x")
    proxy.signal(signal.SIGTERM)
    proxy.err.find("stopped accepting, 1 connections")
    proxy.signal(signal.SIGINT)
    check(proxy.wait() == 1)
    check(proxy.ends() == ["cancelled"])
    check_reset(client)
    check_reset(server)


def test_signal_while_connecting():
    """A connection that is still connecting to its upstream is cut off like the others."""
    proxy = Proxy(ends.blackhole(), options=["--drain-timeout", "200ms", "--connect-timeout", "0"])
    client = proxy.connect()
    proxy.wait_for("accepted", 1)
    check(proxy.stop() == 0)
    check(proxy.ends() == ["drained"])
    check_reset(client)


def test_counters():
    upstream = Upstream(echo)
    proxy = Proxy(upstream, options=["--workers", "2"])
    first, second = proxy.connect(), proxy.connect()
    ask(first, b"12345")
    ask(second, b"123")
    counters = proxy.counters()
    check(counters["accepted"] == 2 and counters["active"] == 2, counters)
    check(counters[f"upstream {upstream.url} active"] == 2, counters)
    check(counters["worker 0 polls"] + counters["worker 1 polls"] > 0, counters)
    first.close()
    second.close()
    proxy.ends(count=2)
    proxy.stop()
    counters = harness.parse_counters(proxy.err.lines)
    check(counters["done"] == 2 and counters["up"] == 8 and counters["down"] == 8, counters)
    check(counters["active"] == 0 and counters["written"] == 2, counters)
    check(counters[f"upstream {upstream.url} up_bytes"] == 8, counters)


def test_quiet():
    upstream = Upstream(echo)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    process = harness.subprocess.Popen(
        [harness.WEIR, "proxy", "--quiet", "--access-log", "off", f"tcp://127.0.0.1:{port}",
         upstream.url], stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.PIPE,
        stderr=harness.subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while refuses(port):    # with --quiet there is no message to wait for
            check(time.monotonic() < end, "it does not listen")
        with connect(port) as client:
            ask(client)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
        check(process.returncode == 0 and out == b"", process.returncode, out)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_round_robin():
    one, two = Upstream(echo), Upstream(echo)
    proxy = Proxy(one, two)
    for _ in range(10):
        with proxy.connect() as client:
            ask(client)
    check((one.accepted, two.accepted) == (5, 5), one.accepted, two.accepted)
    check(proxy.stop() == 0)


def test_least_connections():
    one, two = Upstream(echo), Upstream(echo)
    proxy = Proxy(one, two, options=["--balance", "leastconn"])
    clients = []
    for _ in range(6):
        clients.append(proxy.connect())
        ask(clients[-1])
    check((one.accepted, two.accepted) == (3, 3), one.accepted, two.accepted)
    for i in (0, 2, 4):         # the connections of the first upstream
        clients[i].close()
    proxy.ends(count=3)
    for _ in range(3):
        clients.append(proxy.connect())
        ask(clients[-1])
    check((one.accepted, two.accepted) == (6, 3), one.accepted, two.accepted)
    for client in clients:
        client.close()
    check(proxy.stop() == 0)


def test_limit_pauses_accepting():
    upstream = Upstream(echo)
    proxy = Proxy(upstream, options=["--max-connections", "3", "--workers", "2"])
    served = [proxy.connect() for _ in range(3)]
    for client in served:
        ask(client)
    waiting = [proxy.connect() for _ in range(6)]
    for client in waiting:
        client.sendall(b"x")
    proxy.err.find("3 connections: the limit is reached")
    check(proxy.counters()["active"] == 3)
    check(sum(answers(client) for client in waiting) == 0, "more than the limit are served")
    for client in served:
        client.close()
    proxy.ends(count=3)
    answer_all(waiting, b"")
    check(set(proxy.ends(count=9)) == {"done"})
    said = [l for l in proxy.err.lines if "the limit is reached" in l]
    check(len(said) == 1, said)
    check(proxy.stop() == 0)


def test_limit_is_said_once():
    """The limit is reported once, whichever workers reach it, and again only after 10 quiet s."""
    proxy = Proxy(Upstream(echo), options=["--max-connections", "1", "--workers", "4"])
    begin = time.monotonic()
    for _ in range(3):
        answer_all([proxy.connect() for _ in range(100)])
    check(set(proxy.ends(count=300)) == {"done"})
    most = 1 + (time.monotonic() - begin) // 10
    said = [l for l in proxy.err.lines if "the limit is reached" in l]
    check(1 <= len(said) <= most, said)
    check(proxy.stop() == 0)


def answer_all(clients, text=b"x"):
    """Expects an answer for every client, in any order: each one that is answered makes room."""
    left = list(clients)
    for client in left:
        client.settimeout(PATIENCE)
        client.sendall(text)
    while left:
        ready, _, _ = select.select(left, [], [], PATIENCE)
        check(ready, "clients that are never served:", len(left))
        for client in ready:
            check(client.recv(1) == b"x")
            client.close()
            left.remove(client)


def test_drain_serves_who_waits_at_the_limit():
    """Clients that the proxy or the kernel accepted before the SIGTERM are served."""
    for dispatch in ("local", "least-loaded"):
        upstream = Upstream(echo)
        proxy = Proxy(upstream, options=["--max-connections", "2", "--workers", "2",
                                         "--dispatch", dispatch])
        served = [proxy.connect() for _ in range(2)]
        for client in served:
            ask(client)
        waiting = [proxy.connect() for _ in range(20)]
        proxy.err.find("2 connections: the limit is reached")
        proxy.signal(signal.SIGTERM)
        proxy.err.find("stopped accepting, 22 connections")
        check(proxy.counters()["active"] == 22)
        for client in served:
            client.close()
        answer_all(waiting)
        check(proxy.wait() == 0)
        check(proxy.ends(count=22) == ["done"] * 22)


def test_limit_of_descriptors():
    """When descriptors are the limit, no client is refused, even if the backend accepts ahead."""
    upstream = Upstream(echo)
    for files in (80, 200):
        proxy = Proxy(upstream, options=["--workers", "1"], preexec_fn=lambda most=files:
                      resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
        answer_all([proxy.connect() for _ in range(300)])
        check(set(proxy.ends(count=300)) == {"done"})
        check(proxy.stop() == 0)


def test_soft_limit_is_raised_before_there_is_a_backend():
    """It looks at the limit, and accepts ahead only where there are many descriptors."""
    if os.environ.get("WEIR_BACKEND") != "io_uring":
        raise Skip("only io_uring accepts ahead")
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) < (5, 19):
        raise Skip("no multishot accept before Linux 5.19")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    proxy = Proxy(Upstream(echo), options=["--max-connections", "1", "--workers", "1"],
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard)))
    clients = [proxy.connect() for _ in range(40)]
    end = time.monotonic() + PATIENCE
    while len(os.listdir(f"/proc/{proxy.process.pid}/fd")) < len(clients):
        check(time.monotonic() < end, "they are accepted one by one")
        time.sleep(0.01)
    answer_all(clients)
    check(proxy.stop() == 0)


def answers(client):
    client.settimeout(0.05 * SCALE)
    try:
        return len(client.recv(1))
    except socket.timeout:
        return 0


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

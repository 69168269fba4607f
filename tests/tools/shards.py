#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Listener shards of weir proxy: which worker gets which connection, steering, and draining.

Usage: shards.py WEIR [TEST...]
"""

import os
import signal
import socket
import sys
import threading

import drain
import harness
from harness import Proxy, Skip, Upstream, ask, check, connect, echo

GROUPS = ["--workers", "2", "--group-workers", "1"]
BACKENDS = (["--backend", "epoll"], [])         # epoll, and the default


def shards_of(proxy):
    return int(proxy.err.find(r"listening on .*, (\d+) shards?$")[0][1])


def accepted(proxy):
    """Returns how many connections each worker got."""
    counters = proxy.counters()
    return [counters[f"worker {i} accepted"] for i in range(proxy.workers)]


def call(proxy, count):
    for _ in range(count):
        with proxy.connect() as client:
            ask(client)


def test_a_shard_for_each_group():
    for options, shards in ((GROUPS, 2), ([*GROUPS, "--shards", "one"], 1),
                            (["--workers", "2", "--policy", "none"], 1),
                            (["--workers", "3", "--shards", "worker"], 3)):
        for backend in BACKENDS:
            proxy = Proxy(Upstream(echo), options=[*options, *backend])
            check(shards_of(proxy) == shards, options, proxy.err.lines)
            call(proxy, 40)
            given = accepted(proxy)
            check(sum(given) == 40, given)
            check(shards == 1 or min(given) > 0, "a shard without one of forty", given)
            check(proxy.stop() == 0)


def test_nobody_else_gets_in():
    proxy = Proxy(Upstream(echo), options=GROUPS)
    url = f"tcp://127.0.0.1:{proxy.port}"
    harness.refused(["proxy", *GROUPS, url, "tcp://127.0.0.1:9"], url, "in use")
    stranger = socket.socket()
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    stranger.bind(("127.0.0.1", 0))
    stranger.listen()
    url = f"tcp://127.0.0.1:{stranger.getsockname()[1]}"
    harness.refused(["proxy", *GROUPS, url, "tcp://127.0.0.1:9"], url, "in use")
    stranger.close()
    check(proxy.stop() == 0)


def test_least_loaded():
    """Connections that stay open are spread evenly over the workers."""
    for backend in BACKENDS:
        proxy = Proxy(Upstream(echo), options=["--workers", "3", "--shards", "one", "--dispatch",
                                               "least-loaded", *backend])
        clients = []
        for _ in range(12):
            clients.append(proxy.connect())
            ask(clients[-1])
        check(accepted(proxy) == [4, 4, 4], accepted(proxy))
        for client in clients:
            client.close()
        proxy.ends(count=12)
        check(proxy.stop() == 0)


def call_from(cpu, proxy, count):
    """Connects from a thread that is bound to a CPU."""
    failed = []

    def run():
        try:
            os.sched_setaffinity(0, {cpu})
            call(proxy, count)
        except Exception as error:      # pylint: disable=broad-except
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_steering_follows_the_cpu():
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        raise Skip("one CPU: there is nothing to steer between")
    proxy = Proxy(Upstream(echo), options=[*GROUPS, "--steer", "--cpus",
                                           ",".join(str(c) for c in cpus)])
    check(shards_of(proxy) == 2)
    call_from(cpus[0], proxy, 12)
    first = accepted(proxy)
    check(sorted(first) == [0, 12], "all to one worker", first)
    call_from(cpus[1], proxy, 12)
    check(accepted(proxy) == [12, 12], "and all to the other", accepted(proxy))
    check(not any("--steer" in line for line in proxy.err.lines), proxy.err.lines)
    check(proxy.stop() == 0)


def test_steering_that_does_nothing_is_said():
    for options, words in ((["--workers", "1"], "there is only one shard"),
                           (["--workers", "2", "--shards", "worker", "--bind", "none"],
                            "it needs --bind cpu")):
        proxy = Proxy(Upstream(echo), options=[*options, "--steer"])
        proxy.err.find(words)
        call(proxy, 4)
        check(proxy.stop() == 0)


def test_drain_serves_what_waits_in_every_shard():
    """The proxy is suspended while clients arrive, and gets SIGTERM before it continues."""
    for dispatch in ("local", "least-loaded"):
        for backend in BACKENDS:
            proxy = Proxy(Upstream(echo), options=[*GROUPS, "--dispatch", dispatch, *backend])
            call(proxy, 1)
            proxy.signal(signal.SIGSTOP)
            clients = [connect(proxy.port) for _ in range(30)]
            for client in clients:
                client.sendall(b"x")
            proxy.signal(signal.SIGTERM)
            proxy.signal(signal.SIGCONT)
            for client in clients:
                check(harness.receive(client, 1) == b"x")
                client.close()
            check(proxy.wait() == 0)
            check(set(proxy.ends(count=31)) == {"done"})


def test_drain_of_shards_refuses_the_next():
    upstream = Upstream()
    proxy = Proxy(upstream, options=GROUPS)
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"x")
    check(harness.receive(server, 1) == b"x")
    proxy.signal(signal.SIGTERM)
    proxy.err.find("stopped accepting, 1 connections")
    while True:                 # each worker closes its own shard, so one may stay open a moment
        try:
            connect(proxy.port).close()
        except (ConnectionRefusedError, ConnectionResetError):
            break
    client.close()
    server.close()
    check(proxy.wait() == 0)


def test_limit_with_shards():
    upstream = Upstream(echo)
    proxy = Proxy(upstream, options=[*GROUPS, "--max-connections", "2"])
    served = [proxy.connect() for _ in range(2)]
    for client in served:
        ask(client)
    waiting = [proxy.connect() for _ in range(6)]
    for client in waiting:
        client.sendall(b"x")
    proxy.err.find("2 connections: the limit is reached")
    check(proxy.counters()["active"] == 2)
    proxy.signal(signal.SIGTERM)
    proxy.err.find("stopped accepting, 8 connections")
    for client in served:       # makes room for the waiting clients
        client.close()
    drain.answer_all(waiting, b"")
    check(proxy.wait() == 0)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bytes through weir proxy arrive completely and in order, whichever side is slow or ends first.

Usage: traffic.py WEIR [TEST...]
WEIR_TEST_MIB: the size of the large transfers, WEIR_TEST_IDLE: the number of idle connections.
"""

import hashlib
import os
import resource
import select
import sys
import threading

import harness
from harness import (PATIENCE, SANITIZED, SCALE, Proxy, Skip, Upstream, ask, check, echo,
                     pattern_bytes, receive, receive_all)

MIB = 1 << 20
LARGE = int(os.environ.get("WEIR_TEST_MIB", "64" if not SANITIZED else "16")) * MIB
IDLE = int(os.environ.get("WEIR_TEST_IDLE", "1000" if not SANITIZED else "200"))
BLOCK = pattern_bytes(MIB, 7)


def send_large(sock):
    """Sends LARGE bytes and ends the stream. Returns their checksum."""
    digest = hashlib.sha256()
    for _ in range(LARGE // MIB):
        sock.sendall(BLOCK)
        digest.update(BLOCK)
    sock.shutdown(1)
    return digest.hexdigest()


def receive_large(sock):
    digest, size = hashlib.sha256(), 0
    while piece := sock.recv(262144):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def both_ways(a, b):
    """Sends LARGE bytes from a to b and from b to a at the same time."""
    results = {}

    def run(name, work, sock):
        try:
            results[name] = work(sock)
        except Exception as error:      # pylint: disable=broad-except
            results[name] = error

    jobs = [threading.Thread(target=run, args=(name, work, sock), daemon=True) for name, work, sock in
            (("a sent", send_large, a), ("b got", receive_large, b), ("b sent", send_large, b),
             ("a got", receive_large, a))]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(PATIENCE * 6)
    check(results.get("b got") == (results.get("a sent"), LARGE), results)
    check(results.get("a got") == (results.get("b sent"), LARGE), results)


def test_large_transfer_both_ways():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client = proxy.connect()
    both_ways(client, upstream.accept())
    check(proxy.ends(pattern=r" (up_bytes=\d+ down_bytes=\d+) .* end=done$")
          == [f"up_bytes={LARGE} down_bytes={LARGE}"])
    check(proxy.stop() == 0)


def test_many_small_connections():
    proxy = Proxy(Upstream(echo), Upstream(echo))

    def client(seed, failures):
        try:
            for i in range(20):
                with proxy.connect() as sock:
                    for size in (1, 100, 16384, 16385, 40000):
                        ask(sock, pattern_bytes(size, seed + i))
        except Exception as error:      # pylint: disable=broad-except
            failures.append(error)

    failures = []
    threads = [threading.Thread(target=client, args=(s, failures), daemon=True) for s in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 3)
    check(not failures, failures)
    check(set(proxy.ends(count=320)) == {"done"})
    check(proxy.stop() == 0)


def test_idle_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE + 200:
        raise Skip(f"RLIMIT_NOFILE {hard} is too low for {IDLE} connections")
    if soft < 2 * IDLE + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    upstream = Upstream(backlog=4096)
    proxy = Proxy(upstream, options=["--access-log", "off"])
    pairs = []
    for _ in range(20):         # so that one-time allocations happen before the measurement
        pairs.append((proxy.connect(), upstream.accept()))
    before = proxy.rss_kib()
    for _ in range(IDLE):
        pairs.append((proxy.connect(), upstream.accept()))
    check(proxy.counters()["active"] == IDLE + 20)
    rss = (proxy.rss_kib() - before) * 1024 / IDLE
    print(f"# {IDLE} idle connections: {rss:.0f} bytes each")
    check(SANITIZED or rss < 4096, f"{rss} bytes a connection")
    for i, (client, server) in enumerate(pairs):
        text = b"%d" % i
        client.sendall(text)
        check(receive(server, len(text)) == text)
        server.sendall(text)
        check(receive(client, len(text)) == text)
    check(proxy.counters()["active"] == IDLE + 20)
    for client, server in pairs:
        client.close()
        server.close()
    check(proxy.stop() == 0)


def fill(sock, data):
    """Sends until the other side stops reading. Returns how many bytes that took."""
    sent = 0
    sock.setblocking(False)
    while sent < len(data) and select.select([], [sock], [], 1.0 * SCALE)[1]:
        sent += sock.send(data[sent:sent + 65536])
    sock.settimeout(PATIENCE)
    return sent


def test_slow_reader():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client = proxy.connect(receive_buffer=65536)
    server = upstream.accept()
    before = proxy.rss_kib()
    data = BLOCK * 64
    sent = fill(server, data)
    check(sent < len(data), "the proxy took everything: it does not wait for a slow reader")
    check(SANITIZED or proxy.rss_kib() - before < 2048, proxy.rss_kib(), before)
    ask_other_way(client, server)
    rest = threading.Thread(target=lambda: (server.sendall(data[sent:]), server.shutdown(1)),
                            daemon=True)
    rest.start()
    check(hashlib.sha256(receive_all(client)).digest() == hashlib.sha256(data).digest())
    client.close()
    check(proxy.ends() == ["done"])
    check(proxy.stop() == 0)


def ask_other_way(client, server):
    """Checks that one blocked direction does not block the other."""
    client.sendall(b"still there?")
    check(receive(server, 12) == b"still there?")


def test_client_ends_first():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    client.sendall(b"question")
    client.shutdown(1)
    check(receive_all(server) == b"question")
    server.sendall(b"answer")
    check(receive(client, 6) == b"answer")
    server.close()
    check(client.recv(1) == b"")
    check(proxy.ends(pattern=r"(up_bytes=\d+ down_bytes=\d+) .* end=done$")
          == ["up_bytes=8 down_bytes=6"])
    check(proxy.stop() == 0)


def test_upstream_ends_first():
    upstream = Upstream()
    proxy = Proxy(upstream)
    client, server = proxy.connect(), upstream.accept()
    server.sendall(b"greeting")
    server.shutdown(1)
    check(receive_all(client) == b"greeting")
    client.sendall(b"thanks")
    check(receive(server, 6) == b"thanks")
    client.close()
    check(server.recv(1) == b"")
    check(proxy.ends() == ["done"])
    check(proxy.stop() == 0)


def test_upstream_by_name():
    upstream = Upstream(echo)
    proxy = Proxy(f"tcp://localhost:{upstream.port}")
    with proxy.connect() as client:
        ask(client, b"by name")
    check(proxy.stop() == 0)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Balancing of weir proxy: which upstream a connection gets, also when upstreams fail.

Usage: balance.py WEIR [--backend NAME] [TEST...]
"""

import ctypes
import errno
import os
import socket
import sys
import tempfile

import ends
import harness
from harness import Proxy, Skip, Upstream, ask, check, echo, refused_port


def serve(proxy, count):
    for _ in range(count):
        with proxy.connect() as client:
            ask(client)


def test_round_robin_asks_a_dead_upstream_in_its_turn():
    """Every Nth connection tries it first: falling back does not advance the rotation."""
    for live in (1, 2, 3):
        upstreams = [Upstream(echo) for _ in range(live)]
        down = f"tcp://127.0.0.1:{refused_port()}"
        proxy = Proxy(down, *upstreams)
        serve(proxy, 12 * (live + 1))
        failures = proxy.counters()[f"upstream {down} connect-failures"]
        check(failures == 12, live, failures)
        shares = [u.accepted for u in upstreams]
        check(max(shares) - min(shares) <= 1, "what it leaves is shared evenly:", shares)
        check(proxy.stop() == 0)


def hang_up(conn):
    """Closes without an answer."""
    conn.recv(1)
    conn.close()


def test_least_connections_does_not_prefer_what_fails():
    """An upstream that fails never has many connections, but must not attract them all."""
    for broken in (Upstream(hang_up).url, f"tcp://127.0.0.1:{refused_port()}"):
        fine = [Upstream(echo), Upstream(echo)]
        proxy = Proxy(broken, *fine, options=["--balance", "leastconn"])
        held, hung_up = [], 0
        for _ in range(30):
            client = proxy.connect()
            client.sendall(b"x")
            if client.recv(1):
                held.append(client)
            else:
                client.close()
                hung_up += 1
                proxy.ends(count=hung_up)
        failed = proxy.counters()[f"upstream {broken} connections"]
        check(failed <= 12, broken, failed)
        shares = [u.accepted for u in fine]
        check(abs(shares[0] - shares[1]) <= 1, shares)
        for client in held:
            client.close()
        check(proxy.stop() == 0)


def test_least_connections_takes_back_who_recovers():
    answers = [False]

    def moody(conn):
        if answers[0]:
            echo(conn)
        else:
            hang_up(conn)

    sick, fine = Upstream(moody), Upstream(echo)
    proxy = Proxy(sick, fine, options=["--balance", "leastconn"])
    for _ in range(8):
        with proxy.connect() as client:
            client.sendall(b"x")
            client.recv(1)
    proxy.ends(count=8)
    answers[0] = True
    serve(proxy, 2)             # one of them asks it, and it answers
    proxy.ends(count=10)
    before, held = sick.accepted, []
    for _ in range(10):
        held.append(proxy.connect())
        ask(held[-1])
    check(sick.accepted - before == 5, sick.accepted - before)
    for client in held:
        client.close()
    check(proxy.stop() == 0)


def test_a_socket_that_cannot_be_made_goes_on_to_the_next():
    """The first upstream's address family is not available, as in a network without IPv6."""
    upstream = Upstream(echo)
    proxy = Proxy("tcp://[::1]:9", upstream,
                  preexec_fn=harness.failing("socket", errno.EAFNOSUPPORT, socket.AF_INET6))
    serve(proxy, 4)
    check(proxy.counters()["connect-failures"] == 2)
    check(proxy.stop() == 0)


def with_hosts(text):
    """Returns a preexec_fn that gives the process its own /etc/hosts. Needs root."""
    file = tempfile.NamedTemporaryFile("w", encoding="ascii")       # pylint: disable=consider-using-with
    file.write(text)
    file.flush()
    harness.keep(file)

    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        private, bind = 1 << 14 | 1 << 18, 1 << 12
        if libc.unshare(0x20000) < 0 or libc.mount(b"none", b"/", None, private, None) < 0 or \
           libc.mount(file.name.encode(), b"/etc/hosts", None, bind, None) < 0:
            os.write(2, b"no names of one's own\n")
            os._exit(77)
    return install


def test_an_address_that_is_silent_is_not_waited_for():
    """The proxy tries the name's next address meanwhile, although there is no connect timeout."""
    if os.geteuid() != 0:
        raise Skip("only root can replace /etc/hosts for a process")
    silent = ends.blackhole("127.0.0.2")
    upstream = Upstream(echo, at=("127.0.0.3", silent.port))
    hosts = with_hosts("127.0.0.2 many.test\n127.0.0.3 many.test\n")
    proxy = Proxy(f"tcp://many.test:{silent.port}", options=["--connect-timeout", "0"],
                  preexec_fn=hosts)
    serve(proxy, 3)
    check(upstream.accepted == 3)
    check(proxy.counters()["connect-failures"] == 0)
    check(proxy.stop() == 0)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

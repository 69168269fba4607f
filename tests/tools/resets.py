#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rule of ends of weir proxy: a stream that did not finish ends with a reset, whoever broke it,
how, and in which state, on every backend.

Usage: resets.py WEIR [TEST...]
"""

import json
import os
import signal
import socket
import sys
import tempfile

import harness
from harness import PATIENCE, Proxy, Upstream, check, connect, receive, reset, run_weir

LIMIT = "700ms"


def backends():
    _, out, _ = run_weir("doctor", "--json")
    checks = {c["id"]: c["level"] for c in json.loads(out)["checks"]}
    return [b for b in ("epoll", "io_uring") if checks[f"backend.{b}"] == "pass"]


class Pair:
    """A client and an upstream, connected through the proxy, in one of the states."""

    def __init__(self, proxy, upstream, state):
        self.state = state
        self.client = proxy.connect()
        self.server = upstream.accept()
        self.client.sendall(b"ask")
        check(receive(self.server, 3) == b"ask")
        getattr(self, state)()

    def quiet(self):
        pass

    def answering(self):
        self.server.sendall(b"half an ans")
        receive(self.client, 11)

    def request_ended(self):
        self.client.shutdown(socket.SHUT_WR)
        check(self.server.recv(1) == b"")

    def answer_ended(self):
        self.server.shutdown(socket.SHUT_WR)
        check(self.client.recv(1) == b"")

    def blocked(self):
        """The client does not read what the upstream sends."""
        self.server.settimeout(0.2)
        try:
            while True:
                self.server.send(bytes(65536))
        except socket.timeout:
            self.server.settimeout(PATIENCE)

    def check(self, side, broke):
        """Checks what a side sees: the end, if the stream to it had finished, else a reset."""
        sock = self.client if side == "client" else self.server
        finished = self.state == ("answer_ended" if side == "client" else "request_ended")
        if broke and finished:  # it has seen its end: only its own sends can fail
            found = until_it_fails(lambda: sock.send(b"x"))
        else:
            found = until_it_fails(lambda: sock.recv(65536))
        wanted = "end" if finished and not broke else "reset"
        check(found == wanted, f"{self.state}: the {side} found: {found}")


def until_it_fails(call):
    try:
        while call():
            pass
        return "end"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"


STATES = ["quiet", "answering", "request_ended", "answer_ended", "blocked"]


def each_backend(options, cause, end, states=None, broke=None):
    """For each backend: starts a proxy with a pair in each state, and calls cause(proxy, pair)."""
    for backend in backends():
        upstream = Upstream()
        proxy = Proxy(upstream, options=["--backend", backend, *options])
        pairs = [Pair(proxy, upstream, state) for state in states or STATES]
        for pair in pairs:
            cause(proxy, pair)
        for pair in pairs:
            for side in ("client", "upstream"):
                if side != broke:
                    pair.check(side, broke)
        check(set(proxy.ends(count=len(pairs))) == {end}, backend, proxy.log.lines)
        proxy.stop()


def test_a_client_resets():
    each_backend([], lambda _, pair: reset(pair.client), "client-reset", broke="client")


def test_an_upstream_resets():
    each_backend([], lambda _, pair: reset(pair.server), "upstream-reset", broke="upstream")


def test_the_idle_timeout():
    each_backend(["--idle-timeout", LIMIT, "--half-close-timeout", "0"], lambda *_: None,
                 "idle-timeout")


def test_the_half_close_timeout():
    each_backend(["--half-close-timeout", LIMIT], lambda *_: None, "half-close-timeout",
                 states=["request_ended", "answer_ended"])


def test_the_drain_timeout():
    def drain(proxy, pair):
        if pair.state == STATES[-1]:
            proxy.signal(signal.SIGTERM)

    each_backend(["--drain-timeout", LIMIT], drain, "drained")
    each_backend(["--drain-timeout", LIMIT, "--workers", "2"], drain, "drained")


def test_a_second_signal():
    def stop(proxy, pair):
        if pair.state == STATES[-1]:
            proxy.signal(signal.SIGTERM)
            proxy.err.find("stopped accepting")
            proxy.signal(signal.SIGTERM)

    each_backend([], stop, "cancelled")


def test_a_unix_upstream():
    """Unix sockets have no reset, so the upstream sees an end. The client still sees a reset."""
    for backend in backends():
        with tempfile.TemporaryDirectory() as folder:
            listener = socket.socket(socket.AF_UNIX)
            harness._open.append(listener)      # pylint: disable=protected-access
            listener.bind(os.path.join(folder, "socket"))
            listener.listen(4)
            listener.settimeout(PATIENCE)
            proxy = Proxy("unix:" + os.path.join(folder, "socket"),
                          options=["--backend", backend, "--idle-timeout", LIMIT])
            client = connect(proxy.port)
            server, _ = listener.accept()
            client.sendall(b"ask")
            check(receive(server, 3) == b"ask")
            check(until_it_fails(lambda: client.recv(1)) == "reset", "the client")
            check(until_it_fails(lambda: server.recv(1)) == "end", "the upstream")
            check(proxy.ends() == ["idle-timeout"])
            proxy.stop()


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

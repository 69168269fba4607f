#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir proxy with closed, full or blocked outputs: it serves, reports that, and ends in time.

Usage: outlets.py WEIR [--backend NAME] [TEST...]
"""

import fcntl
import os
import re
import resource
import signal
import sys
import tempfile

import harness
import usage
from ends import LINE
from harness import Proxy, Skip, Upstream, ask, check, echo


def test_closed_standard_descriptors():
    """Descriptors 0 to 2 must not be reused for sockets, or messages would be written to those."""
    def close_them():
        for fd in range(3):
            os.close(fd)

    port = harness.free_port()
    upstream = Upstream(echo)
    process = harness.Quiet("--access-log", "off", f"tcp://127.0.0.1:{port}", upstream.url,
                            preexec_fn=close_them)
    process.wait_for_port(port)
    for fd in range(3):
        target = os.readlink(f"/proc/{process.pid}/fd/{fd}")
        check(target == "/dev/null", fd, target)
    with harness.connect(port) as client:
        ask(client)
    check(process.stop() == 0)


def serve(proxy, count=1):
    for _ in range(count):
        with proxy.connect() as client:
            ask(client)


def serve_until(proxy, pattern, count=1):
    """Serves clients until the message was printed count times, and checks that it was not more."""
    def said():
        return sum(1 for l in proxy.err.lines if re.search(pattern, l))

    for _ in range(2000):
        if said() >= count:
            break
        serve(proxy)
    check(said() == count, count, pattern, proxy.err.lines)


def lines_of(path):
    with open(path, encoding="ascii") as file:
        return file.read().split("\n")


def test_full_file():
    """Whole lines are dropped, and that is reported each time it begins. SIGXFSZ does not kill."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        tight = (250, resource.RLIM_INFINITY)       # room for one line and a part of the next
        proxy = Proxy(Upstream(echo), options=["--access-log", path],
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, tight))

        def limit(size):
            resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE,
                             (size, resource.RLIM_INFINITY))

        for count in (1, 2):
            serve_until(proxy, "access log .*: File too large; lines are dropped", count)
            limit(1 << 20)
            serve_until(proxy, r"access log .*: writing works again; [1-9]\d* lines were dropped",
                        count)
            if count == 1:      # only a log that works: one that is full could begin again at once
                limit(os.path.getsize(path) + 250)
        check(proxy.stop() == 0)
        counters = harness.parse_counters(proxy.err.lines)
        lines = lines_of(path)
        check(lines.pop() == "", "the last line is incomplete")
        for line in lines:
            check(LINE.match(line), "incomplete line:", line)
        check(len(lines) == counters["written"], len(lines), counters)
        check(counters["written"] + counters["dropped"] == counters["accepted"], counters)


def test_fifo_that_nobody_reads():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        proxy = Proxy(Upstream(echo), options=["--access-log", path])
        proxy.err.find("access log .*fifo: it has no reader; lines are dropped")
        serve(proxy)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        serve_until(proxy, "writing works again")
        os.set_blocking(reader, True)
        with open(reader, encoding="ascii") as fifo:
            check(LINE.match(fifo.readline().rstrip("\n")))
        serve(proxy, 3)                 # the FIFO has no reader any more
        proxy.signal(signal.SIGHUP)     # reopens the log, which fails without a reader
        proxy.err.find("it has no reader; the old file stays in use")
        serve(proxy, 3)
        check(proxy.stop() == 0)


def test_fifo_whose_reader_sleeps():
    """A FIFO takes only some lines. Neither reopening it nor the end of the proxy waits for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        proxy = Proxy(Upstream(echo), options=["--access-log", path])
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        serve(proxy, 100)
        proxy.signal(signal.SIGHUP)
        serve(proxy, 20)
        check(proxy.stop() == 0)
        last = harness.parse_counters(proxy.err.lines)
        got = os.read(reader, 1 << 20).decode()
        check(got.endswith("\n") and all(LINE.match(l) for l in got.split("\n")[:-1]), got)
        check(last["written"] == got.count("\n"), last, got.count("\n"))
        check(last["written"] + last["dropped"] == 120, last)
        os.close(reader)


def stuck_proxy(*options):
    """Starts a proxy whose stderr is a full pipe. Returns (process, port, the pipe's read end)."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    port = harness.free_port()
    upstream = Upstream(echo)
    proxy = harness.Quiet("--access-log", "off", "--workers", "1", *options,
                          f"tcp://127.0.0.1:{port}", upstream.url, stderr=writer)
    proxy.wait_for_port(port)
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"." * 4096):
            pass
    except BlockingIOError:
        pass
    try:
        while os.write(writer, b"."):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    os.close(writer)
    return proxy, port, reader


def test_stuck_standard_error():
    """Whatever messages are due, the proxy serves, and SIGTERM ends it."""
    proxy, port, reader = stuck_proxy("--drain-timeout", "300ms", "--max-connections", "2")
    for _ in range(300):        # more lines than the proxy queues
        proxy.process.send_signal(signal.SIGUSR1)
    held = [harness.connect(port) for _ in range(4)]
    for client in held[:2]:
        ask(client)
    for client in held[:2]:     # the limit was reached, which is a message; this makes room
        client.close()
    for client in held[2:]:
        ask(client)
    check(proxy.stop() == 0)
    os.close(reader)


def test_standard_error_that_moves_again():
    """Dropped messages are counted and reported."""
    proxy, port, reader = stuck_proxy()
    for _ in range(400):
        proxy.process.send_signal(signal.SIGUSR1)
        with harness.connect(port) as client:
            ask(client)
    said = harness.Lines(os.fdopen(reader, encoding="ascii"))
    said.find(r"weir proxy: standard error: writing is too slow; [1-9]\d* lines were dropped")
    check(proxy.stop() == 0)


def limit_processes(pid, user=None, group=None):
    """Limits the process to one thread. Done as its user: root may lack CAP_SYS_RESOURCE."""
    child = os.fork()
    if child == 0:
        try:
            if user:
                os.setgid(group)
                os.setuid(user)
            resource.prlimit(pid, resource.RLIMIT_NPROC, (1, 1))
            os._exit(0)
        finally:
            os._exit(1)
    check(os.waitpid(child, 0)[1] == 0, "the number of processes cannot be limited")


def test_no_further_thread():
    """If no thread can be started, as with a limit of processes, log and counters still work."""
    how = {}
    if os.geteuid() == 0:
        how = {"user": 65534, "group": 65534}
        if not usage.reachable(how):
            raise Skip("another user cannot run the program from this folder")
    # The leak check of a sanitized build starts a thread at the end.
    proxy = Proxy(Upstream(echo), env={"ASAN_OPTIONS": "detect_leaks=0"}, **how)
    limit_processes(proxy.process.pid, **how)
    serve(proxy, 3)
    check(proxy.ends(count=3) == ["done"] * 3)
    check(proxy.counters()["accepted"] == 3)
    check(proxy.stop() == 0)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

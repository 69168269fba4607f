#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where weir proxy writes may be closed, full, or stand still: it serves, says so, and ends in time.

Usage: outlets.py WEIR [--backend NAME] [TEST...]
"""

import os
import resource
import sys
import tempfile

import harness
from harness import Proxy, Upstream, ask, check, echo


def test_closed_standard_descriptors():
    """They are not left for a ring or a socket to get: what is said would go there."""
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


def test_file_size_limit():
    """RLIMIT_FSIZE is an error of the write, not the end of the process."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        limit = (150, resource.RLIM_INFINITY)       # one line fits
        proxy = Proxy(Upstream(echo), options=["--access-log", path],
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        for _ in range(3):
            with proxy.connect() as client:
                ask(client)
        proxy.err.find("access log .*File too large")
        with proxy.connect() as client:
            ask(client)
        check(proxy.stop() == 0)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

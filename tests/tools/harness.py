# SPDX-License-Identifier: MIT
"""The frame of the end-to-end tests of the weir command: the proxy as a process, upstreams as
threads, and a runner that prints TAP.

A test is a function whose name begins with test_. It takes no arguments, raises an exception to
fail, and may raise Skip. All processes and sockets that it makes through this file are ended when
it returns. Waiting is not done by sleeping: lines are waited for with a condition variable, and
sockets with timeouts.
"""

import ctypes
import fcntl
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SCALE = int(os.environ.get("WEIR_TEST_SCALE", "1"))
SANITIZED = SCALE > 1
PATIENCE = 60.0 * SCALE         # seconds; what must happen and takes longer counts as missing
WEIR = None                     # the program under test; set by main
_open = []                      # things to close when the running test returns


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Lines:
    """Collects the lines of a pipe as they arrive."""

    def __init__(self, pipe):
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        for line in pipe:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        pipe.close()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def find(self, pattern, after=0, count=1):
        """Waits for count lines that match, and returns their matches."""
        def found():
            return [m for m in (re.search(pattern, l) for l in self.lines[after:]) if m]

        with self.changed:
            self.changed.wait_for(lambda: len(found()) >= count or self.ended, PATIENCE)
            matches = found()
            check(len(matches) >= count, f"expected {count} lines that match {pattern!r} in:",
                  "\n" + "\n".join(self.lines[-40:]))
            return matches[:count]


class Proxy:
    """A running `weir proxy` in front of upstreams (Upstream, or text)."""

    def __init__(self, *upstreams, options=(), stdout=None, env=None, **how):
        targets = ",".join(u if isinstance(u, str) else u.url for u in upstreams)
        command = [WEIR, "proxy", *options, "tcp://127.0.0.1:0", targets]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})}, **how)
        _open.append(self)
        self.err = Lines(self.process.stderr)
        self.log = Lines(self.process.stdout) if stdout is None else None
        match = self.err.find(r"listening on tcp://127\.0\.0\.1:(\d+) with (\d+) workers?, backend (\w+)")
        self.port = int(match[0][1])
        self.workers = int(match[0][2])

    def connect(self, **options):
        return connect(self.port, **options)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, patience=None):
        """Waits for the end of the process and of its pipes. Returns the exit code."""
        code = self.process.wait(patience or PATIENCE)
        for lines in (self.err, self.log):
            if lines:
                lines.thread.join(PATIENCE)
        return code

    def stop(self):
        """Sends SIGTERM. Returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def ends(self, count=1, pattern=r" end=(\S+)$"):
        """Returns the end= fields of the first count connections in the access log."""
        return [m[1] for m in self.log.find(pattern, count=count)]

    def counters(self):
        """Returns the counters that SIGUSR1 prints; those of an upstream as 'upstream URL key'."""
        before = len(self.err.lines)
        self.signal(signal.SIGUSR1)
        self.err.find(rf"^weir proxy: worker {self.workers - 1} ", after=before)
        return parse_counters(self.err.lines[before:])

    def wait_for(self, key, value):
        """Asks for the counters until one has the value."""
        end = time.monotonic() + PATIENCE
        while (counters := self.counters()).get(key) != value:
            check(time.monotonic() < end, f"{key} is not {value}:", counters)
        return counters

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def tell(self):
        """What is printed when the test fails."""
        return ["stderr:", *self.err.lines[-60:], "log:", *(self.log.lines[-30:] if self.log else [])]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Quiet:
    """A `weir proxy` whose output is not read."""

    def __init__(self, *arguments, **how):
        how.setdefault("stderr", subprocess.DEVNULL)
        self.process = subprocess.Popen([WEIR, "proxy", *arguments], **how)
        self.pid = self.process.pid
        _open.append(self)

    def wait_for_port(self, port):
        """Connects until the port answers: there is no output to wait for."""
        end = time.monotonic() + PATIENCE
        while True:
            check(self.process.poll() is None, "it has ended:", self.process.returncode)
            try:
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
                return
            except ConnectionRefusedError:
                check(time.monotonic() < end, "it does not listen")
                time.sleep(0.01)

    def stop(self):
        """Sends SIGTERM. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def parse_counters(lines):
    found = {}
    for line in lines:
        prefix = ""
        match = re.match(r"weir proxy: (upstream \S+|worker \d+) ", line)
        if match:
            prefix = match[1] + " "
        for key, value in re.findall(r"([\w-]+)=(\d+)", line):
            found[prefix + key] = int(value)
    return found


class Upstream:
    """A listening socket; handler(self, conn) runs in a thread for each connection."""

    def __init__(self, handler=None, backlog=512, at=("127.0.0.1", 0)):
        self.socket = socket.create_server(at, backlog=backlog)
        self.socket.settimeout(PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.handler = handler
        self.errors = []
        self.accepted = 0
        self.changed = threading.Condition()
        _open.append(self)
        if handler:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            conn.settimeout(PATIENCE)
            _open.append(conn)
            with self.changed:
                self.accepted += 1
                self.changed.notify_all()
            threading.Thread(target=self._handle, args=(conn,), daemon=True).start()

    def _handle(self, conn):
        try:
            self.handler(conn)
        except Exception as error:      # pylint: disable=broad-except
            self.errors.append(error)

    def accept(self):
        """Accepts the next connection. For upstreams without a handler."""
        conn, _ = self.socket.accept()
        conn.settimeout(PATIENCE)
        _open.append(conn)
        return conn

    def close(self):
        self.socket.close()


def echo(conn):
    while True:
        data = conn.recv(65536)
        if not data:
            break
        conn.sendall(data)
    conn.close()


def connect(port, receive_buffer=0):
    sock = socket.socket()
    _open.append(sock)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect(("127.0.0.1", port))
    return sock


def receive(sock, size):
    """Receives exactly size bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(65536, size - len(data)))
        check(piece, f"the stream ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def receive_all(sock):
    """Receives everything up to the end of the stream."""
    data = bytearray()
    while piece := sock.recv(65536):
        data += piece
    return bytes(data)


def ask(sock, text=b"x"):
    """Sends a text to an echo server and checks the answer."""
    sock.sendall(text)
    answer = receive(sock, len(text))
    check(answer == text, f"sent {text!r}, got {answer!r}")


def reset(sock):
    """Closes the socket with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def check_reset(sock):
    """Checks that the peer has reset the connection."""
    try:
        data = sock.recv(65536)
    except ConnectionResetError:
        return
    raise AssertionError(f"a reset was due, got {data!r}")


def pattern_bytes(size, seed):
    """Returns bytes that repeat with a prime period, so that shifted bytes do not match."""
    block = b"".join(hashlib.sha256(struct.pack("II", seed, i)).digest() for i in range(2053))
    return (block * (size // len(block) + 1))[:size]


def run_weir(*arguments, env=None, **options):
    """Runs weir to its end. Returns (exit code, stdout, stderr)."""
    done = subprocess.run([WEIR, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE, env={**os.environ, **(env or {})},
                          check=False, **options)
    return done.returncode, done.stdout, done.stderr


def refused(arguments, *wanted, env=None, **options):
    """Checks that weir exits with 2 and prints one line with these words."""
    code, out, err = run_weir(*arguments, env=env, **options)
    check(code == 2, f"{arguments}: exit code {code}, stderr: {err}")
    check(out == "", f"{arguments}: stdout: {out}")
    check(err.count("\n") == 1 and err.endswith("\n"), f"{arguments}: not one line: {err!r}")
    for words in wanted:
        check(words in err, f"{arguments}: {words!r} is not in {err!r}")


def refused_port():
    """Returns a port that refuses connections: it is bound, but nobody listens."""
    sock = socket.socket()
    _open.append(sock)
    sock.bind(("127.0.0.1", 0))
    return sock.getsockname()[1]


def free_port():
    """Returns a port that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


# The numbers of a few system calls.
CALLS = {
    "x86_64": {"socket": 41, "bind": 49, "clone": 56, "clone3": 435, "epoll_create1": 291},
    "aarch64": {"socket": 198, "bind": 200, "clone": 220, "clone3": 435, "epoll_create1": 20},
}


def failing(call, error, argument=None):
    """Returns a preexec_fn that makes a system call fail (only with this first argument, if given).

    It uses seccomp, which needs no privileges. For the program it looks like a kernel without the
    call.
    """
    numbers = CALLS.get(os.uname().machine)
    if not numbers:
        raise Skip("the numbers of its system calls are not known here")
    # load nr and compare it; load args[0] and compare it; fail if both match, else allow
    checks = [(0x20, 0, 0, 0), (0x15, 0, 3 if argument is not None else 1, numbers[call])]
    if argument is not None:
        checks += [(0x20, 0, 0, 16), (0x15, 0, 1, argument)]
    checks += [(0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7fff0000)]
    code = b"".join(struct.pack("HBBI", *c) for c in checks)

    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        keep = ctypes.create_string_buffer(code, len(code))
        program = ctypes.create_string_buffer(
            struct.pack("HxxxxxxQ", len(checks), ctypes.addressof(keep)), 16)
        for what in ((38, 1, 0, 0, 0), (22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0)):
            if libc.prctl(*what) < 0:
                os.write(2, b"no seccomp here\n")
                os._exit(77)
    return install


NO_NAMESPACES = 77


def with_a_mute_name_server():
    """A preexec_fn: the process gets a network namespace whose name server never answers.

    The name server is a bound socket, which the process inherits.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    new_user = 0x10000000 if os.geteuid() else 0
    config = tempfile.NamedTemporaryFile("w", suffix=".conf")  # pylint: disable=consider-using-with
    config.write("nameserver 127.0.0.1\n")
    config.flush()
    os.chmod(config.name, 0o644)
    if (libc.unshare(new_user | 0x00020000 | 0x40000000) < 0        # CLONE_NEWNS, CLONE_NEWNET
            or libc.mount(b"none", b"/", None, 0x44000, None) < 0   # MS_REC | MS_PRIVATE
            or libc.mount(config.name.encode(), b"/etc/resolv.conf", None, 0x1000, None) < 0):
        os._exit(NO_NAMESPACES)
    config.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        up = struct.pack("16sH14x", b"lo", 1)                       # IFF_UP
        fcntl.ioctl(sock, 0x8914, up)                               # SIOCSIFFLAGS
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    server.set_inheritable(True)
    server.detach()


def has_asked_it(pid):
    """Whether the process has sent a question to its name server."""
    with open(f"/proc/{pid}/net/udp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return any(row[1].endswith(":0035") and row[4].split(":")[1].strip("0") for row in rows)


def keep(thing):
    """Closes the thing when the test returns."""
    _open.append(thing)


def clean_up():
    while _open:
        _open.pop().close()


def end_early(signo, _frame):
    """Handles SIGTERM, which meson sends at a timeout: leaves no process behind."""
    clean_up()
    os._exit(128 + signo)


def tell_why():
    """Reports a failure on stderr: meson shows it, but of the TAP only the results."""
    print("# " + traceback.format_exc().replace("\n", "\n# "), file=sys.stderr)
    for thing in _open:
        if hasattr(thing, "tell"):
            print("# " + "\n# ".join(thing.tell()), file=sys.stderr, flush=True)


def main(tests):
    """Usage: TEST_FILE WEIR [--backend NAME] [TEST...]; runs the tests of a module, prints TAP.

    --backend sets WEIR_BACKEND for the programs under test, without falling back to another.
    """
    global WEIR                         # pylint: disable=global-statement
    WEIR = os.path.abspath(sys.argv[1])
    if sys.argv[2:3] == ["--backend"]:
        os.environ["WEIR_BACKEND"] = sys.argv[3]
        del sys.argv[2:4]
    os.environ.pop("COLUMNS", None)     # the tests expect the default width
    signal.signal(signal.SIGTERM, end_early)
    signal.signal(signal.SIGINT, end_early)
    names = sys.argv[2:] or [n for n in tests if n.startswith("test_")]
    failed = 0
    print(f"1..{len(names)}", flush=True)
    for number, name in enumerate(names, 1):
        begin, result, note = time.monotonic(), "ok", ""
        try:
            tests[name]()
        except Skip as reason:
            note = f" # SKIP {reason}"
        except BaseException:           # pylint: disable=broad-except
            result = "not ok"
            failed += 1
            tell_why()
        clean_up()
        print(f"{result} {number} - {name[5:]}{note}", flush=True)
        print(f"# {time.monotonic() - begin:.2f} s", flush=True)
    return 1 if failed else 0

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The stack against Linux: examples/stack/tap_http on a TAP device, with the ping, curl and sockets
of Linux on the other side.

All tests run in a network namespace that this script makes: as root, or as another user if user
namespaces and /dev/net/tun are available to all users. If it cannot be made, all tests are skipped
with the reason. When a test fails, the counters of the stack and the last frames are printed.

Usage: tap.py TAP_HTTP [TEST...]
"""

import collections
import errno
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))

import harness                                                  # pylint: disable=wrong-import-position
from harness import PATIENCE, Skip, check                       # pylint: disable=wrong-import-position

LINUX, STACK = "10.9.0.1", "10.9.0.2"
MTUS = (576, 1500, 9000)
BULK_PERIOD = bytes((31 * i + i // 256) % 256 for i in range(65521))    # examples/stack/http.h
MIB = 1 << 20
INSIDE = "WEIR_TAP_INSIDE"      # set in the environment of the script inside the namespace


# ---- the namespace -------------------------------------------------------------------------------

def run(*command, **options):
    """Runs a command, which must succeed, and returns its output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
                          **options)
    check(done.returncode == 0, *command, f"failed with {done.returncode}:\n{done.stdout}")
    return done.stdout


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")


def why_no_namespace():
    """Runs this script again in a new namespace. Returns only if none can be made: the reason."""
    reasons = []
    for how in [["unshare", "-n"]] * (os.geteuid() == 0) + [["unshare", "-Urn"]]:
        try:
            done = subprocess.run([*how, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "unshare is not installed"
        if done.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp(how[0], [*how, sys.executable, *sys.argv])
        reasons.append(f"{' '.join(how)}: {done.stderr.strip()}")
    return "; ".join(reasons)


def why_no_tun():
    """Tries to make a TAP device. Returns None, or the reason why it cannot be made."""
    try:
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"", 0x1002))   # TUNSETIFF, a TAP
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return None if shutil.which("ip") else "ip (iproute2) is not installed"


# ---- the frames on the device --------------------------------------------------------------------

def describe(frame):
    """Describes an Ethernet frame in one line."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0806:
        return f"ARP {'request' if frame[21] == 1 else 'reply'} from {socket.inet_ntoa(frame[28:32])}"
    if kind != 0x0800:
        return f"type {kind:#x}"
    length, ident, fragment = struct.unpack_from("!HHH", frame, 16)
    payload = frame[14 + (frame[14] & 15) * 4:]
    text = f"{socket.inet_ntoa(frame[26:30])} > {socket.inet_ntoa(frame[30:34])} {length} bytes"
    if fragment & 0x3fff:
        text += f", fragment {ident}:{(fragment & 0x1fff) * 8}{'+' if fragment & 0x2000 else ''}"
    if fragment & 0x1fff or len(payload) < 20:
        return text
    if frame[23] == 6:
        source, destination, seq, ack, offset, flags, window = struct.unpack_from("!HHLLBBH", payload)
        names = "".join(name for bit, name in enumerate("FSRPA") if flags & 1 << bit)
        return f"{text}, {source} > {destination} {names} seq {seq} ack {ack} win {window} " \
               f"options {payload[20:(offset >> 4) * 4].hex()}"
    return f"{text}, protocol {frame[23]} begins {payload[:8].hex()}"


class Watch:
    """Keeps the last frames of a device."""

    def __init__(self, device):
        self.frames = collections.deque(maxlen=60)
        self.begin = time.monotonic()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((device, 0))
        self.socket.settimeout(0.2)
        self.closed = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.closed:
            try:
                frame, address = self.socket.recvfrom(100)
            except TimeoutError:
                continue
            except OSError:         # the device is gone
                return
            self.frames.append((time.monotonic() - self.begin, address[2] == 4, frame))

    def lines(self):
        return [f"{at:.6f} {'linux' if outgoing else 'stack'} {describe(frame)}"
                for at, outgoing, frame in list(self.frames)]

    def close(self):
        self.closed = True
        self.thread.join(PATIENCE)
        self.socket.close()


def clean_up():
    """Removes the devices of an earlier host."""
    for device in ("tap0", "linux0", "router0"):
        subprocess.run(["ip", "link", "del", device], capture_output=True, check=False)
    if shutil.which("nft"):
        run("nft", "flush", "ruleset")


def lossy_wire(of_linux, of_stack):
    """Joins tap0 to a pair of virtual Ethernet devices; linux0 is Linux's end. One in of_linux
    segments of Linux is lost, and one in of_stack segments of the stack; 0: none."""
    need("nft")
    loss = "ip protocol tcp numgen random mod {} 0 drop"
    rules = f"""
        table netdev wire {{
            chain of_linux {{
                type filter hook ingress device linux1 priority 0
                {loss.format(of_linux) if of_linux else ""}
                fwd to "tap0"
            }}
            chain of_stack {{
                type filter hook ingress device tap0 priority 0
                {loss.format(of_stack) if of_stack else ""}
                fwd to "linux1"
            }}
        }}"""
    # No super-frames: one would be lost as a whole.
    run("ip", "link", "add", "linux0", "gso_max_segs", "1", "type", "veth", "peer", "linux1")
    run("ip", "link", "set", "linux1", "up")
    done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True,
                          check=False)
    if "Could not process rule" in done.stderr:         # the kernel cannot do it
        raise Skip(f"nft: {done.stderr.strip().splitlines()[0]}")
    check(done.returncode == 0, done.stderr)


class Host:
    """tap_http as a host behind the device tap0, whose other end is Linux's, or behind a lossy wire
    (of_linux, of_stack: see lossy_wire)."""

    def __init__(self, mtu=1500, of_linux=0, of_stack=0):
        device = "linux0" if of_linux or of_stack else "tap0"
        clean_up()
        run("ip", "tuntap", "add", "tap0", "mode", "tap")
        run("ip", "link", "set", "tap0", "mtu", str(mtu), "up")
        if device == "linux0":
            lossy_wire(of_linux, of_stack)
        run("ip", "link", "set", device, "up")
        run("ip", "addr", "add", f"{LINUX}/24", "dev", device)
        self.process = subprocess.Popen([harness.WEIR, "tap0", f"{STACK}/24", str(mtu), LINUX],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.watch = Watch("tap0")
        harness.keep(self)
        self.err = harness.Lines(self.process.stderr)
        harness.Lines(self.process.stdout).find(rf"^http://{STACK}/ on tap0$")

    def counters(self):
        return parse(curl("/counters"))

    def stop(self):
        """Ends the program as a user would. It must have freed everything. Returns the counters."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.err.thread.join(PATIENCE)
        check(code == 0, f"tap_http ended with {code}")
        counters = parse("\n".join(self.err.lines))
        for name in ("TcpInErrs", "TcpInCsumErrors", "IpInHdrErrors", "IpExtInCsumErrors",
                     "IcmpInCsumErrors", "IpInMartians", "MemoryRefused", "FramesRefused"):
            check(name not in counters, name, counters.get(name))
        self.close()
        return counters

    def tell(self):
        """Returns what to print for a test that has failed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.err.thread.join(PATIENCE)
        return ["tap_http and the counters of its stack:", *self.err.lines,
                "the last frames:", *self.watch.lines()]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.watch.close()


class Far:
    """Another network namespace, 10.9.1.2, with Linux as its router. The MTU of its link is smaller
    only at the router's end, so the router refuses full packets to it."""

    def __init__(self, mtu):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        harness.keep(self)
        self.process.stdout.readline()          # the namespace is there
        pid = str(self.process.pid)
        self.inside = ["nsenter", "-t", pid, "-n"]
        run("ip", "link", "add", "router0", "mtu", str(mtu), "type", "veth", "peer", "far0")
        run("ip", "link", "set", "far0", "netns", pid)
        run("ip", "link", "set", "router0", "up")
        run("ip", "addr", "add", "10.9.1.1/24", "dev", "router0")
        run(*self.inside, "ip", "link", "set", "far0", "up")
        run(*self.inside, "ip", "addr", "add", "10.9.1.2/24", "dev", "far0")
        run(*self.inside, "ip", "route", "add", "default", "via", "10.9.1.1")
        sysctl("ip_forward", 1)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def sysctl(name, value):
    """Sets an IPv4 variable (sysctl) of this namespace."""
    try:
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError as error:
        raise Skip(f"net.ipv4.{name}: {error.strerror}") from error


def parse(counters):
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", counters, re.M)}


# ---- clients ---------------------------------------------------------------------------------------

def curl(*arguments, **options):
    """Runs curl with paths of the stack's server as URLs, and returns its output."""
    need("curl")
    urls = [f"http://{STACK}{a}" if a.startswith("/") else a for a in arguments]
    return run("curl", "-sS", "--fail", "--max-time", str(PATIENCE), *urls, **options)


def bulk(size):
    return (BULK_PERIOD * (size // len(BULK_PERIOD) + 1))[:size]


def download(size, inside=()):
    """Fetches so many bytes with curl, and checks them."""
    need("curl")
    with subprocess.Popen([*inside, "curl", "-sS", "--fail", "--max-time", str(PATIENCE),
                           f"http://{STACK}/bytes/{size}"], stdout=subprocess.PIPE) as process:
        length = checksum = 0
        while piece := process.stdout.read1(MIB):
            length += len(piece)
            checksum = zlib.crc32(piece, checksum)
    check(process.returncode == 0, f"curl ended with {process.returncode}")
    check(length == size, f"{length} bytes instead of {size}")
    check(checksum == zlib.crc32(bulk(size)), "other bytes than were sent")


def upload(size):
    """Sends so many bytes with curl. The server must return their sum."""
    need("curl")
    data = bulk(size)
    done = subprocess.run(["curl", "-sS", "--fail", "--max-time", str(PATIENCE), "-T", "-", "-H",
                           "Transfer-Encoding:", "-H", f"Content-Length: {size}",
                           f"http://{STACK}/upload"], input=data, capture_output=True, check=False)
    check(done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr}")
    check(int(done.stdout, 16) == zlib.adler32(data), "other bytes arrived than were sent")


def ping(size):
    need("ping")
    said = run("ping", "-n", "-c", "2", "-i", "0.01", "-W", str(PATIENCE), "-s", str(size), STACK)
    check(" 2 received" in said and "wrong data" not in said, said)


def connect(receive_buffer=0):
    sock = socket.socket()
    harness.keep(sock)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect((STACK, 80))
    return sock


def ask(sock, path):
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {STACK}\r\n\r\n".encode())


def answer(sock):
    """Receives a response of the server and returns its body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += harness.receive(sock, 1)
    check(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
    return harness.receive(sock, int(re.search(rb"Content-Length: (\d+)", head)[1]))


# ---- tests -----------------------------------------------------------------------------------------

def test_ping_is_answered_also_in_fragments():
    for mtu in MTUS:
        host = Host(mtu)
        whole = mtu - 28
        for size in (0, 56, whole):
            ping(size)
        check("IpReasmOKs" not in host.counters() and "IpFragOKs" not in host.counters())
        for size in (whole + 1, 2 * mtu, 20000, 65507):
            ping(size)
        counters = host.stop()
        check(counters["IcmpOutEchoReps"] == 14, counters["IcmpOutEchoReps"])
        check(counters["IpReasmOKs"] == counters["IpFragOKs"] == 8, counters)


def test_curl_gets_a_small_answer():
    for mtu in MTUS:
        host = Host(mtu)
        check(curl("/") == "Hello from a TCP/IP stack that is a library.\n")
        host.stop()


def test_curl_keeps_a_connection_for_several_requests():
    host = Host()
    said = curl("-w", "connects %{num_connects}\n", *["/"] * 20)
    check(said.count("Hello") == 20, said)
    check(said.count("connects 1\n") == 1 and said.count("connects 0\n") == 19, said)
    check(host.stop()["TcpPassiveOpens"] == 1)


def test_requests_that_wait_are_answered_in_order():
    host = Host()
    sock = connect()
    sock.sendall(b"".join(b"GET /bytes/%d HTTP/1.1\r\n\r\n" % (i * 1000) for i in range(50)))
    sock.shutdown(socket.SHUT_WR)
    for i in range(50):
        check(answer(sock) == bulk(i * 1000), i)
    check(sock.recv(1) == b"", "the stream ends behind the last answer")
    host.stop()


def test_a_large_answer_arrives_whole():
    for mtu in MTUS:
        host = Host(mtu)
        download(64 * MIB if mtu == 1500 else 8 * MIB)
        host.stop()


def test_a_large_upload_arrives_whole():
    for mtu in MTUS:
        host = Host(mtu)
        upload(64 * MIB if mtu == 1500 else 8 * MIB)
        host.stop()


def test_a_slow_reader_closes_its_window_and_loses_nothing():
    host = Host()
    sock = connect(receive_buffer=1)        # as small as Linux allows
    ask(sock, "/bytes/300000")
    check(answer(sock) == bulk(300000))
    sock.close()
    host.stop()


def test_several_hundred_connections_at_once():
    host = Host()
    poll, socks = select.poll(), {}
    for _ in range(400):
        sock = socket.socket()
        harness.keep(sock)
        sock.setblocking(False)
        check(sock.connect_ex((STACK, 80)) == errno.EINPROGRESS)
        socks[sock.fileno()] = sock
        poll.register(sock, select.POLLOUT)
    waiting = set(socks)
    while waiting:
        ready = poll.poll(PATIENCE * 1000)
        check(ready, f"{len(waiting)} of {len(socks)} are not connected")
        for number, _ in ready:
            check(socks[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0)
            poll.unregister(number)
            waiting.remove(number)
    for sock in socks.values():
        sock.settimeout(PATIENCE)
    for size in (100, 20000):
        for sock in socks.values():
            ask(sock, f"/bytes/{size}")
        for sock in socks.values():
            check(answer(sock) == bulk(size))
    for sock in socks.values():
        sock.close()
    check(host.stop()["TcpPassiveOpens"] == 400)


def test_a_client_that_resets_leaves_nothing():
    host = Host()
    for _ in range(20):
        sock = connect()
        ask(sock, f"/bytes/{64 * MIB}")
        harness.receive(sock, 1000)
        harness.reset(sock)
    check(curl("/").startswith("Hello"))
    check(host.stop()["TcpResetsReceived"] == 20)


def test_a_client_that_closes_with_data_unread_leaves_nothing():
    host = Host()
    for _ in range(20):
        sock = connect()
        ask(sock, f"/bytes/{MIB}")
        harness.receive(sock, 10)
        sock.close()
    check(curl("/").startswith("Hello"))
    check(host.stop()["TcpResetsReceived"] == 20)


def test_a_port_is_used_again_while_the_stack_waits():
    """Linux reuses a port that is in TIME_WAIT at the stack (RFC 1122 4.2.2.13, RFC 6191)."""
    for timestamps in (1, 0):
        sysctl("tcp_timestamps", timestamps)
        sysctl("ip_local_port_range", "40000 40049")
        host = Host()
        for _ in range(500):
            sock = connect()
            sock.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            check(harness.receive_all(sock).endswith(b"library.\n"))
            sock.close()
        sysctl("tcp_timestamps", 1)
        sysctl("ip_local_port_range", "32768 60999")
        check(host.stop()["TcpExtTWRecycled"] >= 450)


def test_the_mtu_of_a_router_is_learnt():
    for mtu in (1400, 576):
        host = Host()
        far = Far(mtu)
        download(4 * MIB, far.inside)
        counters = host.stop()
        check(counters["IpPathMtuLowered"] == 1 and "TcpExtTCPTimeouts" not in counters, counters)
        far.close()


def test_closed_ports_refuse():
    host = Host()
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        check(sock.connect_ex((STACK, 81)) == errno.ECONNREFUSED)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((STACK, 81))
        for size in (0, 1000, 5000):        # the last one in fragments
            sock.send(bytes(size))
            try:
                sock.recv(1)
                check(False, "a datagram came")
            except ConnectionRefusedError:
                pass
    counters = host.stop()
    check(counters["TcpOutRsts"] == 1 and counters["IcmpOutDestUnreachs"] == 3, counters)


def through_loss(of_linux, of_stack):
    host = Host(of_linux=of_linux, of_stack=of_stack)
    for _ in range(2):
        download(2 * MIB)
        upload(2 * MIB)
    return host.stop()


def test_lost_segments_of_linux_are_asked_for():
    check(through_loss(of_linux=50, of_stack=0)["TcpExtTCPOFOQueue"] > 0)


def test_lost_segments_of_the_stack_are_sent_again():
    check(through_loss(of_linux=0, of_stack=50)["TcpRetransSegs"] > 0)


def test_segments_of_both_are_lost():
    counters = through_loss(of_linux=30, of_stack=30)
    check(counters["TcpExtTCPOFOQueue"] > 0 and counters["TcpRetransSegs"] > 0, counters)


def test_linux_without_options_of_tcp():
    options = ("tcp_sack", "tcp_timestamps", "tcp_window_scaling")
    for off in [*zip(options), options]:
        for name in options:
            sysctl(name, int(name not in off))
        host = Host(of_linux=50, of_stack=50)
        download(MIB)
        upload(MIB)
        host.stop()
    for name in options:
        sysctl(name, 1)


def main():
    reason = why_no_tun() if INSIDE in os.environ else why_no_namespace()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    run("ip", "link", "set", "lo", "up")
    return harness.main(globals())


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the peers side by side and prints tables. See README.md.

  run-peers.py [--bin DIR] [--weir BUILD] [--what echo,cliff,proxy,micro,idle,syscalls,http]
               [--rounds 5] [--secs 1.0] [--modes 1w,2w] [--conns 1,64,1000] [--sizes 64,16384]
               [--peers NAME,..] [--results FILE.jsonl] [--table-only] [--targets]
               [--echo NAME=COMMAND].. [--proxy NAME=COMMAND].. [--micro NAME=COMMAND]..

--weir BUILD adds weir's own programs from a build folder (a release build, please).
--targets runs what weir's targets need and prints each with its ratio and PASS or MISS; with
--table-only it judges old results. Its exit status is 1 where a target is missed.

A COMMAND may hold {port} {workers} {upstream} {bin} {weir}; an echo or proxy program
prints a line with "listening" when it is ready (or simply accepts).

  1w: the server pinned on cpu 0, the load (and, for proxies, the echo behind) on cpu 1.
  1c: one worker, server and load (and the echo behind) all on cpu 0: no wake-up
      crosses cpus, so it shows path length without the hypervisor's wake cost.
  2w: two workers, server and load on both cpus.
  cliff: echo in 1w of 64 B messages at 400 to 10,000 connections: p99 over p50.
The peers are interleaved: each round runs every peer once at every point, in
an order that turns from round to round. Only processes started here are ended.
"""
import argparse, json, os, re, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser()
ap.add_argument("--bin", default="out/bin")
ap.add_argument("--weir", default="", help="weir's build folder")
ap.add_argument("--targets", action="store_true")
ap.add_argument("--what", default="")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--secs", type=float, default=1.0)
ap.add_argument("--warm", type=float, default=0.2)
ap.add_argument("--micro-secs", type=float, default=1.0)
ap.add_argument("--micro-only", default="", help="prefixes of operations, comma between")
ap.add_argument("--modes", default="")
ap.add_argument("--conns", default="")
ap.add_argument("--sizes", default="64,16384")
ap.add_argument("--idle-conns", type=int, default=10000)
ap.add_argument("--idle-proxy-conns", type=int, default=4500)
ap.add_argument("--peers", default="")
ap.add_argument("--results", default="results.jsonl")
ap.add_argument("--table-only", action="store_true")
ap.add_argument("--base", default="tokio-sid", help="the peer that ratios are against")
ap.add_argument("--port", type=int, default=21000)
ap.add_argument("--echo", action="append", default=[])
ap.add_argument("--proxy", action="append", default=[])
ap.add_argument("--micro", action="append", default=[])
A = ap.parse_args()
A.what = A.what or ("echo,proxy,micro,idle,syscalls,cliff" if A.targets else "echo,proxy,micro,idle,syscalls")
A.modes = A.modes or ("1c" if A.targets else "1w,2w")
A.conns = A.conns or ("1,64" if A.targets else "1,64,1000")
if A.targets:
    A.peers = A.peers or "weir,weir-fiber,floor-epoll,tokio-sid,tokio-sid-buf32k,haproxy,nginx,go"
B = os.path.abspath(A.bin)
TMP = tempfile.mkdtemp(prefix="peers.")

ECHO = {
    "floor-epoll": "{bin}/epoll-echo --port {port} --workers {workers}",
    "floor-uring": "{bin}/uring-echo --port {port} --workers {workers}",
    "tokio-trixie": "{bin}/tokio-echo-trixie --port {port} --workers {workers}",
    "tokio-sid": "{bin}/tokio-echo-sid --port {port} --workers {workers}",
    "tokio-sid-ct": "{bin}/tokio-echo-sid --port {port} --current-thread",
    "tokio-sid-buf32k": "{bin}/tokio-echo-sid --port {port} --workers {workers} --buf 32768",
    "libuv": "{bin}/uv-echo --port {port} --workers {workers}",
    "libev": "{bin}/ev-echo --port {port} --workers {workers}",
    "libevent": "{bin}/event-echo --port {port} --workers {workers}",
    "go": "{bin}/go-echo -port {port} -workers {workers}",
}
ECHO_ONE = {"tokio-sid-ct", "tokio-sid-buf32k"}  # not run with two workers
PROXY = {
    "tokio-trixie": "{bin}/tokio-proxy-trixie --port {port} --upstream 127.0.0.1:{upstream} --workers {workers}",
    "tokio-sid": "{bin}/tokio-proxy-sid --port {port} --upstream 127.0.0.1:{upstream} --workers {workers}",
    "tokio-sid-buf32k": "{bin}/tokio-proxy-sid --port {port} --upstream 127.0.0.1:{upstream} --workers {workers} --buf 32768",
    "go": "{bin}/go-proxy -port {port} -upstream 127.0.0.1:{upstream} -workers {workers}",
    "go-nosplice": "{bin}/go-proxy -port {port} -upstream 127.0.0.1:{upstream} -workers {workers} -nosplice",
    "haproxy": "haproxy -db -f {cfg:haproxy.cfg}",
    "haproxy-splice": "haproxy -db -f {cfg:haproxy.cfg:splice}",
    "nginx": "nginx -c {cfg:nginx.conf}",
}
MICRO = {
    "tokio-trixie": "{bin}/tokio-micro-trixie --workers {workers}",
    "tokio-sid": "{bin}/tokio-micro-sid --workers {workers}",
    "tokio-sid-ct": "{bin}/tokio-micro-sid --current-thread",
    "go": "{bin}/go-micro -workers {workers}",
}
IDLE_EXTRA = {
    "tokio-sid-lazy": "{bin}/tokio-echo-sid --port {port} --workers {workers} --lazy",
    "tokio-sid-buf1k": "{bin}/tokio-echo-sid --port {port} --workers {workers} --buf 1024",
    "go-buf1k": "{bin}/go-echo -port {port} -workers {workers} -buf 1024",
}
CLIFF = {n: ECHO[n] for n in ("floor-epoll", "tokio-sid", "tokio-sid-ct")}
if A.weir:
    ECHO_OURS = {
        "weir": "{weir}/bench/weir-echo --port {port} --workers {workers}",
        "weir-fiber": "{weir}/bench/weir-echo --port {port} --workers {workers} --fiber",
        "weir-copy": "{weir}/bench/weir-echo --port {port} --workers {workers} --copy",
        "weir-ct": "{weir}/bench/weir-echo --port {port} --current-thread",
    }
    ECHO = {**ECHO_OURS, **ECHO}
    CLIFF = {**{n: ECHO[n] for n in ("weir", "weir-fiber")}, **CLIFF}
    ECHO_ONE.add("weir-ct")
    PROXY = {"weir": "{weir}/tools/weir proxy tcp://127.0.0.1:{port} tcp://127.0.0.1:{upstream} --workers {workers}", **PROXY}
    MICRO = {
        "weir": "{weir}/bench/weir-micro --workers {workers}",
        "weir-fiber": "{weir}/bench/weir-micro --workers {workers} --fiber",
        "weir-ct": "{weir}/bench/weir-micro --current-thread",
        **MICRO,
    }
for given, table in ((A.echo, ECHO), (A.proxy, PROXY), (A.micro, MICRO)):
    for g in given:
        n, c = g.split("=", 1)
        table[n] = c
WANT = [p for p in A.peers.split(",") if p]


def there(text):
    """Whether a program of ours has been built."""
    return not text.startswith("{weir}") or os.path.exists(text.split()[0].format(weir=os.path.abspath(A.weir)))


def pick(table):
    return [n for n in table if (not WANT or n in WANT) and there(table[n])]


def command(text, port, workers, upstream=0):
    def cfg(m):
        name, opt = m.group(1), m.group(2)
        s = open(f"{HERE}/conf/{name}.in").read()
        for k, v in {"THREADS": workers, "PORT": port, "UPSTREAM_PORT": upstream, "DIR": TMP, "PROXY_PORT": port + 1,
                     "SPLICE": "option splice-auto" if opt == ":splice" else ""}.items():
            s = s.replace(f"@{k}@", str(v))
        path = f"{TMP}/{name}.{port}"
        open(path, "w").write(s)
        return path
    text = re.sub(r"\{cfg:([\w.-]+)(:\w+)?\}", cfg, text)
    return text.format(bin=B, weir=os.path.abspath(A.weir), port=port, workers=workers, upstream=upstream).split()


def children(pid):
    out = [pid]
    try:
        for t in os.listdir(f"/proc/{pid}/task"):
            for c in open(f"/proc/{pid}/task/{t}/children").read().split():
                out += children(int(c))
    except OSError:
        pass
    return out


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Server:
    def __init__(self, text, port, workers, cpus, upstream=0):
        end = time.time() + 5   # the kernel closes a dead program's ring and its sockets with delay
        while answers(port) and time.time() < end:
            time.sleep(0.05)
        if answers(port):  # another server on this port would take connections
            sys.exit(f"run-peers.py: port {port} is in use; end that server or change --port")
        self.log = open(f"{TMP}/log.{port}", "w")
        self.p = subprocess.Popen(["taskset", "-c", cpus] + command(text, port, workers, upstream),
                                  stdout=self.log, stderr=self.log)
        self.port = port
        end = time.time() + 10
        while not answers(port):
            if time.time() > end or self.p.poll() is not None:
                raise RuntimeError(f"did not start: {text}: " + open(self.log.name).read()[-500:])
            time.sleep(0.02)
        time.sleep(0.05)

    def pids(self):
        return children(self.p.pid)

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(3)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()


def stat():
    t = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return sum(t[:3]) + sum(t[5:7]), t[7]  # busy ticks (all cpus), stolen ticks


def self_ticks(pids):
    n = 0
    for p in pids:
        try:
            f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            n += int(f[11]) + int(f[12])
        except OSError:
            pass
    return n


out = None
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers on the way out


def emit(rec):
    out.write(json.dumps(rec) + "\n")
    out.flush()


def load(server, conns, size, cpu, secs, behind=None, extra=()):
    pids = server.pids()
    every = pids + (behind.pids() if behind else [])
    cmd = [f"{B}/load", "--port", str(server.port), "--conns", str(conns), "--size", str(size), "--secs", str(secs),
           "--warm", str(A.warm)] + [x for p in pids for x in ("--pid", str(p))] + list(extra)
    if cpu is not None:
        cmd += ["--cpu", str(cpu)]
    (b0, s0), k0, c0, t0 = stat(), self_ticks(every), os.times(), time.time()
    r = subprocess.run(cmd, capture_output=True, text=True)
    (b1, s1), k1, c1, el = stat(), self_ticks(every), os.times(), time.time() - t0
    if not r.stdout.strip():
        raise RuntimeError(f"load failed ({r.returncode}): {' '.join(cmd)}: {r.stderr}")
    rec = json.loads(r.stdout)
    hz = os.sysconf("SC_CLK_TCK")
    mine = (k1 - k0) / hz + (c1[2] + c1[3] - c0[2] - c0[3])
    rec["others"] = round(max(0.0, (b1 - b0) / hz - mine) / el, 3)  # cpus' worth of other work
    rec["steal"] = round((s1 - s0) / hz / el, 3)
    rec["exit"] = r.returncode
    return rec


def turned(names, n):
    n %= max(1, len(names))
    return names[n:] + names[:n]


def points():
    for c in A.conns.split(","):
        for s in A.sizes.split(","):
            yield int(c), int(s)


def settle(mode):
    return {"1w": ("0", 1, 1), "1c": ("0", 0, 1), "2w": ("0,1", None, 2)}[mode]


CLIFF_CONNS = (400, 1000, 2000, 10000)


def run_net(what, table, modes, pts):
    for rnd in range(A.rounds):
        for mode in modes:
            cpus, lcpu, workers = settle(mode)
            names = [n for n in pick(table) if mode != "2w" or n not in ECHO_ONE]
            servers, behind, port = {}, None, A.port
            try:
                if what == "proxy":
                    behind = Server(ECHO["floor-epoll"], port, workers, "1" if mode == "1w" else cpus)
                for n in names:
                    port += 2
                    servers[n] = Server(table[n], port, workers, cpus, A.port)
                for i, (c, s) in enumerate(pts):
                    for n in turned(names, rnd + i):
                        try:
                            rec = load(servers[n], c, s, lcpu, A.secs, behind)
                        except RuntimeError as e:
                            emit({"what": "failed", "of": what, "mode": mode, "peer": n, "conns": c, "size": s, "why": str(e)})
                            print(e, file=sys.stderr, flush=True)
                            continue
                        rec.update(what=what, mode=mode, peer=n, round=rnd)
                        emit(rec)
            finally:
                for s in servers.values():
                    s.stop()
                if behind:
                    behind.stop()


def run_micro():
    for rnd in range(A.rounds):
        for mode in A.modes.split(","):
            cpus, _, workers = settle(mode)
            names = [n for n in pick(MICRO) if mode != "2w" or n not in ECHO_ONE]
            for n in turned(names, rnd):
                dash = "-" if "/go-micro" in MICRO[n] else "--"
                cmd = ["taskset", "-c", cpus] + command(MICRO[n], 0, workers) + [dash + "secs", str(A.micro_secs)]
                if A.micro_only:
                    cmd += [dash + "only", A.micro_only]
                r = subprocess.run(cmd, capture_output=True, text=True)
                for l in r.stdout.splitlines():
                    rec = json.loads(l)
                    rec.update(what="micro", mode=mode, peer=n, round=rnd)
                    emit(rec)
                if r.returncode:
                    print(f"{n}: exit {r.returncode}: {r.stderr[-300:]}", file=sys.stderr)


def run_idle():
    for rnd in range(min(3, A.rounds)):
        port = A.port
        for n in pick(ECHO) + pick(IDLE_EXTRA):
            port += 2
            s = Server({**ECHO, **IDLE_EXTRA}[n], port, 1, "0")
            try:
                rec = load(s, A.idle_conns, 64, 1, 0, extra=("--idle", "1000"))
                rec.update(what="idle", peer=n, round=rnd)
                emit(rec)
            finally:
                s.stop()
        for n in pick(PROXY):
            port += 2
            b = Server(ECHO["floor-epoll"], A.port, 1, "1")
            s = None
            try:
                s = Server(PROXY[n], port, 1, "0", A.port)
                rec = load(s, A.idle_proxy_conns, 64, 1, 0, b, extra=("--idle", "1000"))
                rec.update(what="idle-proxy", peer=n, round=rnd)
                emit(rec)
            finally:
                if s:
                    s.stop()
                b.stop()


EVENTS = ["raw_syscalls:sys_enter"] + ["syscalls:sys_enter_" + x for x in (
    "epoll_wait", "epoll_pwait", "epoll_ctl", "read", "readv", "recvfrom", "write", "writev", "sendto", "sendmsg", "splice",
    "futex", "io_uring_enter", "sched_yield", "nanosleep")]


def run_syscalls():
    for what, table in (("echo", ECHO), ("proxy", PROXY)):
        for mode in A.modes.split(","):
            cpus, lcpu, workers = settle(mode)
            port = A.port
            for n in [x for x in pick(table) if mode != "2w" or x not in ECHO_ONE]:
                port += 2
                behind = Server(ECHO["floor-epoll"], A.port, workers, "1" if mode == "1w" else cpus) if what == "proxy" else None
                s = Server(table[n], port, workers, cpus, A.port)
                try:
                    for c, size in points():
                        f = f"{TMP}/perf"
                        perf = subprocess.Popen(["perf", "stat", "-x", ";", "-o", f, "-e", ",".join(EVENTS), "-p",
                                                 ",".join(map(str, s.pids()))], stderr=subprocess.DEVNULL)
                        time.sleep(0.3)
                        try:
                            rec = load(s, c, size, lcpu, A.secs, behind)
                        except RuntimeError as e:
                            print(e, file=sys.stderr, flush=True)
                            continue
                        finally:
                            perf.send_signal(signal.SIGINT)
                            perf.wait()
                        calls = {}
                        for l in open(f):
                            p = l.split(";")
                            if len(p) > 2 and p[0].isdigit() and int(p[0]):
                                calls[p[2].split("sys_enter_")[-1].replace("raw_syscalls:sys_enter", "all")] = int(p[0]) / rec["total"]
                        emit({"what": "syscalls", "of": what, "mode": mode, "peer": n, "conns": c, "size": size, "calls": calls})
                finally:
                    s.stop()
                    if behind:
                        behind.stop()


def run_http():
    for rnd in range(A.rounds):
        for mode in A.modes.split(","):
            cpus, _, workers = settle(mode)
            s = Server("nginx -c {cfg:nginx-http.conf}", A.port, workers, cpus)
            try:
                for name, port in (("nginx-http", A.port), ("nginx-http-proxy", A.port + 1)):
                    r = subprocess.run(["taskset", "-c", "1" if mode == "1w" else cpus, "wrk", "-t1", "-c64",
                                        f"-d{max(1, int(A.secs))}s", "--latency", f"http://127.0.0.1:{port}/"],
                                       capture_output=True, text=True).stdout
                    m = re.search(r"Requests/sec:\s+([\d.]+)", r)
                    p = re.search(r"99%\s+(\S+)", r)
                    emit({"what": "http", "mode": mode, "peer": name, "round": rnd, "rps": float(m.group(1)), "p99": p.group(1)})
            finally:
                s.stop()


def med(v):
    return statistics.median(v) if v else float("nan")


def tables(path):
    recs = [json.loads(l) for l in open(path)]
    def num(x):
        return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"
    for what in ("echo", "cliff", "proxy"):
        rs = [r for r in recs if r["what"] == what]
        for mode in ("1c", "1w", "2w"):
            ms = [r for r in rs if r["mode"] == mode]
            if not ms:
                continue
            names = list(dict.fromkeys(n for n in {**ECHO, **PROXY} if any(r["peer"] == n for r in ms))) + \
                sorted({r["peer"] for r in ms} - set(ECHO) - set(PROXY))
            print(f"\n### {what}, {mode} (median of {1 + max(r['round'] for r in ms)}; spread = (max-min)/median of rps; "
                  f"CPU ratio against {A.base})\n")
            print("| conns x bytes | peer | req/s | spread | p50 us | p99 us | p99.9 us | server CPU us/req | CPU ratio | errors |")
            print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
            for c, s in sorted({(r["conns"], r["size"]) for r in ms}):
                base = med([r["cpu_us"] for r in ms if (r["conns"], r["size"], r["peer"]) == (c, s, A.base)])
                for n in names:
                    v = [r for r in ms if (r["conns"], r["size"], r["peer"]) == (c, s, n)]
                    if not v:
                        continue
                    rps = [r["rps"] for r in v]
                    cpu = med([r["cpu_us"] for r in v])
                    print(f"| {c} x {s} | {n} | {med(rps):,.0f} | {100 * (max(rps) - min(rps)) / med(rps):.0f}% | "
                          + " | ".join(num(med([r[k] for r in v])) for k in ("p50", "p99", "p999"))
                          + f" | {cpu:.2f} | {cpu / base:.2f} | {sum(r['errors'] + r['wrong'] for r in v)} |")
            ot = [r["others"] for r in ms]
            print(f"\nOther work on the box in these windows: median {med(ot):.2f} of 2 cpus, max {max(ot):.2f}; "
                  f"steal median {med([r['steal'] for r in ms]):.2f}, max {max(r['steal'] for r in ms):.2f}.")
    rs = [r for r in recs if r["what"] == "micro"]
    for mode in ("1c", "1w", "2w"):
        ms = [r for r in rs if r["mode"] == mode]
        if not ms:
            continue
        names = [n for n in MICRO if any(r["peer"] == n for r in ms)] + sorted({r["peer"] for r in ms} - set(MICRO))
        print(f"\n### micro, {mode}: CPU ns/op (wall ns/op), median of {1 + max(r['round'] for r in ms)}\n")
        print("| operation | " + " | ".join(names) + " |")
        print("|---|" + "---:|" * len(names))
        for op in dict.fromkeys(r["name"] for r in ms):
            cells = []
            for n in names:
                v = [r for r in ms if r["name"] == op and r["peer"] == n]
                if not v:
                    cells.append("-")
                    continue
                w = med([r["value"] for r in v])
                if "cpu" in v[0]:
                    cells.append(f"{num(med([r['cpu'] for r in v]))} ({num(w)})")
                elif "late_us_p50" in v[0]:
                    cells.append(f"{num(w)} {v[0]['unit']}, late p50 {med([r['late_us_p50'] for r in v]):.0f} "
                                 f"p99 {med([r['late_us_p99'] for r in v]):.0f} us")
                else:
                    cells.append(f"{num(w)} {v[0]['unit']}")
            print(f"| {op} | " + " | ".join(cells) + " |")
    for what in ("idle", "idle-proxy"):
        rs = [r for r in recs if r["what"] == what]
        if rs:
            print(f"\n### {what}: resident bytes a connection ({rs[0]['idle_conns']} connections, one 64 B message each, then idle)\n")
            print("| peer | RSS B/conn | process base KiB | unanswered |\n|---|---:|---:|---:|")
            for n in dict.fromkeys(r["peer"] for r in rs):
                v = [r for r in rs if r["peer"] == n]
                print(f"| {n} | {med([r['rss_per_conn'] for r in v]):,.0f} | {med([r['rss_base_kb'] for r in v]):,.0f} | {max(r['unanswered'] for r in v)} |")
    rs = [r for r in recs if r["what"] == "syscalls"]
    for of in ("echo", "proxy"):
        for mode in ("1c", "1w", "2w"):
            ms = [r for r in rs if r["of"] == of and r["mode"] == mode]
            if not ms:
                continue
            pts = sorted({(r["conns"], r["size"]) for r in ms})
            print(f"\n### syscalls a request, {of}, {mode}\n")
            print("| peer | " + " | ".join(f"{c} x {s}" for c, s in pts) + " |\n|---|" + "---|" * len(pts))
            for n in dict.fromkeys(r["peer"] for r in ms):
                cells = []
                for p in pts:
                    v = [r for r in ms if r["peer"] == n and (r["conns"], r["size"]) == p]
                    if not v:
                        cells.append("-")
                        continue
                    c = dict(v[-1]["calls"])
                    al = c.pop("all", 0)
                    cells.append(f"**{al:.2f}** (" + ", ".join(f"{k} {x:.2f}" for k, x in sorted(c.items(), key=lambda i: -i[1]) if x >= 0.01) + ")")
                print(f"| {n} | " + " | ".join(cells) + " |")
    rs = [r for r in recs if r["what"] == "http"]
    if rs:
        print("\n### http, wrk -c64\n\n| mode | server | req/s (median) |\n|---|---|---:|")
        for k in dict.fromkeys((r["mode"], r["peer"]) for r in rs):
            print(f"| {k[0]} | {k[1]} | {med([r['rps'] for r in rs if (r['mode'], r['peer']) == k]):,.0f} |")


# ---- weir's targets: (what, ours, point or operation, figure, against or None, limit) ----
# With a rival in "against" the value is a ratio, with None it is absolute. Lower is always better.

TARGETS = [
    ("echo", "weir", (64, 64), "cpu_us", "floor-epoll", 1.04),
    ("echo", "weir-fiber", (64, 64), "cpu_us", "floor-epoll", 1.07),
    ("echo", "weir", (64, 64), "cpu_us", "tokio-sid", 0.95),
    ("echo", "weir-fiber", (64, 64), "cpu_us", "tokio-sid", 0.97),
    ("echo", "weir", (64, 16384), "cpu_us", "floor-epoll", 1.04),
    ("echo", "weir", (64, 16384), "cpu_us", "tokio-sid", 0.86),
    ("echo", "weir", (1, 64), "cpu_us", "floor-epoll", 1.05),
    *[("cliff", o, (c, 64), "p99", "p50", 2.0) for o in ("weir", "weir-fiber") for c in CLIFF_CONNS],
    *[("cliff", "weir", (c, 64), "p99", "tokio-sid", 0.1) for c in CLIFF_CONNS],
    ("proxy", "weir", (64, 16384), "cpu_us", "tokio-sid", 0.60),
    ("proxy", "weir", (64, 16384), "cpu_us", "tokio-sid-buf32k", 0.83),
    ("proxy", "weir", (64, 16384), "cpu_us", "haproxy", 0.85),
    ("proxy", "weir", (64, 16384), "cpu_us", "go", 0.97),
    ("proxy", "weir", (64, 64), "cpu_us", "nginx", 0.97),
    ("idle", "weir", None, "rss_per_conn", None, 400),
    ("idle", "weir-fiber", None, "rss_per_conn", None, 4710),
    ("idle-proxy", "weir", None, "rss_per_conn", None, 1536),
    ("syscalls", "weir", (64, 64), "all", None, 2.03),
    ("syscalls", "weir", (64, 16384), "all", None, 2.1),
    ("micro", "weir", "mem_task_parked", "value", None, 192),
    ("micro", "weir-fiber", "mem_task_parked", "value", None, 4608),
    *[("micro", "weir", op, "cpu", "tokio-sid", limit) for op, limit in (
        ("spawn_join", 0.40), ("spawn_many_local", 0.40), ("chained_spawn", 0.40), ("spawn_join_main", 0.6),
        ("yield_many", 0.35), ("yield_one", 0.25), ("ping_pong", 0.45), ("mpsc_bounded_1p", 0.35),
        ("mpsc_bounded_8p", 0.35), ("oneshot", 0.4), ("mutex_uncontended", 0.25), ("mutex_100_handoff", 0.4),
        ("semaphore_uncontended", 0.3), ("notify_ping_pong", 0.45), ("spawn_blocking", 0.9),
        ("timer_reg_cancel", 0.12))],
    ("micro", "weir-fiber", "yield_many", "cpu", "tokio-sid", 0.6),
    ("micro", "weir", "mpsc_bounded_1p", "cpu", "go", 0.7),
    ("micro", "weir", "mpsc_bounded_8p", "cpu", "go", 0.7),
    ("micro", "weir", "timer_1m_create", "value", "tokio-sid", 0.2),
    ("micro", "weir", "timer_1m_bytes", "value", None, 72.1),  # 72, and the page at the end
    ("micro", "weir", "timer_fire_100k", "value", "tokio-sid", 0.4),
    ("micro", "weir", "timer_fire_100k", "late_us_p50", None, 1100),
    ("micro", "weir", "timer_fire_100k", "late_us_p99", None, 2000),
]


QUIET = 0.1  # CPUs that other programs may use in a window; above it the tail is the machine's
doing


def figures(recs, what, peer, point, figure):
    out = []
    if what == "cliff":
        here = [r for r in recs if (r["what"], r["peer"]) == (what, peer) and (r["conns"], r["size"]) == point]
        quiet = [r for r in here if r["others"] <= QUIET]
        recs = quiet or here
    for r in recs:
        if r["what"] != what or r["peer"] != peer:
            continue
        if what == "syscalls":
            if r["of"] == "echo" and (r["conns"], r["size"]) == point and "all" in r["calls"]:
                out.append(r["calls"]["all"])
        elif what in ("idle", "idle-proxy") or (what == "micro" and r["name"] == point and figure in r) or \
                (what in ("echo", "cliff", "proxy") and (r["conns"], r["size"]) == point
                 and r["mode"] == ("1w" if what == "cliff" else "1c")):
            out.append(r[figure])
    return out


def targets(path):
    """Prints the table and returns how many targets were missed. In it, "best" compares the lowest figures."""
    recs = [json.loads(l) for l in open(path)]
    missed = 0
    print(f"\n### targets\n\nCliff: windows in which others used up to {QUIET} cpus, or all where there is none.\n\n| what | ours | figure | ours: median (min to max) | against | its median | value | best | limit | |")
    print("|---|---|---|---:|---|---:|---:|---:|---:|---|")
    for what, ours, point, figure, rival, limit in TARGETS:
        v = figures(recs, what, ours, point, figure)
        if rival == "p50":
            w = figures(recs, what, ours, point, "p50")
        else:
            w = figures(recs, what, rival, point, figure) if rival else []
        where = f"{what} {point[0]} x {point[1]}" if isinstance(point, tuple) else f"{what} {point or ''}"
        if not v or (rival and not w):
            print(f"| {where} | {ours} | {figure} | - | {rival or ''} | - | - | - | {limit} | not measured |")
            continue
        value = med(v) / med(w) if rival else med(v)
        best = min(v) / min(w) if rival else min(v)
        ok = value <= limit
        missed += not ok
        print(f"| {where} | {ours} | {figure} | {med(v):.2f} ({min(v):.2f} to {max(v):.2f}) | {rival or ''} | "
              f"{f'{med(w):.2f}' if w else ''} | {value:.3g} | {best:.3g} | {limit} | {'PASS' if ok else 'MISS'} |")
    return missed


if not A.table_only:
    out = open(A.results, "a")
    for w in A.what.split(","):
        if w == "echo":
            run_net("echo", ECHO, A.modes.split(","), list(points()))
        elif w == "cliff":
            run_net("cliff", CLIFF, ["1w"], [(c, 64) for c in CLIFF_CONNS])
        elif w == "proxy":
            run_net("proxy", PROXY, A.modes.split(","), list(points()))
        elif w == "micro":
            run_micro()
        elif w == "idle":
            run_idle()
        elif w == "syscalls":
            run_syscalls()
        elif w == "http":
            run_http()
        else:
            sys.exit(f"run-peers.py: --what {w}: unknown")
    out.close()
tables(A.results)
if A.targets:
    sys.exit(1 if targets(A.results) else 0)

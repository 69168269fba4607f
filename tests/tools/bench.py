#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir bench: short runs of every workload; its JSON, checked against docs/bench-json.md and with
Google Benchmark's reader; and the arguments that it refuses.

Usage: bench.py WEIR [TEST...]
"""

import contextlib
import functools
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time

import harness
from harness import Skip, check, refused, run_weir

HERE = os.path.dirname(os.path.abspath(__file__))
COMPARE = "/usr/share/benchmark/compare.py"
SHORT = ("--time", "150ms", "--warmup", "30ms", "--reps", "2", "--conns", "8")
METRICS = ("real_time", "p50", "p99", "p999")
AGGREGATES = {"mean", "median", "stddev", "cv", "mad", "min", "max"}


# ---- running it ----

def bench(*arguments, **options):
    """Runs weir bench, which must succeed. Returns (the JSON, stdout)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        for _ in range(10):     # on a busy machine a run may fail for want of CPU time: try again
            code, out, err = run_weir("bench", *arguments, "--json", path, **options)
            if code == 0 or "after the measurement, none during" not in err:
                break
        check(code == 0, f"{arguments}: exit code {code}, stderr: {err}")
        check(err == "", f"{arguments}: stderr: {err}")     # progress is only shown on a terminal
        with open(path, encoding="utf-8") as file:
            return parse(file.read()), out


def parse(text):
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    def no_twins(pairs):
        check(len(pairs) == len({key for key, _ in pairs}), "a key twice:", pairs)
        return dict(pairs)

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_twins)


# ---- what docs/bench-json.md says ----

def check_context(context):
    weir = context["weir"]
    check(context["json_schema_version"] == 1 and weir["format"] == 1, context)
    check(context["executable"] == "weir bench", context["executable"])
    check(context["library_build_type"] in ("release", "debug"), context)
    check(len(context["load_avg"]) == 3 and context["num_cpus"] >= 1, context)
    check(weir["loop"] in ("open", "closed"), weir)
    check(("rate_per_s" in weir) == (weir["loop"] == "open"), weir)
    check(("arrivals" in weir) == (weir["loop"] == "open"), weir)
    ready = [b["name"] for b in weir["backends"] if b["status"] == "ok"]
    for backend in weir["backends"]:
        check((backend["status"] == "ok") == (backend["reason"] == ""), backend)
    check(weir["reference"] == ready[0], weir["reference"], ready)
    check(sorted(weir["order"]) == sorted(ready * weir["repetitions"]), weir["order"])
    check(weir["aa"] == (ready[0] + "+aa" in ready), ready)
    check(bool(weir["noise_floor_pct"]) == weir["aa"], weir["noise_floor_pct"])
    for key in ("kernel", "cpus_online", "cpus_allowed", "build_type", "compiler"):
        check(weir["environment"].get(key), key, weir["environment"])
    return weir, ready


def check_curve(weir):
    points = weir["percentiles"]
    check(points[0][0] == 0 and points[-1][0] == 100, points[0], points[-1])
    check(points == sorted(points) and points == sorted(points, key=lambda p: p[1]), points)


def check_iteration(entry, plan):
    check(entry["name"] == entry["run_name"] and entry["iterations"] > 0, entry)
    check(entry["real_time"] > 0 and entry["cpu_time"] > 0, entry)
    if not entry["run_name"].endswith("/real_time"):
        check("items_per_second" not in entry and "weir" not in entry, entry)
        return
    check(entry["cpu_ns_per_req"] == entry["cpu_time"], entry)
    check(entry["items_per_second"] > 0 and entry["syscalls_per_req"] >= 0, entry)
    check(entry["errors"] == 0, entry)
    check_curve(entry["weir"])
    slices = entry["weir"]["over_time"]
    check(all(len(s) == 4 for s in slices) and slices[0][0] == 0, slices)
    check(slices[-1][0] < plan["time_s"] and slices == sorted(slices, key=lambda s: s[0]), slices)
    if plan["loop"] == "closed":
        check(math.isclose(entry["real_time"] * entry["items_per_second"], 1e9, rel_tol=1e-6), entry)


def check_median(entry, plan, backend):
    weir = entry["weir"]
    for key in ("real_time", "cpu_time"):
        low, high = weir["interval"][key]
        check(low <= entry[key] <= high, key, entry)
    versus = {"versus", "difference_pct", "p_value", "verdict"} & weir.keys()
    check(len(versus) == (0 if backend == plan["reference"] else 4), weir)
    keys = weir["verdict"].keys() if versus else ()     # figures that the reference has as well
    check(not versus or "cpu_time" in keys, weir)
    for key in keys:
        check(0 <= weir["p_value"][key] <= 1 and key in weir["difference_pct"], weir)
        check(weir["verdict"][key] in ("better", "worse", "no measurable difference"), weir)
    if entry["run_name"].endswith("/real_time"):
        check_curve(weir)


def check_family(entries, plan, backend):
    iterations = [e for e in entries if e["run_type"] == "iteration"]
    aggregates = {e["aggregate_name"]: e for e in entries if e["run_type"] == "aggregate"}
    check(1 <= len(iterations) <= plan["repetitions"], entries)
    check(set(aggregates) == AGGREGATES, aggregates.keys())
    for entry in iterations:
        check_iteration(entry, plan)
    for name, entry in aggregates.items():
        check(entry["name"] == entry["run_name"] + "_" + name, entry)
        check(entry["aggregate_unit"] == ("percentage" if name == "cv" else "time"), entry)
    check_median(aggregates["median"], plan, backend)
    for key in ("real_time", "cpu_time"):
        values = sorted(e[key] for e in iterations)
        middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
        check(math.isclose(aggregates["median"][key], middle, rel_tol=1e-6), key, values)
        check(math.isclose(aggregates["max"][key], values[-1], rel_tol=1e-6), key, values)


def run_name(plan, backend, metric, closed_too):
    name = f"BM_{plan['workload']}/backend:{backend}"
    if plan["transport"] == "none":
        return f"{name}/tasks:{plan['conns']}/{metric}"
    name += "/transport:unix" * (plan["transport"] == "unix")
    name += "/loop:closed" * (closed_too and plan["loop"] == "closed")
    return f"{name}/conns:{plan['conns']}/size:{plan['size_bytes']}/{metric}"


def check_file(data):
    """Checks the whole document. Returns the plan."""
    plan, ready = check_context(data["context"])
    families = {}
    for entry in data["benchmarks"]:
        check(entry["time_unit"] == "ns" and entry["threads"] == 1, entry)
        families.setdefault(entry["run_name"], []).append(entry)
    indices = [entries[0]["family_index"] for entries in families.values()]
    check(indices == list(range(len(families))), indices)
    known = 0
    for backend in ready:
        for metric in METRICS:
            name = run_name(plan, backend, metric, plan["workload"] in
                            ("echo", "stream", "connect", "proxy"))
            check(metric != "real_time" or name in families, name, families.keys())
            if name in families:
                known += 1
                check_family(families[name], plan, backend)
    check(known == len(families), families.keys())
    return plan


# ---- tests ----

def test_example():
    with open(os.path.join(HERE, "bench-example.json"), encoding="utf-8") as file:
        check_file(parse(file.read()))


def run_workload(workload, *options):
    data, out = bench(workload, *SHORT, *options)
    plan = check_file(data)
    check(plan["workload"] == workload, plan)
    check(out.startswith(workload) and "cpu-ns/req" in out, out)
    return plan, data


def test_echo():
    plan, _ = run_workload("echo", "--rate", "2000")
    check(plan["loop"] == "open" and plan["rate_from"] == "option", plan)
    run_workload("echo", "--rate", "2000", "--transport", "unix", "--arrivals", "constant")


def test_echo_closed():
    plan, _ = run_workload("echo", "--closed", "--size", "20000", "--depth", "3")
    check(plan["loop"] == "closed" and plan["depth"] == 3, plan)


def test_calibration():
    plan, _ = run_workload("echo")
    check(plan["rate_from"] == "calibration" and plan["rate_per_s"] > 0, plan)


def test_pingpong():
    run_workload("pingpong")
    run_workload("pingpong", "--transport", "unix")


def test_stream():
    run_workload("stream")
    run_workload("stream", "--transport", "unix", "--size", "100001")
    plan, _ = run_workload("stream", "--rate", "200")
    check(plan["loop"] == "open", plan)


def test_connect():
    run_workload("connect", "--rate", "300")
    run_workload("connect", "--closed", "--transport", "unix")


def test_timer():
    for _ in range(10):     # until a run in which the server got enough CPU time
        plan, data = run_workload("timer", "--rate", "2000")
        check(plan["transport"] == "none", plan)
        rates = [e["items_per_second"] for e in data["benchmarks"]
                 if e["run_type"] == "iteration" and "items_per_second" in e]
        if all(1000 < rate < 3000 for rate in rates):
            return
    raise AssertionError(f"timers at other rates than 2000: {rates}")


def test_spawn():
    run_workload("spawn", "--workers", "2")


def test_proxy():
    run_workload("proxy", "--rate", "500")
    run_workload("proxy", "--closed", "--transport", "unix", "--size", "70000")


def test_workers_and_pins():
    plan, _ = run_workload("echo", "--rate", "1000", "--workers", "2", "--pin", "off")
    check(plan["server"]["cpus"] == [] and plan["workers"] == 2, plan)
    check(any("share CPUs" in w for w in plan["warnings"]), plan["warnings"])
    cpu = min(os.sched_getaffinity(0))
    plan, _ = run_workload("echo", "--rate", "1000", "--pin", f"{cpu}:{cpu}")
    check(plan["server"]["cpus"] == plan["client"]["cpus"] == [cpu], plan)
    check(plan["policy"] == "performance" and plan["bind"] == "cpu", plan)
    plan, _ = run_workload("echo", "--rate", "1000", "--pin", f"{cpu}:{cpu}", "--policy", "none",
                           "--bind", "group")
    check(plan["policy"] == "none" and plan["bind"] == "group", plan)


def test_a_against_a():
    data, out = bench("echo", *SHORT, "--rate", "1000", "--aa", "--reps", "3")
    plan = check_file(data)
    check(plan["aa"] and len(plan["order"]) >= 6, plan)
    check("noise floor (A/A)" in out and "+aa" in out, out)
    again = check_file(bench("echo", *SHORT, "--rate", "1000", "--aa", "--reps", "3")[0])
    check(again["order"] == plan["order"], "the order is the seed's:", again["order"])


def test_json_on_stdout():
    code, out, err = run_weir("bench", "pingpong", *SHORT, "--json", "-")
    check(code == 0 and err.startswith("pingpong"), code, err)
    check_file(parse(out))


def test_json_into_a_fifo():
    """A FIFO without a reader is refused. A reader gets everything, and then the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        refused(["bench", "pingpong", *SHORT, "--json", path], path, "it has no reader")
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        process = subprocess.Popen([harness.WEIR, "bench", "pingpong", *SHORT, "--json", path],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        select.select([reader], [], [], harness.PATIENCE)
        os.set_blocking(reader, True)
        with open(reader, encoding="utf-8") as fifo:
            check_file(parse(fifo.read()))
        check(process.wait(harness.PATIENCE) == 0)


@functools.lru_cache
def python_with_scipy():
    for python in (sys.executable, "/usr/bin/python3"):
        found = subprocess.run([python, "-c", "import scipy.stats"], capture_output=True, check=False)
        if found.returncode == 0:
            return python
    return None


def compare(*arguments):
    run = subprocess.run([python_with_scipy(), COMPARE, "--no-color", *arguments], text=True,
                         capture_output=True, timeout=harness.PATIENCE, check=False)
    check(run.returncode == 0, arguments, run.stderr)
    return run.stdout


def test_google_benchmark_reads_it():
    if not os.path.exists(COMPARE):
        raise Skip(f"{COMPARE} is not there (package libbenchmark-tools)")
    if not python_with_scipy():
        raise Skip("no Python that has scipy (package python3-scipy)")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        code, _, err = run_weir("bench", "echo", *SHORT, "--rate", "2000", "--aa", "--json", path)
        check(code == 0, err)
        out = compare("benchmarks", path, path)
        check("/real_time_pvalue" in out and "/p50_median" in out and "U Test" in out, out)
        with open(path, encoding="utf-8") as file:
            backend = parse(file.read())["context"]["weir"]["reference"]
        out = compare("filters", path, f"backend:{backend}/", rf"backend:{backend}\+aa/")
        check("U Test, Repetitions: 2 vs 2" in out, out)


def test_refused():
    workloads = "echo, pingpong, stream, connect, timer, spawn or proxy"
    refused(["bench"], "weir bench: expected a workload", workloads)
    refused(["bench", "ecko"], "unknown workload 'ecko'", workloads)
    refused(["bench", "echo", "timer"], "'timer': expected one workload")
    refused(["bench", "echo", "--backends", "epool"], "--backends 'epool'", "epoll, ", "or all")
    refused(["bench", "echo", "--backends", "epoll,epoll"], "'epoll' is named twice", "--aa")
    refused(["bench", "echo", "--backends", "epoll,"], "--backends ''", "or all")
    refused(["bench", "echo", "--backends", "epoll:fast,furious,epoll"],
            "--backends 'epoll:fast,furious'", "no options", "'fast,furious'")
    refused(["bench", "echo", "--transport", "udp"], "--transport 'udp'", "tcp or unix")
    refused(["bench", "echo", "--arrivals", "x"], "--arrivals 'x'", "poisson or constant")
    refused(["bench", "echo", "--conns", "0"], "--conns '0'", "1 to 65536")
    refused(["bench", "echo", "--reps", "100"], "--reps '100'", "1 to 99")
    refused(["bench", "echo", "--time", "0"], "--time '0'")
    refused(["bench", "echo", "--closed", "--rate", "5"], "--rate: expected only with an open loop")
    refused(["bench", "pingpong", "--rate", "5"], "--rate: expected only with an open loop")
    refused(["bench", "timer", "--closed"], "--closed")
    refused(["bench", "spawn", "--transport", "unix"], "--transport")
    refused(["bench", "connect", "--depth", "2"], "--depth")
    refused(["bench", "echo", "--bakends", "epoll"], "did you mean --backends?")
    for pin in ("0", "0:", ":0", "a:b", "0:99999", "1-0:0", "0,:1", "0:1x"):
        refused(["bench", "echo", "--pin", pin], f"--pin '{pin}'", "SERVER:CLIENT")
    refused(["bench", "echo", "--policy", "fastest"], "--policy 'fastest'", "performance, none,")
    refused(["bench", "echo", "--cpus", "0," * 80 + "0"], "--cpus", "127 characters")
    refused(["bench", "echo", "--json", "/nowhere/at/all"], "--json '/nowhere/at/all'", "No such file")


def test_a_backend_that_cannot_run():
    data, out = bench("pingpong", *SHORT, "--backends", "all")
    absent = [b for b in data["context"]["weir"]["backends"] if b["status"] != "ok"]
    if not absent:
        raise Skip("every backend can run here")
    for backend in absent:
        check(f"n/a: {backend['reason']}" in out, out)
        refused(["bench", "echo", "--backends", backend["name"]],
                f"--backends '{backend['name']}'", backend["reason"])


def test_more_than_the_server_can_do():
    data, _ = bench("echo", *SHORT, "--rate", "3000000")
    plan = check_file(data)
    medians = [e for e in data["benchmarks"] if e.get("aggregate_name") == "median"]
    check(medians[0]["unanswered"] > 1000, medians[0])
    check(medians[0]["max_ns"] > 1e9, "they are in the latency, as long as they were waited for")
    check(any("unanswered" in w for w in plan["warnings"]), plan["warnings"])


def test_a_load_without_cpu_time():
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("it takes two CPUs")
    greedy = [subprocess.Popen([sys.executable, "-c", "while True: pass"],
                               preexec_fn=lambda: os.sched_setaffinity(0, {cpus[1]}))
              for _ in range(5)]
    try:
        data, out = bench("echo", *SHORT, "--rate", "1000", "--pin", f"{cpus[0]}:{cpus[1]}",
                          "--time", "500ms")
    finally:
        for process in greedy:
            process.kill()
            process.wait()
    plan = check_file(data)
    medians = [e for e in data["benchmarks"] if e.get("aggregate_name") == "median"]
    check(medians[0]["weir"]["client_bound"] is True and "(!)" in out, medians[0])
    check(any("client-bound" in w for w in plan["warnings"]), plan["warnings"])


def test_a_server_that_dies():
    with subprocess.Popen([harness.WEIR, "bench", "echo", *SHORT, "--rate", "1000", "--time", "1s"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        children, end = "", time.monotonic() + harness.PATIENCE
        while not children and time.monotonic() < end:
            with open(f"/proc/{run.pid}/task/{run.pid}/children", encoding="ascii") as file:
                children = file.read()
        check(children, "there is no server")
        os.kill(int(children.split()[0]), signal.SIGKILL)
        out, err = run.communicate(timeout=harness.PATIENCE)
        check(run.returncode == 1 and out == "", run.returncode, out)
        check(err.startswith("weir bench: ") and err.count("\n") == 1 and "server" in err, err)


CLOCK_NANOSLEEP = {"x86_64": "230", "aarch64": "115"}.get(os.uname().machine)
WARMUP = 2.0


class Warming(subprocess.Popen):
    """A measurement of a tenth of a second that is still in its warm-up, during which the main
    thread sleeps. Processes that a test has stopped continue when it ends."""

    def __init__(self, folder):
        if not CLOCK_NANOSLEEP or not os.path.exists("/proc/self/syscall"):
            raise Skip("no /proc/PID/syscall here, or its numbers are not known")
        self.path = os.path.join(folder, "out.json")
        super().__init__([harness.WEIR, "bench", "echo", "--closed", "--time", "100ms", "--warmup",
                          f"{WARMUP:g}s", "--reps", "1", "--backends", "epoll", "--json", self.path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + harness.PATIENCE
        while self._read("syscall").split()[:1] != [CLOCK_NANOSLEEP]:
            check(self.poll() is None and time.monotonic() < end, "it never warms up")
        self.server = int(self._read(f"task/{self.pid}/children").split()[0])

    def __exit__(self, *about):
        for pid in (self.server, self.pid):
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        super().__exit__(*about)

    def _read(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="ascii") as file:
            return file.read()

    def loads(self):
        """The number of threads besides the main one: the load's, and perhaps a sanitizer's."""
        return len(os.listdir(f"/proc/{self.pid}/task")) - 1

    def end(self):
        out, err = self.communicate(timeout=harness.PATIENCE)
        return self.returncode, out, err


def test_a_load_that_does_not_run_is_measured_again():
    with tempfile.TemporaryDirectory() as folder, Warming(folder) as run:
        run.send_signal(signal.SIGSTOP)
        time.sleep(WARMUP + 0.2)        # the measurement must end while it is stopped
        run.send_signal(signal.SIGCONT)
        code, _, err = run.end()
        check(code == 0 and err == "", code, err)
        with open(run.path, encoding="utf-8") as file:
            plan = check_file(parse(file.read()))
        check(any("measured again" in w for w in plan["warnings"]), plan["warnings"])


def test_a_server_that_hangs_is_not_measured_again():
    with tempfile.TemporaryDirectory() as folder, Warming(folder) as run:
        os.kill(run.server, signal.SIGSTOP)
        end = time.monotonic() + harness.PATIENCE
        loads = run.loads()
        while run.loads() == loads:     # until the load's threads have given up
            check(time.monotonic() < end, "the load waits for ever")
        with contextlib.suppress(ProcessLookupError):   # it may have been killed already
            os.kill(run.server, signal.SIGCONT)
        code, out, err = run.end()
        check(code == 1 and out == "", code, out)
        # weir bench also asks the server for its counters; if that times out, the message differs.
        check(err.startswith(("weir bench: epoll: no request was answered",
                              "weir bench: epoll: the server is gone")), err)
        check(err.count("\n") == 1, err)


def test_out_of_descriptors():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    code, out, err = run_weir("bench", "echo", "--rate", "1000", "--time", "100ms", "--reps", "1",
                              "--conns", "500", preexec_fn=few)
    check(code == 1 and out == "", code, out)
    check("cannot connect" in err and err.count("\n") == 1, err)


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

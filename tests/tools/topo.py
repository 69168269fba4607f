#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir topo from outside: on this machine, with descriptions of others, for running processes, and
with bad input. tests/unit/tools_topo_text.c tests what it prints about which machine.

Usage: topo.py WEIR [TEST...]
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as ElementTree

import harness
from harness import Proxy, Skip, Upstream, check, echo, refused, run_weir
from usage import reachable

EPYC = "pack:2 [numa] l3:8 core:8 pu:2"
SVG = "{http://www.w3.org/2000/svg}"
MACHINES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "topo", "machines")


def topo(*arguments, **options):
    code, out, err = run_weir("topo", *arguments, **options)
    check(code == 0 and err == "", arguments, code, err)
    return out


def topo_json(*arguments, **options):
    return json.loads(topo("--json", *arguments, **options))


def needs_hwloc():
    code, _, err = run_weir("topo", "--input", "core:2 pu:1")
    if code != 0:
        raise Skip("this build reads no other machines: " + err.strip())


def cpus_of(text):
    """Returns '0-2,5' as a set."""
    found = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def cpu_lines(text):
    """Returns (P#, L#, worker or None, group or None) for each line about a CPU."""
    pattern = re.compile(r" {4}(?:core \d+)? +(\d+) +(\d+) +(\d+(?:\+\d+)?|-) +(\d+|-)  ")
    number = lambda word: None if word == "-" else int(word.partition("+")[0])
    return [(int(m[1]), int(m[2]), number(m[3]), number(m[4]))
            for m in map(pattern.match, text.split("\n")) if m]


def agree(*arguments, **options):
    """Checks that the text with --all and the JSON agree. Returns both."""
    text, data = topo("--all", *arguments, **options), topo_json(*arguments, **options)
    workers = data["plan"]["workers"]
    told = [(cpu["os"], cpu["logical"], cpu["workers"][0] if cpu["workers"] else None,
             workers[cpu["workers"][0]]["group"] if cpu["workers"] else None)
            for cpu in data["cpus"]]
    check(sorted(cpu_lines(text)) == sorted(told), "\n" + text, told)
    check(f"{len(workers)} in {len(data['plan']['groups'])} group" in text, text)
    for why in data["plan"]["why"]:
        check(why.split()[0] in text, why, text)
    for line in text.split("\n"):
        # The lines of a network card's interrupts may be longer.
        check(len(line) <= 80 or re.match(r"  (rx|tx|-)", line), "too long:", line)
    return text, data


def check_plan(data):
    """Checks what must hold for every plan."""
    plan = data["plan"]
    workers, groups = plan["workers"], plan["groups"]
    check(sum(group["workers"] for group in groups) == len(workers), groups)
    for number, worker in enumerate(workers):
        group = groups[worker["group"]]
        check(group["first"] <= number < group["first"] + group["workers"], worker, group)
        victims = sum((worker["steal"][tier] for tier in ("smt", "group", "node", "remote")), [])
        check(sorted(victims + [number]) == list(range(len(workers))), number, worker)
        check(cpus_of(worker["cpus"]) <= cpus_of(data["usable"]["cpus"]), worker, data["usable"])
    for cpu in data["cpus"]:
        check(not (cpu["workers"] and cpu["out"]), cpu)


def test_this_machine():
    text, data = agree()
    check_plan(data)
    check(data["here"] and data["source"].startswith("this machine"), data["source"])
    check(cpus_of(data["usable"]["cpus"]) == os.sched_getaffinity(0), data["usable"])
    check(text.startswith(f"machine  {os.uname().nodename}: "), text)
    check("nics" in data, data.keys())


def test_other_machines():
    needs_hwloc()
    text, data = agree("--input", EPYC)
    check_plan(data)
    check(not data["here"] and "nics" not in data, data.keys())
    check(data["machine"]["nodes"] == 2 and data["machine"]["l3s"] == 16, data["machine"])
    check(len(data["plan"]["groups"]) == 16, len(data["plan"]["groups"]))
    for name in ("hybrid-laptop.xml", "epyc-nps4.xml", "offline.xml", "xeon-2s-snc2.xml"):
        _, data = agree("--input", os.path.join(MACHINES, name))
        check_plan(data)
    text = topo("--input", EPYC)
    check("--all lists every CPU" in text and len(text.split("\n")) < 40, text)


def widest(text):
    return max(map(len, text.split("\n")))


def on_a_terminal(columns, *arguments):
    """Returns what weir topo prints on a terminal of this width."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([harness.WEIR, "topo", *arguments], stdout=its, env=env, cwd=MACHINES) as process:
        os.close(its)
        out = b""
        try:
            while piece := os.read(ours, 65536):
                out += piece
        except OSError:                 # the end of a terminal is reported as an error
            pass
        os.close(ours)
        check(process.wait(harness.PATIENCE) == 0, out)
    return out.decode().replace("\r\n", "\n")


def test_lines_end_where_the_terminal_does():
    needs_hwloc()
    for machine in ("pack:1 l3:2 core:8 pu:2", "hybrid-laptop.xml"):
        arguments = ("--input", machine, "--cpus", "0-5")
        in_columns = lambda columns: topo(*arguments, env={"COLUMNS": str(columns)}, cwd=MACHINES)
        text = in_columns(0)
        check(70 < widest(text) <= 80, text)
        check(in_columns(200) == text)
        for columns in (64, 70):
            narrow = in_columns(columns)
            check(widest(narrow) <= columns and narrow.split() == text.split(), narrow)
            check(on_a_terminal(columns, *arguments) == narrow, columns)
        check(in_columns(10) == in_columns(64))


def test_options_of_placement():
    needs_hwloc()
    _, data = agree("--input", EPYC, "--policy", "first-usable-node", "--bind", "cpu",
                    "--threads-per-core", "1", "--group-workers", "4")
    check_plan(data)
    plan = data["plan"]
    check(plan["policy"] == "first-usable-node" and plan["bind"] == "cpu", plan["policy"])
    check(len(plan["workers"]) == 64 and plan["nodes_used"] == 1, len(plan["workers"]))
    check(max(group["workers"] for group in plan["groups"]) == 4, plan["groups"])
    outs = {cpu["out"] for cpu in data["cpus"]}
    check(len(outs) == 3 and "" in outs, outs)
    _, data = agree("--input", EPYC, "--cpus", "only-node 1,drop-smt", "--workers", "5")
    check_plan(data)
    check(len(data["plan"]["workers"]) == 5, len(data["plan"]["workers"]))
    check(all(cpu["node"] == 1 and cpu["thread"] == 0 for cpu in data["cpus"] if cpu["workers"]))
    _, data = agree("--input", EPYC, env={"WEIR_WORKERS": "3"})
    check(len(data["plan"]["workers"]) == 3, len(data["plan"]["workers"]))


def test_half_a_cpu_is_one_worker_and_says_why():
    text, data = agree("--quota", "0.5")
    check(len(data["plan"]["workers"]) == 1 and data["plan"]["throttled"], data["plan"])
    check(data["usable"]["quota"] == 0.5, data["usable"])
    check("quota 0.5 CPUs" in text and "workers  1 in 1 group" in text, text)
    if len(os.sched_getaffinity(0)) > 1:
        check(any("quota" in why and "0.5" in why for why in data["plan"]["why"]), data["plan"])
        check(data["plan"]["bind"] == "none", data["plan"]["bind"])
    check("quota" not in topo_json("--quota", "none")["usable"])


def half_a_cpu():
    """Makes a cgroup with half a CPU, version 1 or 2. Returns (folder, its file of members)."""
    for root, file, text, members in (
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "50000", "tasks"),
            ("/sys/fs/cgroup", "cpu.max", "50000 100000", "cgroup.procs")):
        folder = f"{root}/weir-topo-{os.getpid()}"
        try:
            os.mkdir(folder)
        except OSError:
            continue
        try:
            with open(f"{folder}/{file}", "w", encoding="ascii") as quota:
                quota.write(text)
            return folder, f"{folder}/{members}"
        except OSError:
            os.rmdir(folder)
    raise Skip("no cgroup with a CPU quota can be made here")


def test_a_real_quota():
    folder, members = half_a_cpu()

    def join():
        with open(members, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))

    try:
        text, data = agree(preexec_fn=join)
        proxy = Proxy("tcp://127.0.0.1:9", preexec_fn=join)
        check(proxy.workers == 1, proxy.workers)
        if len(os.sched_getaffinity(0)) > 1:
            proxy.err.find(r"^weir proxy: note: 1 worker: a quota of 0\.5 CPUs$")
        check(proxy.stop() == 0)
    finally:
        os.rmdir(folder)
    check(data["usable"]["quota"] == 0.5, data["usable"])
    check(data["usable"]["quota_file"].startswith(folder), data["usable"])
    check(len(data["plan"]["workers"]) == 1 and data["plan"]["bind"] == "none", data["plan"])
    check("quota 0.5 CPUs" in text, text)


def test_a_real_mask():
    cpu = max(os.sched_getaffinity(0))

    def confine():
        os.sched_setaffinity(0, {cpu})

    data = topo_json(preexec_fn=confine)
    check(cpus_of(data["usable"]["cpus"]) == {cpu} and len(data["plan"]["workers"]) == 1, data)
    proxy = Proxy("tcp://127.0.0.1:9", preexec_fn=confine)
    check(proxy.workers == 1, proxy.workers)
    check(proxy.stop() == 0)


def test_what_if():
    needs_hwloc()
    arguments = ("--input", EPYC, "--what-if", "--mask", "0-15", "--quota", "3")
    text, data = agree(*arguments)
    check(len(data["now"]["workers"]) == 256 and len(data["plan"]["workers"]) == 3, text)
    check("\nthen     3 in " in text and "\nnow      256 in 16 groups" in text, text)
    left = {data["cpus"][worker["cpu"]]["os"] for worker in data["plan"]["workers"]}
    lost = re.search(r"get a worker: none; that lose it: (\S+)", text)[1]
    check(cpus_of(lost) == set(range(256)) - left, lost, left)
    check("now" not in topo_json("--input", EPYC, "--mask", "0-15"))
    cpu = max(os.sched_getaffinity(0))
    check(cpus_of(topo_json("--mask", str(cpu))["usable"]["cpus"]) == {cpu})


def picture(*arguments):
    out = topo("--svg", *arguments)
    root = ElementTree.fromstring(out)
    check(root.tag == SVG + "svg", root.tag)
    return root, out


def test_a_cell_names_its_workers():
    needs_hwloc()
    root, _ = picture("--input", "pack:1 l3:2 core:2 pu:2", "--workers", "20")
    texts = [text.text for text in root.iter(SVG + "text")]
    tips = [tip.text for tip in root.iter(SVG + "title")]
    check("w0,4,8" in texts and "w11,15" in texts and texts.count("×3") == 2, texts)
    check(any(": workers 10,14,18 of group 1, " in tip for tip in tips), tips)


def test_a_picture():
    needs_hwloc()
    for machine in (EPYC, "core:1 pu:1", os.path.join(MACHINES, "hybrid-laptop.xml")):
        root, out = picture("--input", machine)
        data = topo_json("--input", machine)
        tips = [tip.text for tip in root.iter(SVG + "title") if tip.text.startswith("CPU P#")]
        check(len(tips) == len(data["cpus"]), len(tips), len(data["cpus"]))
        check(sum(": worker " in tip for tip in tips) == len(data["plan"]["workers"]), tips)
        cells = [r for r in root.iter(SVG + "rect") if r.get("class") == "out"]
        evicted = sum(cpu["out"] != "" for cpu in data["cpus"])
        reasons = len({cpu["out"] for cpu in data["cpus"]} - {""})
        check(len(cells) == evicted + reasons, len(cells), evicted, reasons)
        words = "".join(text.text or "" for text in root.iter(SVG + "text"))
        check(all(why in words for why in data["plan"]["why"]), words)
        width, height = float(root.get("width")), float(root.get("height"))
        for rect in root.iter(SVG + "rect"):
            right = float(rect.get("x")) + float(rect.get("width"))
            check(right <= width and float(rect.get("y")) < height, rect.attrib, width, height)
        check("prefers-color-scheme:dark" in out, "no dark colours")
    picture()


def test_a_picture_of_what_if():
    needs_hwloc()
    arguments = ("--input", "pack:1 l3:2 core:4 pu:1", "--what-if", "--cpus", "2-7", "--workers", "3")
    data = topo_json(*arguments)
    now, then = ({data["cpus"][worker["cpu"]]["os"] for worker in data[which]["workers"]}
                 for which in ("now", "plan"))
    check(now - then and len(now) == 8 and len(then) == 3, now, then)
    root, _ = picture(*arguments)
    texts = [text.text or "" for text in root.iter(SVG + "text")]
    tips = [tip.text for tip in root.iter(SVG + "title") if tip.text.startswith("CPU P#")]
    check(len(tips) == 16 and sum(": worker " in tip for tip in tips) == 11, tips)
    check(any(text.startswith("now: 8 workers in 2 groups; ") for text in texts), texts)
    check(any(text.startswith("then: 3 workers in ") for text in texts), texts)
    lost = next(text for text in texts if text.startswith("CPUs that get a worker: none; "))
    check(cpus_of(lost.rpartition(" ")[2]) == now - then, lost)
    marks = [rect for rect in root.iter(SVG + "rect") if rect.get("class") == "mark"]
    check(len(marks) == len(now - then) + 1, len(marks), now - then)
    check(any(text.startswith("loses its worker: P# ") for text in texts), texts)
    height = float(root.get("height"))
    check(all(float(text.get("y")) < height for text in root.iter(SVG + "text")), height)


def test_a_process():
    upstream = Upstream(echo)
    proxy = Proxy(upstream, options=["--bind", "cpu", "--workers", "2"])
    with proxy.connect() as client:
        harness.ask(client)
    arguments = ["--pid", str(proxy.process.pid), "--bind", "cpu"]
    data, workers = named(arguments)
    check(data["workers"] == data["workers_planned"] == 2, data)
    check(data["threads"][0]["tid"] == proxy.process.pid and data["name"] == "weir", data)
    if not data["memory_error"]:
        check(sum(node["bytes"] for node in data["memory"]) > 1 << 20, data["memory"])
    planned = topo_json("--bind", "cpu", "--workers", "2")["plan"]["workers"]
    for worker in workers:
        plan, tid = planned[worker["worker"]], worker["tid"]
        if plan["bound"]:
            check(os.sched_getaffinity(tid) == cpus_of(plan["cpus"]), worker, plan)
        check(cpus_of(worker["allowed"]) == os.sched_getaffinity(tid), worker)
        check(worker["verdict"] == "as planned", worker)
    text = topo(*arguments)
    check(f"process  {proxy.process.pid} (weir): " in text, text)
    check("2 run as planned, 0 do not" in text.replace("\n         ", " "), text)
    stray(proxy, workers, arguments)
    check(proxy.stop() == 0)


def named(arguments):
    """Waits until both workers have named themselves. Returns the JSON and its workers."""
    end = time.monotonic() + harness.PATIENCE
    while True:
        data = topo_json(*arguments)
        workers = [thread for thread in data["threads"] if "worker" in thread]
        if [worker["name"] for worker in workers] == ["proxy-w0", "proxy-w1"]:
            return data, workers
        check(time.monotonic() < end, "workers without names:", data["threads"])


def stray(proxy, workers, arguments):
    """Binds a worker elsewhere, and checks that weir topo reports it."""
    everywhere = os.sched_getaffinity(0)
    if len(everywhere) < 2:
        return
    os.sched_setaffinity(workers[1]["tid"], everywhere)
    threads = topo_json(*arguments)["threads"]
    told = [thread["verdict"] for thread in threads if "worker" in thread]
    check(told == ["as planned", "bound differently"], told)
    check("planned: " in topo(*arguments), proxy.process.pid)


def test_a_process_of_somebody_else():
    options = {"user": 65534, "group": 65534}
    if os.geteuid() != 0 or not reachable(options):
        raise Skip("no other user can run the program here")
    proxy = Proxy(Upstream(echo), options=["--workers", "1"])
    code, out, err = run_weir("topo", "--pid", str(proxy.process.pid), **options)
    check(code == 1 and "Permission denied" in err and err.count("\n") == 1, code, err)
    check("cannot be read" in out and "proxy-w0" in out, out)
    check(proxy.stop() == 0)


def test_bad_input():
    refused(["topo", "--policy", "fastest"], "weir topo: --policy 'fastest'", "performance, none,",
            " or resource")
    refused(["topo", "--policy", ""], "--policy ''")
    refused(["topo", "--bind", "node"], "--bind 'node'", "auto, none, group, core or cpu")
    for cpus in ("drop-x", "0-", "x", "only-node", "only-node x", "5-2"):
        refused(["topo", "--cpus", cpus], f"'{cpus}'")
    refused(["topo", "--cpus", ","], "cpus ''", "drop-smt")
    refused(["topo", "--cpus", "1000"], "'1000'", "the machine has")
    refused(["topo", "--cpus", "only-node 0,drop-node 0"], "drop-node 0")
    for mask in ("x", "-1", "0-", "1-0", "99999"):
        refused(["topo", "--mask", mask], f"--mask '{mask}'", "the machine has 0")
    refused(["topo", "--mask", ""], "--mask ''")
    refused(["topo", "--mask", "0,1000"], "--mask '0,1000': CPU 1000 does not exist",
            "the machine has 0")
    refused(["topo", "--cpus", "0-99999"], "'0-99999': '99999' is too large", "the machine has 0")
    refused(["topo", "--cpus", "1-0"], "'1-0' ends before it begins", "the machine has 0")
    for quota in ("x", "-1", "0", "0.0001", "1e3", "1.2.3", "99999", ".", "nan"):
        refused(["topo", "--quota", quota], f"--quota '{quota}'", "0.5 or 2")
    for workers in ("0", "257", "many"):
        refused(["topo", "--workers", workers], f"--workers '{workers}'", "1 to 256")
    refused(["topo"], "WEIR_WORKERS", "'lots'", env={"WEIR_WORKERS": "lots"})
    check(topo(env={"WEIR_WORKERS": ""}), "an empty value counts as unset, as for a runtime")
    refused(["topo", "--wat"], "--wat", "unknown option")
    refused(["topo", "now"], "'now'")
    refused(["topo", "--json", "--svg"], "--json and --svg")
    for number in ("0", "-1", "x", "99999999999"):
        refused(["topo", "--pid", number], f"--pid '{number}'")
    refused(["topo", "--pid", "2147483647"], "'2147483647'", "no such process")
    refused(["topo", "--pid", "1", "--input", "core:1"], "--pid", "--input")
    refused(["topo", "--pid", "1", "--svg"], "--pid", "--svg")


def test_a_mask_outside_the_cpuset_or_unknown():
    """Offline CPUs in a mask are ignored; CPUs that do not exist are refused."""
    needs_hwloc()
    machine = ("--input", os.path.join(MACHINES, "offline.xml"))
    cpus = topo_json(*machine)["cpus"]
    offline = [cpu["os"] for cpu in cpus if cpu["out"] == "offline"]
    usable = [cpu["os"] for cpu in cpus if not cpu["out"]]
    check(offline and usable, cpus)
    both = topo_json(*machine, "--mask", f"{usable[0]},{offline[0]}")["usable"]
    check(cpus_of(both["cpus"]) == {usable[0]}, both)
    refused(["topo", *machine, "--mask", str(offline[0])], "none of these CPUs")
    refused(["topo", *machine, "--mask", f"{usable[0]},999"], "CPU 999 does not exist")


def test_files_that_are_none():
    for what in ("nowhere.xml", "/nowhere/at/all", "pack:x", "foo:2", __file__, "/"):
        refused(["topo", "--input", what], "'" + what[:60])
    refused(["topo", "--input", ""], "--input ''")


def test_help():
    code, out, err = run_weir("topo", "--help")
    check(code == 0 and out.startswith("usage: weir topo") and err == "", code, out, err)
    for option in ("--policy", "--bind", "--cpus", "--input", "--pid", "--svg", "--what-if"):
        check(option in out, option, out)


def test_a_full_disk_is_no_success():
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    for how in ([], ["--json"], ["--svg"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([harness.WEIR, "topo", *how], stdout=full, check=False,
                                  stderr=subprocess.PIPE, text=True)
        check(done.returncode == 1 and "standard output" in done.stderr, done)


def test_names_of_others_stay_text():
    """Odd characters in a thread's name must not damage the terminal or the table."""
    code = ("import sys; open('/proc/self/comm', 'w').write('a\\nb) \\x1b[2J\\x9bx'); "
            "print(flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        text = topo("--pid", str(process.pid))
        data = json.loads(topo("--pid", str(process.pid), "--json"))
        process.stdin.close()
    check(f"process  {process.pid} (a?b) ?[2J" in text, text)
    check(re.search(rf"^ *{process.pid}  a\?b\) \?\[2J", text, re.M), text)
    check("\x1b" not in text and "\x9b" not in text, text)
    check(data["name"].startswith("a\nb) \x1b[2J"), data["name"])


if __name__ == "__main__":
    sys.exit(harness.main(globals()))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir bench report and weir bench diff: the page, the verdicts, and bad files.

Usage: results.py WEIR [TEST...]
"""

import copy
import html.parser
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import threading
import xml.etree.ElementTree

import harness
from harness import Skip, check, refused, run_weir

FOLDER = tempfile.mkdtemp(prefix="weir-results-")
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench-example.json")
EVIL = '"><script>alert(1)</script>&amp;\'\x1b[31m'


# ---- files ----

def path_of(name):
    return os.path.join(FOLDER, name)


def put(name, content):
    """Writes a file with this text, these bytes, or this value as JSON. Returns its path."""
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content, indent=1)
    if isinstance(content, str):
        content = content.encode()
    with open(path_of(name), "wb") as handle:
        handle.write(content)
    return path_of(name)


def median(values):
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def entries(backend, times, family=0):
    """Makes a backend's entries: real_time as given, p99 three times and CPU a tenth of it."""
    found = []
    for metric, factor in (("real_time", 1), ("p99", 3)):
        name = f"BM_echo/backend:{backend}/conns:4/size:64/{metric}"
        head = {"run_name": name, "family_index": family, "time_unit": "ns"}
        for index, time in enumerate(times):
            entry = {"name": name, **head, "run_type": "iteration", "repetition_index": index,
                     "iterations": 1000, "real_time": time * factor, "cpu_time": time / 10}
            if metric == "real_time":
                entry.update(items_per_second=50000, syscalls_per_req=2, batch=4, max_ns=time * 20,
                             client_cpu_ns_per_req=100,
                             weir={"client_bound": False,
                                   "over_time": [[0, time, time * 3, time * 9],
                                                 [0.5, time, None, time * 8]]})
            found.append(entry)
        found.append({"name": name + "_median", **head, "run_type": "aggregate",
                      "aggregate_name": "median", "real_time": median(times) * factor,
                      "cpu_time": median(times) / 10,
                      "weir": {"percentiles": [[0, 900], [50, 1000], [99, 3000], [99.9, 7000],
                                               [100, 20000]]} if factor == 1 else {}})
    return found


def result(weir=None, **backends):
    """Makes a result file of weir bench, with a list of repetitions per backend."""
    backends = backends or {"epoll": spread(1000), "io_uring": spread(800)}
    setup = {"format": 1, "workload": "echo", "transport": "tcp", "loop": "open",
             "arrivals": "poisson", "rate_per_s": 50000, "rate_from": "option", "conns": 4,
             "size_bytes": 64, "depth": 1, "repetitions": 7, "time_s": 1, "workers": 1,
             "reference": "epoll", "placement": "1+1 CPUs, loopback",
             "backends": [{"name": n, "status": "ok", "reason": ""} for n in backends],
             "warnings": [], "environment": {"kernel": "Linux 6.18", "cpu_model": "a CPU"}}
    setup.update(weir or {})
    return {"context": {"date": "2026-11-20T12:00:00+00:00", "num_cpus": 2,
                        "json_schema_version": 1, "weir": setup},
            "benchmarks": [e for i, (name, times) in enumerate(backends.items())
                           for e in entries(name, times, i)]}


def google(factor=1.0, repetitions=5):
    """Makes a result file of Google Benchmark."""
    return {"context": {"date": "now", "num_cpus": 2, "library_build_type": "release"},
            "benchmarks": [{"name": f"spawn_join/{variant}/real_time", "family_index": family,
                            "run_name": f"spawn_join/{variant}/real_time", "run_type": "iteration",
                            "repetition_index": i, "iterations": 10, "time_unit": "us",
                            "real_time": (100 + 60 * family + i) * factor, "cpu_time": 90 + i,
                            "items_per_second": 1e7 / factor, "s/op": (100 + i) * 1e-9 * factor}
                           for family, variant in enumerate(("stackless", "fiber"))
                           for i in range(repetitions)]}


def spread(middle, count=7):
    return [middle * (1 + (i - count // 2) / 1000) for i in range(count)]


# ---- the page ----

class Page(html.parser.HTMLParser):
    """Collects the contents of a page, and checks that every element is closed."""

    VOID = ("meta", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        check(not self.open, "left open:", self.open)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        check(self.open and self.open[-1] == tag, f"</{tag}> in", self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def report(*paths):
    """Makes a page of these files. Returns its text and its parsed contents."""
    out = path_of("report.html")
    code, printed, err = run_weir("bench", "report", *paths, "-o", out)
    check(code == 0 and printed == "" and err == "", code, printed, err)
    with open(out, encoding="utf-8") as handle:
        text = handle.read()
    check_pictures(text)
    return text, Page(text)


def check_pictures(text):
    """Checks that each picture is XML, and that nothing lies outside its area."""
    pictures = re.findall(r"<svg.*?</svg>", text, re.S)
    check(pictures, "no picture")
    for picture in pictures:
        root = xml.etree.ElementTree.fromstring(picture)
        _, _, width, height = (float(x) for x in root.get("viewBox").split())
        for element in root.iter():
            for name, limit in (("x", width), ("y", height), ("x1", width), ("x2", width),
                                ("y1", height), ("y2", height), ("cx", width), ("cy", height)):
                if element.get(name) is not None:
                    check(-0.5 <= float(element.get(name)) <= limit + 0.5, name, element.attrib)
            check("nan" not in (element.get("d") or "") and "inf" not in (element.get("d") or ""))


def words(page):
    return " ".join(" ".join(page.text).split())


def test_page_is_complete_in_itself():
    text, page = report(EXAMPLE)
    check(not {"script", "link", "img", "iframe", "object"} & set(page.tags), set(page.tags))
    for tag, name, value in page.attributes:
        check(name not in ("src", "href") and not name.startswith("on"), tag, name, value)
    check("url(" not in text and "@import" not in text)
    check("prefers-color-scheme:dark" in text)


def test_page_shows_backends_figures_and_verdicts():
    noisy = result(epoll=spread(1000), io_uring=spread(800), kqueue=spread(1000.5))
    noisy["context"]["weir"]["warnings"] = ["this is no quiet machine"]
    noisy["context"]["weir"]["backends"].append(
        {"name": "dpdk", "status": "n/a", "reason": "no huge pages"})
    _, page = report(put("noisy.json", noisy))
    said = words(page)
    for wanted in ("epoll", "io_uring", "kqueue", "this is no quiet machine",
                   "dpdk did not run: no huge pages", "Linux 6.18", "echo · 4 connections",
                   "1.00 µs", "800 ns", "−20 %", "<0.001", "better", "no measurable difference",
                   "latency by percentile", "99.9 %", "latency over time", "CPU per request"):
        check(wanted in said, f"{wanted!r} is missing")
    check(said.index("this is no quiet machine") < said.index("latency"), "warnings come first")


def test_a_backend_has_the_same_colour_in_every_report():
    colours = []
    for backends in (("epoll", "io_uring"), ("io_uring", "epoll", "kqueue")):
        text, _ = report(put("c.json", result(**{b: spread(900) for b in backends})))
        colours.append(dict(re.findall(r'swatch (c\d) f0[^>]*></i>(epoll|io_uring)<', text)[::-1]))
    check(colours[0] == colours[1] and len(colours[0]) == 2, colours)


def test_backends_with_options_differ_in_colour():
    names = ["epoll", "io_uring", *(f"io_uring:no-{x},zero-copy={x}" for x in range(5))]
    text, _ = report(put("many.json", result(**{n: spread(900) for n in names})))
    pairs = set(re.findall(r'swatch (c\d) f0[^>]*></i>([^<]+)<', text))
    check(len(pairs) == len({colour for colour, _ in pairs}) == 7, pairs)


def test_files_side_by_side():
    old, new = put("old.json", result()), put("new.json", result(epoll=spread(1100),
                                                                 io_uring=spread(800)))
    _, page = report(old, new, put("micro.json", google()))
    said = words(page)
    for wanted in ("epoll · A", "epoll · B", "to first file", "+10 %", "worse", "spawn_join",
                   "stackless · C", "102 ns", "new.json"):
        check(wanted in said, f"{wanted!r} is missing")


def test_google_benchmarks_files():
    text, page = report(put("g.json", google()))
    check("spawn_join" in words(page) and "fiber" in words(page))
    check("102 ns" in words(page), "s/op is a time")
    shuffled = google()
    shuffled["benchmarks"].reverse()
    said = words(report(put("shuffled.json", shuffled))[1])
    check(said.index("stackless") < said.index("fiber"), "families in their order")
    nan = json.dumps(google()).replace('"cpu_time": 90,', '"cpu_time": 90, "spread": NaN,')
    check("NaN" in nan)
    report(put("nan.json", nan))
    only = {"context": {}, "benchmarks": [
        {"name": f"a_{kind}", "run_name": "a", "run_type": "aggregate", "aggregate_name": kind,
         "real_time": 4, "cpu_time": 4, "time_unit": "ms"} for kind in ("mean", "median", "cv")]}
    text, page = report(put("aggregates.json", only))
    check("4.00 ms" in words(page), words(page)[-600:])
    check("nan" not in text.lower().replace("nano", ""))
    failed = google()
    failed["benchmarks"].append({"name": "broken", "run_name": "broken", "error_occurred": True,
                                 "error_message": "it <b>broke</b>"})
    _, page = report(put("failed.json", failed))
    check("it <b>broke</b>" in words(page))


def test_what_a_file_says_stays_text():
    evil = result(weir={"placement": EVIL, "warnings": [EVIL], "reference": EVIL,
                        "environment": {EVIL: EVIL}},
                  **{"epoll": spread(1000), EVIL.replace("/", "|"): spread(900)})
    text, page = report(put("evil.json", evil))
    check("script" not in page.tags and "<script" not in text)
    check("\x1b" not in text)
    check("alert(1)" in words(page))
    micro = google()
    for entry in micro["benchmarks"]:
        entry["name"] = entry["run_name"] = EVIL
    text, page = report(put("evil2.json", micro))
    check("script" not in page.tags and "<script" not in text)


def test_standard_output():
    code, out, err = run_weir("bench", "report", EXAMPLE, "-o", "-")
    check(code == 0 and err == "" and out.startswith("<!DOCTYPE html>"), code, err)


def test_output_that_cannot_be_written():
    code, _, err = run_weir("bench", "report", EXAMPLE, "-o", path_of("no/such/folder"))
    check(code == 1 and "no/such/folder: No such file" in err, code, err)
    if os.path.exists("/dev/full"):
        code, _, err = run_weir("bench", "report", EXAMPLE, "-o", "/dev/full")
        check(code == 1 and "No space left" in err, code, err)


def test_a_page_is_there_whole_or_not_at_all():
    folder = path_of("whole")
    os.mkdir(folder)
    out = os.path.join(folder, "page.html")
    for old in (None, "old"):
        if old:
            put("whole/page.html", old)
        code, _, err = run_weir("bench", "report", EXAMPLE, "-o", out, preexec_fn=lambda:
                                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        check(code == 1 and "File too large" in err, code, err)
        check(os.listdir(folder) == (["page.html"] if old else []), os.listdir(folder))
    with open(out, encoding="utf-8") as handle:
        check(handle.read() == "old")
    os.chmod(out, 0o640)
    code, _, err = run_weir("bench", "report", EXAMPLE, "-o", out)
    check(code == 0 and os.listdir(folder) == ["page.html"], code, err, os.listdir(folder))
    check(os.stat(out).st_mode & 0o777 == 0o640, "it keeps its mode")


def test_links_of_others_are_not_followed():
    target, link = put("target.html", "old"), path_of("link.html")
    os.symlink(target, link)
    code, _, err = run_weir("bench", "report", EXAMPLE, "-o", link)
    check(code == 0 and os.path.islink(link) and os.path.getsize(target) > 1000, code, err)
    if os.geteuid() != 0:
        raise Skip("only root can give a link to another user")
    put("target.html", "old")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    code, _, err = run_weir("bench", "report", EXAMPLE, "-o", link)
    check(code == 1 and "link.html: a symbolic link that another user owns" in err and os.path.getsize(target) == 3, code, err)


def test_what_is_no_file_is_written_as_it_comes():
    fifo = path_of("fifo")
    os.mkfifo(fifo)
    got = []
    reader = threading.Thread(target=lambda: got.append(open(fifo, encoding="utf-8").read()), daemon=True)
    reader.start()
    code, _, err = run_weir("bench", "report", EXAMPLE, "-o", fifo)
    reader.join(harness.PATIENCE)
    check(code == 0 and got and got[0].rstrip().endswith("</html>"), code, err)
    code, out, err = run_weir("bench", "report", EXAMPLE, "-o", "/dev/stdout")
    check(code == 0 and out == got[0], code, err)


def test_bad_input_leaves_an_older_report_as_it_was():
    out = put("kept.html", "old")
    refused(["bench", "report", put("bad.json", "{"), "-o", out], "bad.json:1:1")
    with open(out, encoding="utf-8") as handle:
        check(handle.read() == "old")


# ---- files that are refused, and the place that the message names ----

def changed(change):
    made = copy.deepcopy(result())
    change(made)
    return made


def set_in(*keys):
    """Returns a change that sets the place named by the first keys to the last one."""
    def change(made):
        for key in keys[:-2]:
            made = made[key]
        made[keys[-2]] = keys[-1]
    return change


BAD = {
    "empty": ("", "the file is empty"),
    "blank": (" \n", "the file is empty"),
    "text": ("not JSON", ":1:3: "),
    "cut": (json.dumps(result(), indent=1)[:700], "premature end of input"),
    "comma": ('{\n "context": {},\n "benchmarks": [,]\n}', ":3:17: "),
    "bytes": (b'{"context": "\xff"}', "unable to decode byte 0xff"),
    "twice": ('{"context": {}, "context": {}}', "duplicate object key"),
    "deep": ("[" * 5000, "maximum parsing depth"),
    "array": ([1], "it is an array"),
    "foreign": ({"dependencies": {}}, "context: expected an object"),
    "nothing": ({"context": {}, "benchmarks": []}, "benchmarks: expected at least one entry"),
    "no_list": ({"context": {}, "benchmarks": {}}, "benchmarks: expected an array, not an object"),
    "newer": (changed(set_in("context", "weir", "format", 2)), "context.weir.format: 2"),
    "schema": (changed(set_in("context", "json_schema_version", 7)), "json_schema_version"),
    "weir": (changed(set_in("context", "weir", [])), "context.weir: expected an object"),
    "time": (changed(set_in("benchmarks", 3, "real_time", "fast")),
             "benchmarks[3].real_time: expected a number, not a string"),
    "no_time": (changed(lambda r: r["benchmarks"][3].pop("real_time")),
                "benchmarks[3].real_time: expected a number, not nothing"),
    "counter": (changed(set_in("benchmarks", 2, "batch", [])), "benchmarks[2].batch: expected a number"),
    "unit": (changed(set_in("benchmarks", 0, "time_unit", "h")), "expected ns, us, ms or s"),
    "name": (changed(set_in("benchmarks", 0, "run_name", 5)), "benchmarks[0].run_name: expected a string"),
    "backend": (changed(set_in("benchmarks", 0, "run_name", "BM_echo/p99")), "backend:NAME"),
    "type": (changed(set_in("benchmarks", 0, "run_type", "guess")), "iteration or aggregate"),
    "entry": (changed(set_in("benchmarks", 0, 5)), "benchmarks[0]: expected an object"),
    "curve": (changed(set_in("benchmarks", 7, "weir", "percentiles", [[50, 9], [20, 10]])),
              "benchmarks[7].weir.percentiles[1]"),
    "slices": (changed(set_in("benchmarks", 0, "weir", "over_time", [[0, 1]])),
               "benchmarks[0].weir.over_time[0]"),
    "huge": (changed(set_in("benchmarks", 0, "real_time", 1e300)), "out of range"),
    "warnings": (changed(set_in("context", "weir", "warnings", [3])), "context.weir.warnings"),
}


def test_bad_files():
    good = put("good.json", result())
    for name, (content, wanted) in BAD.items():
        path = put(name + ".json", content)
        out = path_of(name + ".html")
        refused(["bench", "report", good, path, "-o", out], f"{name}.json:", wanted)
        check(not os.path.exists(out), name)
        refused(["bench", "diff", good, path], f"{name}.json:", wanted)


def test_files_that_cannot_be_read():
    refused(["bench", "report", path_of("absent"), "-o", "x"], "absent: No such file")
    refused(["bench", "report", FOLDER, "-o", "x"], "Is a directory")
    refused(["bench", "diff", EXAMPLE, path_of("absent")], "absent: No such file")


def test_bad_usage():
    refused(["bench", "report"], "result file")
    refused(["bench", "report", EXAMPLE], "expected -o FILE")
    refused(["bench", "report", EXAMPLE, "-o"], "expected FILE")
    refused(["bench", "report", EXAMPLE, "-o", ""], "expected FILE")
    refused(["bench", "report", *[EXAMPLE] * 17, "-o", "x"], "17 files")
    refused(["bench", "report", EXAMPLE, "--outptu", "x"], "did you mean --output?")
    refused(["bench", "diff", EXAMPLE], "1 files", "expected two")
    for value in ("much", "-1", "", "5%%", "nan", "inf", "5 %"):
        refused(["bench", "diff", EXAMPLE, EXAMPLE, "--fail-above", value], "--fail-above")
    for command in ("report", "diff"):
        code, out, err = run_weir("bench", command, "--help")
        check(code == 0 and out.startswith(f"usage: weir bench {command}") and not err, out, err)


# ---- diff ----

def diff(old, new, *options):
    code, out, err = run_weir("bench", "diff", old, new, *options)
    check(err == "", err)
    return code, out


def line(out, backend, title):
    """Returns the line of one figure."""
    part = out[out.index("backend:" + backend + "/"):]
    return re.search(rf"^  {re.escape(title)} .*$", part, re.M)[0]


def test_a_file_does_not_differ_from_itself():
    check(diff(EXAMPLE, EXAMPLE)[0] == 0)
    for path in (put("same.json", result()), put("same_g.json", google())):
        code, out = diff(path, path, "--fail-above", "0")
        check(code == 0 and "FAIL" not in out and "1.000" in out, out)
        check("better" not in out and "worse," not in out, out)


def test_what_got_worse_fails():
    old = put("before.json", result())
    new = put("after.json", result(epoll=spread(1100), io_uring=spread(680)))
    code, out = diff(old, new)
    check(code == 0 and "FAIL" not in out)
    epoll = line(out, "epoll", "latency, mean")
    for wanted in ("1.000 µs", "1.100 µs", "1.100", "apart", "<0.001", "worse, +10 %"):
        check(wanted in epoll, f"{wanted!r} is not in {epoll!r}")
    check("better, −15 %" in line(out, "io_uring", "latency, p99"), out)
    check("no measurable difference" in line(out, "epoll", "system calls per request"))
    code, out = diff(old, new, "--fail-above", "5%")
    check(code == 1, code)
    check("FAIL" in line(out, "epoll", "latency, p99") and "FAIL" in line(out, "epoll", "server CPU"
                                                                         " per request"))
    check("FAIL" not in line(out, "io_uring", "latency, mean"))
    check(diff(old, new, "--fail-above", "10.5")[0] == 0)
    check(diff(new, old, "--fail-above", "10.5")[0] == 1, "io_uring is the worse one this way")


def test_noise_does_not_fail():
    loud = [700, 1000, 1300, 800, 1200, 900, 1100]
    old = put("loud.json", result(epoll=loud))
    new = put("louder.json", result(epoll=[t * 1.08 for t in loud]))
    code, out = diff(old, new, "--fail-above", "5")
    row = line(out, "epoll", "latency, mean")
    check(code == 0 and "no measurable difference" in row and "overlap" in row, row)


def test_the_noise_floor_counts():
    floor = {"noise_floor_pct": {"real_time": 12, "p99": 12, "cpu_time": 12}}
    new = put("slower.json", result(epoll=spread(1100)))
    for one, other in (({}, floor), (floor, {})):
        code, out = diff(put("floor.json", result(one, epoll=spread(1000))),
                         put("slower.json", result(other, epoll=spread(1100))),
                         "--fail-above", "5")
        check("no measurable difference" in line(out, "epoll", "latency, mean"), out)
        check("no measurable difference" in line(out, "epoll", "latency, p99"), out)
    code, out = diff(put("floor.json", result(epoll=spread(1000))), new, "--fail-above", "5")
    check(code == 1, out)


def test_too_few_repetitions_to_tell():
    code, out = diff(put("few.json", result(epoll=spread(1000, 3), io_uring=spread(800))),
                     put("few2.json", result(epoll=spread(2000, 3), io_uring=spread(800))),
                     "--fail-above", "5")
    check(code == 0 and "too few repetitions" in line(out, "epoll", "latency, mean"), out)
    check("have too few repetitions to tell" in out, out)


def test_a_check_that_cannot_fail_is_none():
    few = {"epoll": spread(1000, 3), "io_uring": spread(1000, 3)}
    old, new = put("none.json", result(**few)), put("none2.json", result(**few))
    check(diff(old, new)[0] == 0)
    code, _, err = run_weir("bench", "diff", old, new, "--fail-above", "5")
    check(code == 2 and "--fail-above" in err and "four in each file" in err, code, err)


def test_a_benchmark_that_is_gone_was_not_checked():
    both = {"epoll": spread(1000), "io_uring": spread(800)}
    old = put("all.json", result(**both))
    new = put("fewer.json", result(epoll=spread(1000)))
    code, out = diff(old, new)
    check(code == 0 and "only in the old file" in out, code, out)
    code, out, err = run_weir("bench", "diff", old, new, "--fail-above", "5")
    check(code == 2 and err.count("\n") == 1, code, err)
    for wanted in ("--fail-above", "backend:io_uring", "all.json", "fewer.json", "was not checked"):
        check(wanted in err, wanted, err)
    code, out = diff(new, old, "--fail-above", "5")
    check(code == 0, "one more is no fault:", out)
    worse = put("worse.json", result(epoll=spread(1100)))
    check(diff(old, worse, "--fail-above", "5")[0] == 1, "what is known to be worse counts more")
    twins = {"epoll+aa": spread(1000), **both}
    check(diff(put("twins.json", result(**twins)), old, "--fail-above", "5")[0] == 0)


def test_google_files_compare():
    code, out = diff(put("g1.json", google()), put("g2.json", google(1.5)), "--fail-above", "20")
    check(code == 1 and "worse, +50 %  FAIL" in out, out)
    check("−33 %" in re.search(r"throughput.*", out)[0], out)


def test_files_that_do_not_match():
    old = put("m.json", result())
    other = {"workload": "stream", "transport": "unix", "loop": "closed", "conns": 8,
             "size_bytes": 65, "depth": 2, "rate_per_s": 40000}
    for key, value in other.items():
        new = put("m2.json", result({key: value}))
        before = {"rate_per_s": "rate"}.get(key, key)
        refused(["bench", "diff", old, new], f"its {before} is {value}", "expected")
    refused(["bench", "diff", old, put("m3.json", google())], "Google Benchmark's", "same program")
    refused(["bench", "diff", put("m4.json", result(epoll=spread(1))),
             put("m5.json", result(kqueue=spread(1)))], "no benchmark in common", "backend:kqueue")


def test_what_differs_besides_is_said():
    code, out = diff(put("k.json", result()),
                     put("k2.json", result({"environment": {"kernel": "Linux \x1b[2J7.0"},
                                            "rate_from": "calibration", "rate_per_s": 60000},
                                           epoll=spread(1000), kqueue=spread(900))))
    check(code == 0 and "! kernel: Linux 6.18 -> Linux ?[2J7.0" in out, out)
    check("calibrated rates differ" in out and "60000" in out, out)
    check("only in the old file: BM_echo/backend:io_uring" in out, out)
    check("only in the new file: BM_echo/backend:kqueue" in out, out)


def test_the_repeated_reference_is_not_compared():
    old = put("aa.json", result(**{"epoll": spread(1000), "epoll+aa": spread(1000)}))
    new = put("aa2.json", result(**{"epoll": spread(1000), "epoll+aa": spread(2000)}))
    code, out = diff(old, new, "--fail-above", "5")
    check(code == 0 and "+aa" not in out, out)


if __name__ == "__main__":
    try:
        sys.exit(harness.main(globals()))
    finally:
        shutil.rmtree(FOLDER)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots a machine with several memory nodes in qemu, runs test programs in it, and prints TAP.

The processors are emulated, so the script needs no privileges and no such hardware.
Times measured in the machine mean nothing; the tests check where things are. The
machine has a kernel, an initramfs with the programs and their libraries, and no
network but its loopback. Under /machine the tests find the description that qemu got,
laid out like /sys/devices/system/node.

It is a failure if the kernel panics, or if init or the machine does not end by itself.
Then the console is shown.

Usage: vm.py MACHINE FOLDER INIT PROGRAM...
  MACHINE  two or four
  FOLDER   for the files that it makes
Environment: WEIR_VM_KERNEL, the kernel's image (scripts/vm_kernel.sh fetches one)
"""

import os
import platform
import re
import shutil
import stat
import subprocess
import sys

TIMEOUT_S = 240
QEMU = "qemu-system-x86_64"

# Nodes are (CPUs, MiB). The processors are Intel's: for those, qemu reports caches shared by a die.
MACHINES = {
    # Two L3 caches per node, and a node with memory only.
    "two": {
        "smp": "8,sockets=2,dies=2,cores=2,threads=1",
        "nodes": [("0-3", 320), ("4-7", 320), ("", 64)],
        "distances": [[10, 21, 30], [21, 10, 40], [30, 40, 10]],
    },
    # The distances from each node to the others all differ; two hardware threads per core.
    "four": {
        "smp": "8,sockets=4,dies=1,cores=1,threads=2",
        "nodes": [("0-1", 224), ("2-3", 192), ("4-5", 192), ("6-7", 128)],
        "distances": [[10, 15, 25, 30], [15, 10, 20, 28], [25, 20, 10, 16], [30, 28, 16, 10]],
    },
}

ENVIRONMENT = {
    "WEIR_NUMA_MACHINE": "/machine",
    "WEIR_TEST_SCALE": "6",
    "PATH": "/bin",
}


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


# ---- the initramfs ---------------------------------------------------------------------------


class Cpio:
    """An archive in the kernel's "newc" format."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.inode = 0
        self.folders = set()

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        self.out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def folder(self, name):
        parent = os.path.dirname(name)
        if name and name not in self.folders:
            self.folder(parent)
            self.folders.add(name)
            self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        name = name.lstrip("/")
        self.folder(os.path.dirname(name))
        self.entry(name, stat.S_IFREG | mode, data)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.out.close()


def libraries(program):
    """Returns the paths of the program's shared libraries and of the loader."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"(/\S+) \(0x", listing))
    # The C library loads this one when it makes a backtrace.
    unwinders = {os.path.join(os.path.dirname(path), "libgcc_s.so.1") for path in found}
    return found | set(filter(os.path.exists, unwinders))


def contents(path):
    with open(path, "rb") as handle:
        return handle.read()


def make_initramfs(path, machine, init, programs):
    cpio = Cpio(path)
    cpio.folder("dev")
    cpio.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    cpio.file("init", contents(init))
    for library in sorted(set().union(*map(libraries, [init] + programs))):
        cpio.file(library, contents(library))
    for program in programs:
        cpio.file("bin/" + os.path.basename(program), contents(program))
    cpio.file("runs", "".join(f"/bin/{os.path.basename(p)}\n" for p in programs).encode())
    for node, (cpus, _) in enumerate(machine["nodes"]):
        row = " ".join(map(str, machine["distances"][node]))
        cpio.file(f"machine/node{node}/cpulist", f"{cpus}\n".encode())
        cpio.file(f"machine/node{node}/distance", f"{row}\n".encode())
    cpio.close()


# ---- the machine -----------------------------------------------------------------------------


def command(machine, kernel, initramfs, console, results):
    nodes = machine["nodes"]
    words = [QEMU, "-machine", "q35,accel=tcg", "-cpu", "max,vendor=GenuineIntel",
             "-m", str(sum(mib for _, mib in nodes)), "-smp", machine["smp"]]
    for node, (cpus, mib) in enumerate(nodes):
        words += ["-object", f"memory-backend-ram,id=m{node},size={mib}M", "-numa",
                  f"node,nodeid={node},memdev=m{node}" + (f",cpus={cpus}" if cpus else "")]
    for a, row in enumerate(machine["distances"]):
        words += [w for b, far in enumerate(row) if b > a
                  for w in ("-numa", f"dist,src={a},dst={b},val={far}")]
    # The kernel passes parameters that it does not know to init as environment variables.
    environment = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    return words + ["-kernel", kernel, "-initrd", initramfs, "-append",
                    f"console=ttyS0 quiet panic=-1 rdinit=/init {environment}",
                    "-serial", f"file:{console}", "-serial", f"file:{results}",
                    "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"]


def boot(words, console):
    """Runs qemu. Returns None, or the reason for which it did not end by itself."""
    try:
        run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the machine has not ended after {TIMEOUT_S} s"
    if run.returncode:
        return f"qemu has ended with {run.returncode}: {run.stderr.strip()}"
    if "Kernel panic" in text_of(console):
        return "the kernel has panicked"
    return None


def text_of(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read().replace("\r", "")


# ---- the report ------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.count = self.failed = 0

    def line(self, good, text):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}")

    def comment(self, text):
        for line in text.splitlines():
            print(f"# {line}")


def report_program(report, name, lines, status):
    """Reports a program's TAP. If it failed without a failed case, that counts as one."""
    cases = [re.match(r"(not )?ok \d+(?: - )?(.*)", line) for line in lines]
    planned = [int(m[1]) for m in map(re.compile(r"1\.\.(\d+)").match, lines) if m]
    for line, case in zip(lines, cases):
        if case:
            report.line(not case[1], f"{name}: {case[2]}")
        elif line.startswith("#"):
            print(line)
    seen = sum(case is not None for case in cases)
    if planned != [seen] or (status and not any(case and case[1] for case in cases)):
        report.line(False, f"{name}: ended with status {status} after {seen} of {planned} cases")


def report_results(report, results):
    """Reports all results. Returns whether the machine ran to its end."""
    name, lines = None, []
    for line in results.splitlines():
        run, end = re.match(r"# run /bin/(\S+)$", line), re.match(r"# end \S+ (\d+)$", line)
        if run:
            name, lines = run[1], []
        elif end:
            report_program(report, name, lines, int(end[1]))
            name = None
        elif line == "# over":
            return True
        elif name:
            lines.append(line)
        else:
            print(line)
    if name:
        report_program(report, name, lines, "unknown")
    return False


def main(name, folder, init, programs):
    kernel = os.environ.get("WEIR_VM_KERNEL")
    if platform.machine() != "x86_64":
        skip(f"the programs are for {platform.machine()}, the machine is an x86_64")
    if not shutil.which(QEMU):
        skip(f"no {QEMU} on PATH (package qemu-system-x86)")
    if not kernel:
        skip("WEIR_VM_KERNEL is not set: ./dev check numa fetches a kernel and runs this")
    files = {ending: os.path.join(folder, f"{name}.{ending}")
             for ending in ("cpio", "console", "results")}
    os.makedirs(folder, exist_ok=True)
    for path in files.values():
        if os.path.exists(path):
            os.remove(path)
    make_initramfs(files["cpio"], MACHINES[name], init, programs)
    wrong = boot(command(MACHINES[name], kernel, files["cpio"], files["console"],
                         files["results"]), files["console"])
    report = Report()
    over = report_results(report, text_of(files["results"]))
    if wrong or not over:
        report.line(False, wrong or "init has not come to its end")
    if report.failed:
        report.comment(f"the console ({files['console']}):")
        report.comment(text_of(files["console"]))
    print(f"1..{report.count}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 5 or sys.argv[1] not in MACHINES:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))

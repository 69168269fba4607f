#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include whom: fails on a forbidden arrow.

The table is the one in CONTRIBUTING.md. It is checked over the #include lines of
every C and C++ file, and so is the rule that memory orders and compiler atomics
stand in core/atomic.h alone, as far as the library goes, and the one that what a
program asks of the system's headers (_GNU_SOURCE) is said in meson.build alone.

Usage: include_arrows.py ROOT        check the tree
       include_arrows.py --self-test check that planted violations are found
"""

import fnmatch
import os
import re
import sys

SOURCE = (".c", ".h", ".cc", ".cpp", ".hpp", ".S", ".in")

# (file pattern, what its quoted includes may match). The first pattern that fits counts.
# "{folder}" is the file's own folder.
ARROWS = [
    ("include/weir/*", ["weir/*"]),
    ("core/atomic.h", ["model_atomic.h"]),
    # A stack, and what is switched on it: it knows no task, no timer, no operation.
    ("core/fiber/*", ["weir/base.h", "core/assert.h", "core/atomic.h", "core/lock.h", "core/node.h",
                      "core/os.h", "core/sanitizer.h", "core/fiber/*"]),
    ("core/*", ["weir/*", "core/*"]),
    # A pure library: machine in, plan out.
    ("topo/*", ["weir/*", "core/assert.h", "core/atomic.h", "core/os.h", "core/sized.h",
                "topo/*"]),
    ("sched/runtime.c", ["weir/*", "core/*", "topo/*", "sched/*", "backends/registry.h"]),
    ("sched/*", ["weir/*", "core/*", "topo/*", "sched/*"]),
    # What lies in backends/ itself is common to all, and readiness/ to those whose kernel tells only
    # readiness; a backend never sees another's folder.
    ("backends/epoll/*", ["weir/*", "core/*", "backends/*.h", "backends/readiness/*", "{folder}/*"]),
    ("backends/kqueue/*", ["weir/*", "core/*", "backends/*.h", "backends/readiness/*", "{folder}/*"]),
    ("backends/*", ["weir/*", "core/*", "backends/*.h", "{folder}/*.h"]),
    ("stack/*", ["weir/*", "core/*", "{folder}/*"]),
    ("net/*", ["weir/*", "core/*", "net/*"]),
    ("os/*", ["weir/*", "core/*", "os/*"]),
    ("sync/*", ["weir/*", "core/*", "sync/*"]),
    # A command sees itself and what is common to all; `weir demo` runs the proxy.
    ("tools/weir.c", ["weir/*", "tools/*"]),
    ("tools/demo/*", ["weir/*", "tools/common/*", "tools/demo/*", "tools/proxy/*"]),
    ("tools/*/*", ["weir/*", "tools/common/*", "{folder}/*"]),
    ("bench/*", ["weir/*", "bench/*"]),
    ("examples/*", ["weir/*"]),
    ("tests/support/*", ["tests/support/*"]),
    # A unit test, <folder>_<file>.c, sees its folder and what that folder sees.
    ("tests/unit/*", ["weir/*", "tests/*", "{tested}"]),
    ("tests/model/*", ["weir/*", "tests/*", "core/*", "sched/*", "sync/*"]),
    ("tests/fuzz/*", ["weir/*", "tests/*", "tools/*", "core/*"]),
    # They read back where pages lie.
    ("tests/numa/*", ["weir/*", "tests/*", "core/*", "sched/*"]),
    ("tests/*", ["weir/*", "tests/*"]),
]

# Here a bare name is a file beside the one that includes it.
BESIDE = ("tools/", "bench/", "examples/", "tests/")

# What a folder named in a unit test's file name lets the test include.
TESTED = {
    "core": ["core/*"],
    "topo": ["core/*", "topo/*"],
    "sched": ["core/*", "topo/*", "sched/*"],
    "backends": ["core/*", "backends/*"],
    "net": ["core/*", "net/*"],
    "os": ["core/*", "os/*"],
    "sync": ["core/*", "sync/*"],
    "stack": ["core/*", "stack/*"],
    "tools": ["tools/*"],
}

# Headers that are neither ours nor the system's, and where they may appear.
THIRD_PARTY = [
    ("liburing.h", ["backends/iouring/*", "bench/peers/*", "tests/faults/rings.c"]),
    ("rte_*.h", ["backends/dpdk/*"]),
    ("hwloc*.h", ["topo/hwloc.c"]),
    ("valgrind/*", ["core/*", "tests/*"]),
    ("sanitizer/*", ["core/*", "tests/*"]),
    ("jansson.h", ["tools/bench/read.h"]),
    ("check.h", ["tests/*"]),
    ("benchmark/*", ["bench/*"]),
    ("relacy/*", ["tests/model/*"]),
    ("stdatomic.h", ["tools/*", "bench/*", "examples/*", "tests/*"]),
]

SYSTEM_FOLDERS = ("sys/", "linux/", "asm/", "arpa/", "net/", "netinet/", "mach/", "os/")
SYSTEM = set("""assert.h byteswap.h ctype.h dirent.h dlfcn.h endian.h err.h errno.h execinfo.h fcntl.h
fenv.h float.h getopt.h grp.h ifaddrs.h inttypes.h libgen.h limits.h link.h locale.h malloc.h math.h
netdb.h poll.h pthread.h pwd.h sched.h search.h semaphore.h setjmp.h signal.h spawn.h stdalign.h
stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h syscall.h
syslog.h termios.h time.h ucontext.h unistd.h utime.h wchar.h""".split())
# The C++ library: for benchmarks and model tests, which are C++.
CXX = re.compile(r"[a-z_]+$")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
ORDERS = re.compile(r"\b(__ATOMIC_[A-Z]\w*|__atomic_\w+|__sync_\w+|memory_order_\w+)")
# Users of the library cannot reach that file, and have C11's.
ORDERS_ALLOWED = ["core/atomic.h", "tools/*", "bench/*", "examples/*", "tests/*"]
FEATURES = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(_\w+_SOURCE)\b", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def fits(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


def allowed_quoted(path):
    for pattern, allowed in ARROWS:
        if fnmatch.fnmatchcase(path, pattern):
            break
    else:
        return None
    tested = TESTED.get(os.path.basename(path).split("_")[0], [])
    out = []
    for entry in allowed:
        if entry == "{tested}":
            out += tested
        else:
            out.append(entry.replace("{folder}", os.path.dirname(path)))
    return out


def quoted_fits(target, allowed):
    # fnmatch's * crosses slashes: "folder/*.h" is what lies in the folder itself.
    return any(fnmatch.fnmatchcase(target, p) for p in allowed
               if not p.endswith("/*.h") or target.count("/") == p.count("/"))


def check_quoted(path, target):
    if path.startswith("bench/peers/"):     # other people's programs, on their own
        return None
    allowed = allowed_quoted(path)
    if allowed is None:
        return "lies in a folder that the table does not know"
    if ".." in target.split("/"):
        return f'includes "{target}": paths start at the root'
    if quoted_fits(target, allowed):
        return None
    if "/" not in target and path.startswith(BESIDE):
        return None
    return f'must not include "{target}"; it may include {", ".join(allowed)}'


def check_angle(path, target):
    for pattern, places in THIRD_PARTY:
        if fnmatch.fnmatchcase(target, pattern):
            return None if fits(path, places) else f"<{target}> belongs in {', '.join(places)}"
    if target in SYSTEM or target.startswith(SYSTEM_FOLDERS):
        return None
    if path.endswith((".cc", ".cpp", ".hpp")) and CXX.fullmatch(target):
        return None
    if path.startswith("bench/peers/"):
        return None
    return f"<{target}> is not a system header that include_arrows.py knows"


def check_file(path, text):
    """The complaints about one file: (line, what)."""
    code = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    found = []
    for match in INCLUDE.finditer(code):
        what = check_quoted(path, match[1]) if match[1] else check_angle(path, match[2])
        if what:
            found.append((code.count("\n", 0, match.start()) + 1, what))
    if not fits(path, ORDERS_ALLOWED):
        for match in ORDERS.finditer(code):
            found.append((code.count("\n", 0, match.start()) + 1,
                          f"{match[1]}: only core/atomic.h names memory orders"))
    if not path.startswith("bench/peers/"):
        for match in FEATURES.finditer(code):
            found.append((code.count("\n", 0, match.start()) + 1,
                          f"{match[1]}: meson.build defines it for every file"))
    return found


def sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders
                            if not f.startswith(".") and not f.startswith("build") and f != "out")
        for name in sorted(files):
            if name.endswith(SOURCE):
                yield os.path.relpath(os.path.join(folder, name), root)


def check_tree(root):
    files = bad = 0
    for path in sources(root):
        files += 1
        with open(os.path.join(root, path), encoding="utf-8") as handle:
            for line, what in check_file(path, handle.read()):
                bad += 1
                print(f"{path}:{line}: {what}")
    print(f"{files} files, {bad} forbidden")
    return 1 if bad or not files else 0


PLANTED = [
    # (file, line, forbidden?)
    ("include/weir/rt.h", '#include "core/task/task.h"', True),
    ("include/weir/rt.h", '#include "weir/base.h"', False),
    ("include/weir/net.h", "#include <liburing.h>", True),
    ("include/weir/net.h", "#include <sys/socket.h>", False),
    ("core/task/task.c", '#include "sched/queue.h"', True),
    ("core/task/task.c", '#include "core/lock.h"', False),
    ("core/task/task.c", "#include <stdatomic.h>", True),
    ("bench/micro/time.c", "#include <stdatomic.h>", False),
    ("core/task/task.c", "x = __atomic_load_n(p, __ATOMIC_RELAXED);", True),
    ("core/task/task.c", "/* pairs with __ATOMIC_RELEASE; */", False),
    ("core/atomic.h", "#define WEIR_RELAXED __ATOMIC_RELAXED", False),
    ("core/task/task.c", "#define _GNU_SOURCE", True),
    ("bench/peers/load/load.c", "#define _GNU_SOURCE", False),
    ("sched/worker.c", '#include "backends/registry.h"', True),
    ("sched/runtime.c", '#include "backends/registry.h"', False),
    ("sched/runtime.c", '#include "backends/readiness/readiness.h"', True),
    ("sched/runtime.c", '#include "net/tcp.h"', True),
    ("topo/place.c", '#include "core/assert.h"', False),
    ("topo/place.c", '#include "core/task/task.h"', True),
    ("topo/place.c", '#include "sched/worker.h"', True),
    ("core/os_linux.c", '#include "topo/cpus.h"', True),
    ("core/fiber/fiber.c", '#include "core/fiber/stack.h"', False),
    ("core/fiber/fiber.c", '#include "core/task/task.h"', True),
    ("core/task/run.h", '#include "core/fiber/resume.h"', False),
    ("tests/unit/topo_place.c", '#include "sched/worker.h"', True),
    ("topo/flat.c", "#include <hwloc.h>", True),
    ("topo/hwloc.c", "#include <hwloc.h>", False),
    ("backends/epoll/epoll.c", '#include "backends/readiness/readiness.h"', False),
    ("backends/epoll/epoll.c", '#include "backends/epoll/epoll.h"', False),
    ("backends/epoll/epoll.c", '#include "backends/kqueue/kqueue.h"', True),
    ("backends/epoll/epoll.c", '#include "sched/worker.h"', True),
    ("backends/epoll/epoll.c", '#include "backends/socket.h"', False),
    ("backends/iouring/recv.c", '#include "backends/socket.h"', False),
    ("backends/iouring/recv.c", '#include "backends/readiness/try.h"', True),
    ("backends/socket.c", '#include "backends/readiness/readiness.h"', True),
    ("backends/readiness/try.c", '#include "backends/socket.h"', False),
    ("backends/readiness/readiness.c", '#include "backends/epoll/epoll.h"', True),
    ("net/tcp.c", '#include "core/op.h"', False),
    ("net/tcp.c", '# include "sched/worker.h"', True),
    ("net/tcp.c", '#include "backends/registry.h"', True),
    ("net/tcp.c", "#include <uv.h>", True),
    ("os/signal.c", '#include "net/tcp.h"', True),
    ("sync/mutex.c", '#include "../core/lock.h"', True),
    ("tools/proxy/proxy.c", '#include "core/task/task.h"', True),
    ("tools/proxy/proxy.c", '#include "tools/common/command.h"', False),
    ("tools/proxy/proxy.c", '#include "tools/bench/bench.h"', True),
    ("tools/common/options.c", '#include "tools/proxy/proxy.h"', True),
    ("tools/demo/demo.c", '#include "tools/proxy/proxy.h"', False),
    ("examples/echo.c", '#include "weir/weir.h"', False),
    ("examples/echo.c", '#include "core/task/task.h"', True),
    ("tests/model/ring.cpp", '#include "model.h"', False),
    ("core/task/task.c", '#include "model.h"', True),
    ("bench/weir_echo.c", '#include "sched/worker.h"', True),
    ("tests/conformance/tcp.c", '#include "core/task/task.h"', True),
    ("tests/unit/core_task.c", '#include "core/task/task.h"', False),
    ("tests/unit/core_task.c", '#include "sched/queue.h"', True),
    ("tests/unit/sched_queue.c", '#include "sched/queue.h"', False),
    ("newfolder/thing.c", '#include "weir/base.h"', True),
]


def self_test():
    wrong = 0
    for path, line, forbidden in PLANTED:
        if bool(check_file(path, "\n" + line + "\n")) != forbidden:
            wrong += 1
            print(f"{path}: {line}: should be {'forbidden' if forbidden else 'allowed'}")
    print(f"{len(PLANTED)} planted lines, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check_tree(sys.argv[1]))

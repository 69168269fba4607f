#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which folder may include and call which: fails on a forbidden arrow.

The table is the one in CONTRIBUTING.md. The script checks it for
 - the #include lines of every C and C++ file;
 - the symbols of the library's objects: a file may use a symbol only if it may include
   from the folder that defines it.
It also checks these rules:
 - global symbols begin with weir, so that they cannot clash with a program's own;
 - in the library, only core/atomic.h names memory orders and compiler atomics;
 - only meson.build defines feature macros such as _GNU_SOURCE;
 - files of one folder call each other in no circle, except those of CIRCLES.

Usage: include_arrows.py ROOT                   check the tree
       include_arrows.py --calls ROOT LIBRARY [COMMAND]
                                                check the static library, and the
                                                circles of the command's objects
       include_arrows.py --self-test            check that planted violations are found
"""

import fnmatch
import glob
import os
import re
import subprocess
import sys

SOURCE = (".c", ".h", ".cc", ".cpp", ".hpp", ".S", ".in")

# (file pattern, patterns for its quoted includes). The first file pattern that matches applies.
# "{folder}" is the file's own folder.
ARROWS = [
    ("include/weir/*", ["weir/*"]),
    ("core/atomic.h", ["model_atomic.h"]),
    # Stacks, and switching between them. These files know no tasks, timers or operations.
    ("core/fiber/*", ["weir/base.h", "core/assert.h", "core/atomic.h", "core/lock.h", "core/node.h",
                      "core/os.h", "core/sanitizer.h", "core/fiber/*"]),
    ("core/*", ["weir/*", "core/*"]),
    # A library without state: it reads the machine and makes a plan of the workers' places.
    ("topo/*", ["weir/*", "core/assert.h", "core/atomic.h", "core/os.h", "core/sized.h",
                "topo/*"]),
    ("sched/runtime.c", ["weir/*", "core/*", "topo/*", "sched/*", "backends/registry.h"]),
    ("sched/*", ["weir/*", "core/*", "topo/*", "sched/*"]),
    # All backends share the files directly in backends/. Those over a readiness interface share
    # readiness/. No backend includes from the folder of another.
    ("backends/epoll/*", ["weir/*", "core/*", "backends/*.h", "backends/readiness/*", "{folder}/*"]),
    ("backends/kqueue/*", ["weir/*", "core/*", "backends/*.h", "backends/readiness/*", "{folder}/*"]),
    ("backends/*", ["weir/*", "core/*", "backends/*.h", "{folder}/*.h"]),
    # A pure library that can be taken alone.
    ("stack/*", ["stack/*"]),
    ("net/*", ["weir/*", "core/*", "net/*"]),
    ("os/*", ["weir/*", "core/*", "os/*"]),
    ("sync/*", ["weir/*", "core/*", "sync/*"]),
    # A command includes its own files and common/; `weir demo` also the proxy, which it runs.
    ("tools/weir.c", ["weir/*", "tools/*"]),
    ("tools/demo/*", ["weir/*", "tools/common/*", "tools/demo/*", "tools/proxy/*"]),
    ("tools/*/*", ["weir/*", "tools/common/*", "{folder}/*"]),
    # What the library has no public calls for yet.
    ("bench/stack/*", ["stack/*"]),
    ("bench/*", ["weir/*", "bench/*"]),
    # A program that embeds the stack, without the runtime.
    ("examples/stack/*", ["stack/*"]),
    ("examples/*", ["weir/*"]),
    ("tests/support/*", ["tests/support/*"]),
    # A unit test, <folder>_<file>.c, may include from its folder and whatever that folder may.
    ("tests/unit/*", ["weir/*", "tests/*", "{tested}"]),
    ("tests/model/*", ["weir/*", "tests/*", "core/*", "sched/*", "sync/*"]),
    ("tests/stack/*", ["tests/*", "stack/*"]),
    ("tests/fuzz/*", ["weir/*", "tests/*", "tools/*", "core/*", "stack/*"]),
    # These read where memory pages lie, of internal objects too.
    ("tests/numa/*", ["weir/*", "tests/*", "core/*", "sched/*"]),
    ("tests/*", ["weir/*", "tests/*"]),
]

# In these folders, an include without a slash is a file in the same folder.
BESIDE = ("tools/", "bench/", "examples/", "tests/")

# The folder in a unit test's file name -> what the test may include.
TESTED = {
    "core": ["core/*"],
    "topo": ["core/*", "topo/*"],
    "sched": ["core/*", "topo/*", "sched/*"],
    "backends": ["core/*", "backends/*"],
    "net": ["core/*", "net/*"],
    "os": ["core/*", "os/*"],
    "sync": ["core/*", "sync/*"],
    "stack": ["stack/*"],
    "tools": ["tools/*"],
}

# Headers of other libraries, and the files that may include them.
THIRD_PARTY = [
    ("liburing.h", ["backends/iouring/*", "bench/peers/*", "tests/faults/rings.c"]),
    ("rte_*.h", ["backends/dpdk/*"]),
    ("hwloc*.h", ["topo/hwloc.c"]),
    ("valgrind/*", ["core/*", "tests/*"]),
    ("sanitizer/*", ["core/*", "tests/*"]),
    ("jansson.h", ["tools/bench/read.h"]),
    ("check.h", ["tests/*"]),
    ("benchmark/*", ["bench/*"]),
    ("lwip/*", ["bench/stack/lwip.c"]),
    ("netif/*", ["bench/stack/lwip.c"]),
    ("relacy/*", ["tests/model/*"]),
    ("stdatomic.h", ["tools/*", "bench/*", "examples/*", "tests/*"]),
]

SYSTEM_FOLDERS = ("sys/", "linux/", "asm/", "arpa/", "net/", "netinet/", "mach/", "os/")
SYSTEM = set("""assert.h byteswap.h ctype.h dirent.h dlfcn.h endian.h err.h errno.h execinfo.h fcntl.h
fenv.h float.h getopt.h grp.h ifaddrs.h inttypes.h libgen.h limits.h link.h locale.h malloc.h math.h
netdb.h poll.h pthread.h pwd.h sched.h search.h semaphore.h setjmp.h signal.h spawn.h stdalign.h
stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h syscall.h
syslog.h termios.h time.h ucontext.h unistd.h utime.h wchar.h""".split())
# Headers of the C++ library, for benchmarks and model tests.
CXX = re.compile(r"[a-z_]+$")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
ORDERS = re.compile(r"\b(__ATOMIC_[A-Z]\w*|__atomic_\w+|__sync_\w+|memory_order_\w+)")
# Users of the library have no access to core/atomic.h: they use C11 atomics.
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
    # fnmatch's * also matches slashes, but "folder/*.h" must match only files in the folder itself.
    return any(fnmatch.fnmatchcase(target, p) for p in allowed
               if not p.endswith("/*.h") or target.count("/") == p.count("/"))


def check_quoted(path, target):
    if path.startswith("bench/peers/"):     # programs over other libraries
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
    """Yields what is wrong in one file: (line, message)."""
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


# Folders written over the public interface -> those whose public functions they may call.
PUBLIC_CALLS = {
    "topo": ["core/base.c"],
    "net": ["sync/*", "topo/*"],
    "os": ["sync/*", "topo/*"],
}
PUBLIC = re.compile(r"_?weir_[^_]")
# The registry's table points to one such symbol per backend, without including its headers.
KIND = re.compile(r"_?weir__backend_\w+")


# Files of one folder that call each other in a circle, and why they may: they are one thing.
# An entry goes when the circle is opened.
CIRCLES = [
    (["core/leaf.c", "core/select_set.c"],
     "the waker of a leaf may be a branch of a select set, whose waker is that of a leaf"),
    (["core/driver.c", "core/signals.c"],
     "a layer of the driver stack: the handler wakes a driver, which delivers the signal"),
    (["core/io/io.c", "core/io/op.c", "core/io/control.c"],
     "a handle's mail submits ops and makes settings at its home, to which both send them; an op "
     "that nobody awaits closes what it got"),
    (["core/task/await.c", "core/task/join.c", "core/task/join_set.c", "core/task/local.c",
      "core/task/task.c"],
     "a task's end: it wakes its joiner, enters its set and destroys its local values"),
    (["backends/iouring/iouring.c", "backends/iouring/recv.c", "backends/iouring/accept.c",
      "backends/iouring/detach.c"],
     "one loop: what finds nothing may turn the ring, and a turn delivers to all of them"),
    (["stack/tcp*.c"],
     "one state machine: what a segment changes in a connection may send, time out and end it"),
]


def circles(calls):
    """The strongly connected sets of more than one file; calls: file -> files (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(path):
        index[path] = low[path] = len(index)
        stack.append(path)
        for callee in sorted(calls.get(path, ())):
            if callee not in index:
                visit(callee)
            if callee in stack:
                low[path] = min(low[path], low[callee])
        if low[path] == index[path]:
            at = stack.index(path)
            if len(stack) - at > 1:
                found.append(set(stack[at:]))
            del stack[at:]

    for path in sorted(calls):
        if path not in index:
            visit(path)
    return found


def circles_within(calls):
    """The circles among files of one folder."""
    beside = {path: {callee for callee in callees
                     if os.path.dirname(callee) == os.path.dirname(path)}
              for path, callees in calls.items()}
    return circles(beside)


def check_circles(calls):
    found = circles_within(calls)
    bad = 0
    for circle in found:
        if not any(all(fits(path, files) for path in circle) for files, _ in CIRCLES):
            bad += 1
            print(f"call each other in a circle: {', '.join(sorted(circle))}")
    for files, _ in CIRCLES:
        # What is not built here has none.
        built = any(fits(path, files) for path in calls)
        if built and not any(all(fits(path, files) for path in circle) for circle in found):
            bad += 1
            print(f"CIRCLES lists what is no circle: {', '.join(files)}")
    return bad


def may_call(caller, symbol, callee):
    """Whether the source file caller may use a symbol that callee defines."""
    if os.path.dirname(caller) == os.path.dirname(callee):
        return True
    if PUBLIC.match(symbol) and fits(callee, PUBLIC_CALLS.get(caller.split("/")[0], [])):
        return True
    if caller == "backends/registry.c" and KIND.fullmatch(symbol):
        return True
    for entry in allowed_quoted(caller) or []:
        if entry.endswith("/*.h"):      # the headers of a folder: all that the folder defines
            if os.path.dirname(callee) == os.path.dirname(entry):
                return True
        elif entry.endswith(".h"):      # os.h: also os_linux.c
            if fits(callee, [entry[:-2] + "*.c"]):
                return True
        elif fits(callee, [entry]):
            return True
    return False


def is_ours(symbol):
    """Whether a global symbol cannot clash with one of a program that links the static library."""
    return re.match(r"_?weir_", symbol) is not None


def symbols(files):
    """Returns object -> (symbols that it defines, symbols that it uses), from nm."""
    nm = subprocess.run(["nm", "-A", "-P", "-g", *files], check=True, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    objects = {}
    for line in nm.splitlines():
        found = re.match(r".*?([^/\[\]]+\.o)\]?: (\S+) (\w)", line)
        if found:
            defined, used = objects.setdefault(found[1], (set(), set()))
            (used if found[3] in "Uw" else defined).add(found[2])
    return objects


def objects_of(root, archive, under=""):
    """From nm: file -> (what it defines, what it uses), for the objects of files in a folder."""
    # meson calls the object of core/task/task.c core_task_task.c.o.
    named = {os.path.relpath(path, under or ".").replace("/", "_") + ".o": path
             for path in sources(root) if path.startswith(under)}
    return {named[name]: both for name, both in symbols(archive).items() if name in named}


def calls_of(objects):
    """(caller, symbol, callee), for what one file uses and another defines."""
    where = {symbol: path for path, (defined, _) in objects.items() for symbol in defined}
    for path, (_, used) in sorted(objects.items()):
        for symbol in sorted(used & where.keys()):
            yield path, symbol, where[symbol]


def graph(arrows):
    calls = {}
    for caller, _, callee in arrows:
        calls.setdefault(caller, set()).add(callee)
    return calls


def check_calls(root, library, command):
    objects = objects_of(root, [library])
    arrows = list(calls_of(objects))
    bad = 0
    for path, (defined, _) in sorted(objects.items()):
        for symbol in sorted(symbol for symbol in defined if not is_ours(symbol)):
            bad += 1
            print(f"{path}: {symbol} must begin with weir_ or weir__: programs link it")
    for caller, symbol, callee in arrows:
        if not may_call(caller, symbol, callee):
            bad += 1
            print(f"{caller}: must not use {symbol}, which {callee} defines")
    bad += check_circles(graph(arrows))
    if command:
        # meson keeps an executable's objects in a folder beside it.
        parts = objects_of(root, glob.glob(command + ".p/*.o"), "tools/")
        inside = list(calls_of(parts))
        bad += check_circles(graph(inside)) or not inside
        objects, arrows = objects | parts, arrows + inside
    print(f"{len(objects)} objects, {len(arrows)} arrows, {bad} forbidden")
    return 1 if bad or not arrows else 0


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
    ("stack/tcp.c", '#include "stack/frame.h"', False),
    ("stack/tcp.c", '#include "weir/base.h"', True),
    ("stack/tcp.c", '#include "core/assert.h"', True),
    ("core/io/io.c", '#include "stack/stack.h"', True),
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
    ("examples/echo.c", '#include "stack/stack.h"', True),
    ("examples/stack/tap_http.c", '#include "stack/stack.h"', False),
    ("examples/stack/tap_http.c", '#include "weir/weir.h"', True),
    ("tests/model/ring.cpp", '#include "model.h"', False),
    ("core/task/task.c", '#include "model.h"', True),
    ("bench/weir_echo.c", '#include "sched/worker.h"', True),
    ("bench/weir_echo.c", '#include "stack/stack.h"', True),
    ("bench/stack/cable.c", '#include "stack/stack.h"', False),
    ("tests/conformance/tcp.c", '#include "core/task/task.h"', True),
    ("tests/unit/core_task.c", '#include "core/task/task.h"', False),
    ("tests/unit/core_task.c", '#include "sched/queue.h"', True),
    ("tests/unit/sched_queue.c", '#include "sched/queue.h"', False),
    ("newfolder/thing.c", '#include "weir/base.h"', True),
]


PLANTED_CALLS = [
    # (caller, symbol, the file that defines it, forbidden?)
    ("core/driver.c", "weir__signals_deliver", "os/signal.c", True),
    ("core/task/join_set.c", "weir_rt_current", "sched/runtime.c", True),
    ("core/task/task.c", "weir__slab_alloc", "core/slab.c", False),
    ("core/fiber/stack.c", "weir__os_guard", "core/os_linux.c", False),
    ("core/fiber/fiber.c", "weir_task_abort", "core/task/task.c", True),
    ("topo/topo.c", "weir__os_boot_ns", "core/os_linux.c", False),
    ("topo/place.c", "weir_rt_current", "core/context.c", True),
    ("topo/place.c", "weir__runtime_refuse", "sched/runtime.c", True),
    ("sched/runtime.c", "weir__backend_choose", "backends/registry.c", False),
    ("sched/worker.c", "weir__backend_choose", "backends/registry.c", True),
    ("backends/registry.c", "weir__backend_epoll", "backends/epoll/epoll.c", False),
    ("backends/socket.c", "weir__backend_epoll", "backends/epoll/epoll.c", True),
    ("topo/topo.c", "weir_strerror", "core/base.c", False),
    ("backends/epoll/epoll.c", "weir__readiness_init", "backends/readiness/readiness.c", False),
    ("backends/iouring/recv.c", "weir__readiness_init", "backends/readiness/readiness.c", True),
    ("backends/iouring/recv.c", "weir__socket_open", "backends/socket.c", False),
    ("backends/readiness/try.c", "weir__epoll_add", "backends/epoll/epoll.c", True),
    ("net/serve.c", "weir_notify_one", "sync/notify.c", False),
    ("net/serve.c", "weir__queue_push", "sync/queue.c", True),
    ("net/serve.c", "weir_rt_free", "sched/runtime.c", True),
    ("sync/mutex.c", "weir_await", "core/task/await.c", False),
    ("sync/mutex.c", "weir_tcp_close", "net/tcp.c", True),
]


PLANTED_CIRCLES = [
    # (who calls whom, the circles within a folder)
    ({"a/x.c": {"a/y.c"}, "a/y.c": {"a/z.c"}}, []),
    ({"a/x.c": {"a/y.c"}, "a/y.c": {"a/x.c"}}, [{"a/x.c", "a/y.c"}]),
    ({"a/x.c": {"a/y.c"}, "a/y.c": {"a/z.c"}, "a/z.c": {"a/x.c"}, "a/w.c": {"a/x.c"}},
     [{"a/x.c", "a/y.c", "a/z.c"}]),
    ({"a/x.c": {"b/y.c"}, "b/y.c": {"a/x.c"}}, []),
    ({"a/x.c": {"a/y.c", "a/v.c"}, "a/y.c": {"a/x.c"}, "a/v.c": {"a/w.c"}, "a/w.c": {"a/v.c"}},
     [{"a/x.c", "a/y.c"}, {"a/v.c", "a/w.c"}]),
]


def self_test():
    wrong = 0
    for calls, want in PLANTED_CIRCLES:
        found = circles_within(calls)
        if sorted(map(sorted, found)) != sorted(map(sorted, want)):
            wrong += 1
            print(f"{calls}: found the circles {found}, should be {want}")
    for path, line, forbidden in PLANTED:
        if bool(check_file(path, "\n" + line + "\n")) != forbidden:
            wrong += 1
            print(f"{path}: {line}: should be {'forbidden' if forbidden else 'allowed'}")
    for caller, symbol, callee, forbidden in PLANTED_CALLS:
        if may_call(caller, symbol, callee) == forbidden:
            wrong += 1
            print(f"{caller} uses {symbol} of {callee}: should be "
                  f"{'forbidden' if forbidden else 'allowed'}")
    for symbol, ours in [("weir_now", True), ("weir__now", True), ("worker_run", False),
                         ("my_weir_now", False)]:
        wrong += is_ours(symbol) != ours
    print(f"{len(PLANTED) + len(PLANTED_CALLS) + len(PLANTED_CIRCLES)} planted, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) in (4, 5) and sys.argv[1] == "--calls":
        sys.exit(check_calls(sys.argv[2], sys.argv[3], sys.argv[4] if sys.argv[4:] else None))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check_tree(sys.argv[1]))

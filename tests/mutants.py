#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles weir with known faults, the mutants, and checks that the named tests fail with each of
them. A fault that no test detects shows that a test is missing.

The lists are tests/mutants/*.txt and tests/*/mutants/*.txt. A mutant replaces some lines of one or
more files. Only these files are compiled. Their objects are linked before the library, or instead
of the command's own, so that nothing else has to be built. The form of a mutant is shown below;
after the - or +, a line begins with a tab where the line of the file does:

    == old timestamps are accepted ==
    file stack/tcp_input.c
    red script paws/an_old_timestamp
    -	if (paws_rejects(tcp, segment)) {
    +	if (false && paws_rejects(tcp, segment)) {

The lines with - must occur in the file exactly once, in this order. Lines that begin with a blank
may be among them; they stay as they are. A file name without a folder means a file of stack/. "red"
names a test that must fail:

    red script GROUP/NAME      a script
    red unit PROGRAM [CASE]    a unit test, or a case of it
    red sweep FIRST COUNT      seeds of stack_sweep
    red test NAME [ARG...]     a test of meson, with further arguments

If there are several, each must fail. Without the mutant all must pass.

Usage: mutants.py ROOT --check               checks that every mutant fits the sources
       mutants.py ROOT BUILD [PATTERN]       runs those with the pattern in their name or list; TAP
"""

import concurrent.futures
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

HANG_S = 60
PROGRAMS = {"script": "tests/stack/stack_scripts", "sweep": "tests/stack/stack_sweep"}
CASE = re.compile(r"^(?:not )?ok .*", re.M)		# of TAP
LISTS = ["tests/mutants/*.txt", "tests/*/mutants/*.txt"]


class Part:
    """Lines of one file, and the lines that replace them."""

    def __init__(self, name):
        self.name = name if "/" in name else f"stack/{name}"
        self.before, self.after = [], []

    def add(self, line):
        if line[0] in " -":
            self.before.append(line[1:] + "\n")
        if line[0] in " +":
            self.after.append(line[1:] + "\n")


class Mutant:
    def __init__(self, place, name):
        self.place, self.name = place, name
        self.parts, self.red = [], []

    def mutate(self, root):
        """Returns the texts of the files with the fault, by file name, or raises ValueError."""
        texts = {}
        if not self.parts or not self.red:
            raise ValueError("it needs a file and a red test")
        for part in self.parts:
            path = os.path.join(root, part.name)
            if not os.path.exists(path):
                raise ValueError(f"there is no {part.name}")
            if part.name not in texts:
                with open(path, encoding="utf-8") as handle:
                    texts[part.name] = handle.read()
            before, text = "".join(part.before), texts[part.name]
            if not before or text.count(before) != 1 or part.before == part.after:
                raise ValueError(f"these lines stand {text.count(before)} times in {part.name}, "
                                 f"not once, or they stay as they are:\n{before}")
            texts[part.name] = text.replace(before, "".join(part.after))
        return texts


def read_mutants(root):
    mutants = []
    paths = [path for pattern in LISTS for path in glob.glob(os.path.join(root, pattern))]
    for path in sorted(paths):
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                place = f"{os.path.relpath(path, root)}:{number}"
                line = line.rstrip("\n")
                head = re.fullmatch(r"== (.+) ==", line)
                if head:
                    mutants.append(Mutant(place, head[1]))
                elif line.startswith("file "):
                    mutants[-1].parts.append(Part(line[5:]))
                elif line.startswith("red "):
                    mutants[-1].red.append(tuple(line[4:].split()))
                elif line and line[0] in " -+" and mutants and mutants[-1].parts:
                    mutants[-1].parts[-1].add(line)
                elif line and not line.startswith("#"):
                    raise SystemExit(f"{place}: not understood: {line}")
    return mutants


class Tests:
    """How a red test is run: a command, in which some words are programs of the build."""

    def __init__(self, build):
        self.build = build
        found = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                               capture_output=True, text=True)
        self.tests = {test["name"]: test for test in json.loads(found.stdout)}

    def command(self, red):
        kind, *words = red
        if kind == "unit":
            return [f"tests/unit/{words[0]}_cases"] + words[1:]
        if kind in PROGRAMS:
            return [PROGRAMS[kind]] + words
        if kind != "test" or words[0] not in self.tests:
            raise ValueError(f"no such test: {' '.join(red)}")
        return [os.path.relpath(word, self.build) if word.startswith(self.build + "/tests/")
                else word for word in self.tests[words[0]]["cmd"]] + words[1:]

    def programs(self, red):
        """Returns the words of the command that are programs of the build."""
        return [word for word in self.command(red)
                if re.fullmatch(r"(tests|tools)/[\w/]+", word)]


class Builder:
    """Compiles and links as the build folder does."""

    def __init__(self, root, build, reds):
        self.root, self.build, self.tests = root, build, Tests(build)
        programs = {program for red in reds for program in self.tests.programs(red)}
        subprocess.run(["ninja", "-C", build, "--quiet"] + sorted(programs), check=True,
                       stdout=sys.stderr)
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as handle:
            entries = json.load(handle)
        self.compiles = {}		# by the name of the source: its entries
        for entry in entries:
            path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            self.compiles.setdefault(os.path.relpath(path, root), []).append(entry)
        self.links = {program: self.link_command(program) for program in programs}
        self.took = {}			# by the red test: its time without a mutant, in seconds

    def link_command(self, program):
        commands = subprocess.run(["ninja", "-C", self.build, "-t", "commands", program],
                                  check=True, capture_output=True, text=True).stdout
        return shlex.split(commands.strip().splitlines()[-1])

    def compile(self, entry, source, folder):
        """Compiles this source as the build compiles the entry, and returns the object."""
        command = shlex.split(entry["command"])
        target = os.path.join(folder, entry["output"].replace("/", "_"))
        if os.path.exists(target):
            return target
        # The folder comes first, so that a header in it replaces the original one. The compiler may be
        # two words, such as "ccache gcc".
        at = next(i for i, word in enumerate(command) if word.startswith("-"))
        command[at:at] = ["-I", folder]
        for option in ["-MD", "-MQ", "-MF", "-o"]:
            at = command.index(option)
            del command[at:at + (1 if option == "-MD" else 2)]
        command[command.index("-c") + 1:] = [source, "-o", target, "-O0", "-w",
                                             "-U_FORTIFY_SOURCE"]
        subprocess.run(command, cwd=self.build, check=True, capture_output=True, text=True)
        return target

    def sources(self, texts):
        """The sources to compile: those with a fault, or all of stack/ if a header has it."""
        if all(name.endswith(".c") for name in texts):
            return sorted(texts)
        if not all(name.startswith("stack/") for name in texts):
            raise ValueError("of headers only those of stack/ can have a fault")
        return sorted(name for name in self.compiles if name.startswith("stack/"))

    def link(self, program, texts, folder):
        """Returns a program with the fault."""
        command = self.links[program][:]
        for name in self.sources(texts):
            entries = self.compiles[name]
            own = [entry for entry in entries if entry["output"] in command]
            entry = own[0] if own else entries[0]
            source = os.path.join(folder if name in texts else self.root, name)
            target = self.compile(entry, source, folder)
            if own:
                command[command.index(entry["output"])] = target
            else:
                command.insert(command.index("-o") + 2, target)
        target = os.path.join(folder, os.path.basename(program))
        command[command.index("-o") + 1] = target
        # An archive that is linked whole has the original, too; the first definition counts.
        command.append("-Wl,--allow-multiple-definition")
        subprocess.run(command, cwd=self.build, check=True, capture_output=True, text=True)
        return target

    def run(self, red, programs):
        """Runs a test with these programs. Returns whether it passed, and its messages if not.

        A test that takes much longer than without a mutant hangs.
        """
        limit_s = 10 + 5 * self.took[red] if red in self.took else HANG_S
        begun = time.monotonic()
        command = [programs.get(word, word) for word in self.tests.command(red)]
        environment = dict(os.environ, **self.tests.tests.get(red[1], {}).get("env", {}))
        # In a session of its own, so that what it has started ends with it.
        with subprocess.Popen(command, cwd=self.build, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True) as running:
            try:
                out, err = running.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                return False, f"no end after {limit_s:.0f} s"
        self.took.setdefault(red, time.monotonic() - begun)
        if running.returncode == 99:
            raise ValueError(err.strip())
        if running.returncode == 77 or was_skipped(running.returncode, out):
            return True, "skipped here"
        says = [line[2:] for line in out.splitlines() if line.startswith("# ")]
        code = running.returncode
        return code == 0, " ".join(says[:2]) if says else f"exit {code}"


def was_skipped(code, out):
    """Whether this machine can run none of the test's cases; a mutant is not tried on them then."""
    cases = CASE.findall(out)
    return code == 0 and "# SKIP" in out and all("# SKIP" in case for case in cases)


def write(texts, folder):
    for name, text in texts.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)


def try_mutant(builder, mutant):
    """Returns whether all its tests fail, and their messages, or what is wrong."""
    says = []
    try:
        texts = mutant.mutate(builder.root)
        with tempfile.TemporaryDirectory() as folder:
            write(texts, folder)
            for red in mutant.red:
                programs = {program: builder.link(program, texts, folder)
                            for program in builder.tests.programs(red)}
                passed, message = builder.run(red, programs)
                if passed and message != "skipped here":
                    return False, f"{' '.join(red)} passed"
                says.append(message)
    except ValueError as error:
        return False, str(error)
    except subprocess.CalledProcessError as error:
        return False, f"{error.cmd[0]} failed:\n{error.stderr}"
    return True, "\n".join(says)


def check_green(builder, mutants):
    """Returns whether the red tests pass without a mutant, and which do not."""
    says = []
    for red in sorted({red for mutant in mutants for red in mutant.red}):
        try:
            passed, message = builder.run(red, {})
        except ValueError as error:
            passed, message = False, str(error)
        if not passed:
            says.append(f"{' '.join(red)}: {message}")
    return not says, "\n".join(says)


def report(number, name, result):
    good, says = result
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    for line in says.splitlines():
        print(f"# {line}")
    sys.stdout.flush()
    return good


def main(root, build, pattern=""):
    mutants = [mutant for mutant in read_mutants(root)
               if pattern in mutant.name or pattern in mutant.place]
    root, build = os.path.abspath(root), os.path.abspath(build)
    print(f"1..{len(mutants) + 1}", flush=True)
    builder = Builder(root, build, {red for mutant in mutants for red in mutant.red})
    good = report(1, "the sources as they are", check_green(builder, mutants))
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        results = pool.map(lambda mutant: try_mutant(builder, mutant), mutants)
        for number, (mutant, result) in enumerate(zip(mutants, results), 2):
            good &= report(number, f"{mutant.name} ({mutant.place})", result)
    return 0 if good else 1


def check(root):
    problems = 0
    mutants = read_mutants(root)
    for mutant in mutants:
        try:
            mutant.mutate(root)
        except ValueError as error:
            problems += 1
            print(f"{mutant.place}: {mutant.name}: {error}")
    print(f"{len(mutants)} mutants, {problems} do not fit the sources")
    return 1 if problems or not mutants else 0


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]) if sys.argv[2] == "--check" else main(*sys.argv[1:]))

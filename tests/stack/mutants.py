#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the stack on purpose, in the ways that mutants/*.txt list, and checks that a test of each
kind of fault turns red. A fault that no test sees shows that a test is missing.

A mutant replaces some lines of one file of stack/. It is compiled alone and linked in front of the
library, so that nothing else has to be built. Its form, with lines that begin with a tab after the
- or + as those of the file do:

    == old timestamps are accepted ==
    file tcp_input.c
    red script paws/an_old_timestamp
    -	if (paws_rejects(tcp, segment)) {
    +	if (false && paws_rejects(tcp, segment)) {

The lines with - must stand in the file exactly once. The tests that must turn red are

    red script GROUP/NAME      a script
    red unit PROGRAM CASE      a case of a unit test
    red sweep FIRST COUNT      seeds of stack_sweep

Each of several must turn red. Without the mutant all must pass.

Usage: mutants.py ROOT --check               every mutant fits the sources
       mutants.py ROOT BUILD [PATTERN]       run those whose name has the pattern; prints TAP
"""

import concurrent.futures
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

HANG_S = 120
PROGRAMS = {"script": "tests/stack/stack_scripts", "sweep": "tests/stack/stack_sweep"}


class Mutant:
    def __init__(self, place, name):
        self.place, self.name = place, name
        self.file, self.red = None, []
        self.before, self.after = [], []

    def mutate(self, root):
        """Returns the text of the file with the fault, or raises ValueError."""
        path = os.path.join(root, "stack", self.file or "?")
        if not os.path.exists(path) or not self.before or not self.red:
            raise ValueError("it needs a file of stack/, a red test, and lines with -")
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
        before = "".join(line + "\n" for line in self.before)
        if text.count(before) != 1:
            raise ValueError(f"these lines stand {text.count(before)} times in stack/{self.file}, "
                             f"not once:\n{before}")
        return text.replace(before, "".join(line + "\n" for line in self.after))


def read_mutants(root):
    mutants = []
    for path in sorted(glob.glob(os.path.join(root, "tests/stack/mutants/*.txt"))):
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                place = f"tests/stack/mutants/{os.path.basename(path)}:{number}"
                line = line.rstrip("\n")
                head = re.fullmatch(r"== (.+) ==", line)
                if head:
                    mutants.append(Mutant(place, head[1]))
                elif line.startswith("file "):
                    mutants[-1].file = line[5:]
                elif line.startswith("red "):
                    mutants[-1].red.append(tuple(line[4:].split()))
                elif line.startswith("-"):
                    mutants[-1].before.append(line[1:])
                elif line.startswith("+"):
                    mutants[-1].after.append(line[1:])
                elif line and not line.startswith("#"):
                    raise SystemExit(f"{place}: not understood: {line}")
    return mutants


def program_of(red):
    if red[0] == "unit":
        return f"tests/unit/{red[1]}_cases"
    return PROGRAMS[red[0]]


def arguments_of(red):
    return list(red[2:]) if red[0] == "unit" else list(red[1:])


class Builder:
    """Compiles and links as the build folder does."""

    def __init__(self, root, build, programs):
        self.root, self.build = root, build
        subprocess.run(["ninja", "-C", build, "--quiet"] + sorted(programs), check=True,
                       stdout=sys.stderr)
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as handle:
            self.compiles = {os.path.basename(entry["file"]): shlex.split(entry["command"])
                             for entry in json.load(handle)
                             if os.path.dirname(entry["file"]).endswith("/stack") and
                             "/tests/" not in entry["file"]}
        self.links = {program: self.link_command(program) for program in programs}

    def link_command(self, program):
        commands = subprocess.run(["ninja", "-C", self.build, "-t", "commands", program],
                                  check=True, capture_output=True, text=True).stdout
        return shlex.split(commands.strip().splitlines()[-1])

    def compile(self, name, source, folder):
        """Returns the object of stack/NAME, compiled from this source."""
        command = self.compiles[name][:]
        target = os.path.join(folder, name + ".o")
        # The folder comes first, so that a header in it is found in place of the real one.
        command[1:1] = ["-I", folder]
        for option in ["-MD", "-MQ", "-MF", "-o"]:
            at = command.index(option)
            del command[at:at + (1 if option == "-MD" else 2)]
        command[command.index("-c") + 1:] = [source, "-o", target, "-O0", "-w",
                                             "-U_FORTIFY_SOURCE"]
        subprocess.run(command, cwd=self.build, check=True, capture_output=True, text=True)
        return target

    def objects(self, mutant, text, folder):
        os.makedirs(os.path.join(folder, "stack"))
        source = os.path.join(folder, "stack", mutant.file)
        with open(source, "w", encoding="utf-8") as handle:
            handle.write(text)
        if mutant.file.endswith(".c"):
            return [self.compile(mutant.file, source, folder)]
        return [self.compile(name, os.path.join(self.root, "stack", name), folder)
                for name in sorted(self.compiles)]

    def link(self, program, objects, folder):
        command = self.links[program][:]
        at = command.index("-o")
        target = os.path.join(folder, os.path.basename(program))
        command[at:at + 2] = ["-o", target] + objects
        subprocess.run(command, cwd=self.build, check=True, capture_output=True, text=True)
        return target


def run(program, red):
    """Returns whether the test passed, and what it says if not."""
    try:
        done = subprocess.run([program] + arguments_of(red), capture_output=True, text=True,
                              timeout=HANG_S, check=False)
    except subprocess.TimeoutExpired:
        return False, f"no end after {HANG_S} s"
    if done.returncode == 99:
        raise ValueError(done.stderr.strip())
    says = [line[2:] for line in done.stdout.splitlines() if line.startswith("# ")]
    return done.returncode == 0, " ".join(says[:2]) if says else f"exit {done.returncode}"


def try_mutant(builder, mutant):
    """Returns whether all its tests turn red, and what they say, or what is wrong."""
    says = []
    try:
        text = mutant.mutate(builder.root)
        with tempfile.TemporaryDirectory() as folder:
            objects = builder.objects(mutant, text, folder)
            for red in mutant.red:
                program = builder.link(program_of(red), objects, folder)
                passed, message = run(program, red)
                if passed:
                    return False, f"{' '.join(red)} passed"
                says.append(message)
    except ValueError as error:
        return False, str(error)
    except subprocess.CalledProcessError as error:
        return False, f"{error.cmd[0]} failed:\n{error.stderr}"
    return True, "\n".join(says)


def check_green(builder, mutants):
    """Whether the tests that have to turn red pass without a mutant, and which do not."""
    says = []
    for red in sorted({red for mutant in mutants for red in mutant.red}):
        try:
            passed, message = run(os.path.join(builder.build, program_of(red)), red)
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
    mutants = [mutant for mutant in read_mutants(root) if pattern in mutant.name]
    root, build = os.path.abspath(root), os.path.abspath(build)
    print(f"1..{len(mutants) + 1}", flush=True)
    builder = Builder(root, build, {program_of(red) for m in mutants for red in m.red})
    good = report(1, "the stack as it is", check_green(builder, mutants))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
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

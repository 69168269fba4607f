#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles each public header alone, as C11, C++17 and C++20, with warnings as errors.

The header is included twice; in C++ a third time within extern "C". Each INIT macro in it
initializes a variable: WEIR_X_INIT a struct weir_x.

Usage: public_headers.py INCLUDE_DIR {--c|--cpp COMPILER...}...
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

WARN = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
STANDARDS = {"--c": ("c", ["c11"]), "--cpp": ("c++", ["c++17", "c++20"])}
INIT = re.compile(r"^#define (WEIR_\w+)_INIT[ \t]", re.M)


def program_of(command):
    """Identifies a compiler by its real path, so that links to it count as the same."""
    return tuple(os.path.realpath(shutil.which(word) or word) for word in command if word != "ccache")


def compilers_in(args):
    """Returns (language, standard, command) for each group of arguments, and no compiler twice."""
    found, command = [], None
    for arg in args:
        if arg in STANDARDS:
            command = []
            found.append((arg, command))
        else:
            command.append(arg)
    unique = {(option, program_of(command)): command for option, command in found}
    return [(STANDARDS[option][0], standard, command) for (option, _), command in unique.items()
            for standard in STANDARDS[option][1]]


def program(language, header, text):
    include = f'#include "{header}"\n'
    if language == "c++":
        include = f'extern "C" {{\n{include}}}\n{include}'
    else:
        include += include
    uses = ["int weir_headers_not_empty(void);\nint weir_headers_not_empty(void)\n{"]
    for number, macro in enumerate(INIT.findall(text)):
        kind = f"struct {macro.lower()}"
        include += f"extern {kind} of_the_file_{number};\n{kind} of_the_file_{number} = {macro}_INIT;\n"
        uses += [f"\t{kind} v{number} = {macro}_INIT;", f"\tif (v{number}.size != sizeof v{number})",
                 "\t\treturn 0;"]
    return include + "\n".join(uses) + "\n\treturn 1;\n}\n"


def compile_alone(include_dir, header, language, standard, command):
    with open(os.path.join(include_dir, header), encoding="utf-8") as handle:
        source = program(language, header, handle.read())
    run = subprocess.run(command + ["-std=" + standard, *WARN, "-I", include_dir, "-x", language, "-"],
                         input=source, capture_output=True, text=True, check=False)
    return run.returncode == 0, run.stderr


def main(argv):
    include_dir, compilers = argv[0], compilers_in(argv[1:])
    headers = sorted(os.path.relpath(os.path.join(folder, name), include_dir)
                     for folder, _, names in os.walk(include_dir)
                     for name in names if name.endswith(".h"))
    jobs = [(header, *compiler) for header in headers for compiler in compilers]
    failed = 0
    print(f"1..{len(jobs)}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: compile_alone(include_dir, *job), jobs)
        for number, (job, (passed, complaint)) in enumerate(zip(jobs, results), 1):
            header, _, standard, command = job
            failed += not passed
            name = " ".join(os.path.basename(word) for word in command)
            print(f"{'ok' if passed else 'not ok'} {number} - {header} as {standard} by {name}")
            for line in complaint.splitlines():
                print("# " + line)
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

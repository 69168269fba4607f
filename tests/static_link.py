#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that a program links statically with the flags of pkg-config --static, and runs.

Usage: static_link.py BUILD LIBWEIR.A INCLUDE CC...
"""

import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = """#include "weir/weir.h"
static int root(void *arg) { (void)arg; return 0; }
int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	return weir_rt_run(&cfg, root, NULL);
}
"""


def main(build, library, include, *compiler):
    if not shutil.which("pkg-config"):
        print("skipped: no pkg-config")
        return 77
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(build, "meson-private")}
    flags = subprocess.run(["pkg-config", "--static", "--libs", "weir"], env=env, text=True,
                           check=True, stdout=subprocess.PIPE).stdout.split()
    flags = [library if flag == "-lweir" else flag for flag in flags]
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "a.c"), os.path.join(folder, "a")
        with open(source, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        subprocess.run([*compiler, source, "-I", include, *flags, "-o", program], check=True)
        return subprocess.run([program], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

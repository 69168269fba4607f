/* SPDX-License-Identifier: MIT */
/*
 * commands.h: what `weir bench` does with the results of earlier runs; each as
 * a command of command.h, argv[0] being report or diff. In a build without a JSON library they say so.
 */
#ifndef TOOLS_BENCH_COMMANDS_H
#define TOOLS_BENCH_COMMANDS_H

int bench_report_main(int argc, char **argv);
int bench_diff_main(int argc, char **argv);

#endif

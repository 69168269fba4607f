/* SPDX-License-Identifier: MIT */
/*
 * commands.h: the commands of `weir bench` for the results of earlier runs: report and
 * diff. In a build without a JSON library they only print a message.
 */
#ifndef TOOLS_BENCH_COMMANDS_H
#define TOOLS_BENCH_COMMANDS_H

int bench_report_main(int argc, char **argv);
int bench_diff_main(int argc, char **argv);

#endif

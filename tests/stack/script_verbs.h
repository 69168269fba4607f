/* SPDX-License-Identifier: MIT */
/* script_verbs.h: the verbs of scripts. scripts/README.md lists them. */
#ifndef WEIR_TESTS_STACK_SCRIPT_VERBS_H
#define WEIR_TESTS_STACK_SCRIPT_VERBS_H

#include "tests/stack/script_host.h"

/* Runs the line, whose first word is a verb, or the time before one. */
void script_run_verb(void);
/* They enclose the lines of one turn of the instance. */
void script_turn_begin(void);
void script_turn_end(void);

#endif

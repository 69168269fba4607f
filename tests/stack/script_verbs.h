/* SPDX-License-Identifier: MIT */
/* script_verbs.h: what the lines of a script do. scripts/README.md lists the verbs. */
#ifndef WEIR_TESTS_STACK_SCRIPT_VERBS_H
#define WEIR_TESTS_STACK_SCRIPT_VERBS_H

#include "tests/stack/script_host.h"

/* Runs the line, whose first word is a verb, or the time before one. */
void script_run_verb(void);
/* What is between them happens in one turn of the instance. */
void script_turn_begin(void);
void script_turn_end(void);

#endif

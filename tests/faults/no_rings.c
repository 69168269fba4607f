/* SPDX-License-Identifier: MIT */
/* no_rings.c: implements rings.h for builds without io_uring. */
#include "tests/faults/rings.h"

const struct faults_call rings_operations[1];
const size_t rings_operations_len = 0;

bool rings_can_fail(void)
{
	return false;
}

void rings_fail(int operation, int error, unsigned nth, bool for_good)
{
	(void)operation;
	(void)error;
	(void)nth;
	(void)for_good;
}

unsigned rings_submitted(void)
{
	return 0;
}

int rings_unlisted(void)
{
	return -1;
}

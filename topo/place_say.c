/* SPDX-License-Identifier: MIT */
/* place_say.c: what the steps of a placement say: why lines, refusals, quotas. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/assert.h"
#include "topo/place.h"

void weir__place_say(struct place *p, const char *fmt, ...)
{
	struct weir_plan *plan = p->plan;
	va_list ap;

	WEIR_ASSERT(plan->why_len < WEIR_PLAN_WHY_MAX);
	va_start(ap, fmt);
	vsnprintf(plan->why[plan->why_len++], sizeof plan->why[0], fmt, ap);
	va_end(ap);
}

/* Written without printf's %f, whose decimal point depends on the locale. */
void weir__place_print_quota(unsigned milli, char *buf, size_t len)
{
	unsigned rest = milli % 1000, digits = 3;

	for (; rest && rest % 10 == 0; digits--)
		rest /= 10;
	if (rest)
		snprintf(buf, len, "%u.%0*u", milli / 1000, (int)digits, rest);
	else
		snprintf(buf, len, "%u", milli / 1000);
}

int weir__place_refuse(struct place *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why->text, sizeof p->why->text, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

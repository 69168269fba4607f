/* SPDX-License-Identifier: MIT */
/*
 * backends.c: which of the library's backends can run here, according to the library,
 * and the features of this kernel's epoll.
 */
#include <string.h>

#include "tools/doctor/doctor.h"
#include "weir/rt.h"

static void add_backend(struct doctor *doctor, const struct weir_backend_info *info, bool *any)
{
	char id[32];

	snprintf(id, sizeof(id), "backend.%s", info->name);
	if (info->err == 0) {
		doctor_add(doctor, DOCTOR_PASS, id, "can run here%s",
			   *any ? "" : "; --backend auto takes it");
		*any = true;
	} else {
		doctor_add(doctor, info->err == -ENOENT ? DOCTOR_INFO : DOCTOR_WARN, id, "%s",
			   *info->reason ? info->reason : doctor_errno_name(info->err));
	}
}

static void check_registry(struct doctor *doctor, bool *ret_kqueue)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	bool any = false;

	*ret_kqueue = false;
	for (unsigned i = 0; doctor->machine->backend(i, &info) == 0; i++) {
		add_backend(doctor, &info, &any);
		*ret_kqueue |= strcmp(info.name, "kqueue") == 0;
	}
	if (!any) {
		doctor_add(doctor, DOCTOR_FAIL, "backend.any", "no backend can run here");
		doctor_advise(doctor, "without a backend there is no I/O; see the reasons above");
	}
}

static void check_epoll(struct doctor *doctor)
{
	struct doctor_epoll epoll;

	doctor->machine->epoll(&epoll);
	if (epoll.create < 0) {
		doctor_add(doctor, DOCTOR_FAIL, "epoll.create", "epoll_create1: %s",
			   doctor_errno_name(epoll.create));
		doctor_advise(doctor, "there is no other fallback; look for a seccomp filter, or "
				      "check ulimit -n");
		return;
	}
	if (epoll.exclusive == 0)
		doctor_add(doctor, DOCTOR_PASS, "epoll.exclusive", "EPOLLEXCLUSIVE works");
	else
		doctor_add(doctor, DOCTOR_INFO, "epoll.exclusive", "no EPOLLEXCLUSIVE (4.5): %s",
			   doctor_errno_name(epoll.exclusive));
	if (epoll.wait2 == 0)
		doctor_add(doctor, DOCTOR_PASS, "epoll.pwait2",
			   "epoll_pwait2 works: timers have nanosecond precision");
	else
		doctor_add(doctor, DOCTOR_INFO, "epoll.pwait2",
			   "no epoll_pwait2 (5.11): %s; timers have millisecond precision",
			   doctor_errno_name(epoll.wait2));
	doctor_add(doctor, DOCTOR_INFO, "epoll.busy_poll", "busy polling per epoll (6.9): %s",
		   epoll.busy_poll == 0 ? "available" : doctor_errno_name(epoll.busy_poll));
}

void doctor_check_backends(struct doctor *doctor)
{
	bool kqueue;

	doctor->group = "backends";
	check_registry(doctor, &kqueue);
	check_epoll(doctor);
	if (!kqueue)
		doctor_add(doctor, DOCTOR_INFO, "backend.kqueue",
			   "this build has no kqueue backend");
}

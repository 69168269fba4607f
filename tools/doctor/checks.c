/* SPDX-License-Identifier: MIT */
/*
 * checks.c: all groups of checks, in the order of the report. A new group needs a
 * file and a line here.
 */
#include "tools/doctor/doctor.h"

void doctor_check_all(struct doctor *doctor)
{
	doctor_check_kernel(doctor);
	doctor_check_backends(doctor);
	doctor_check_uring(doctor);
	doctor_check_runtime(doctor);
	doctor_plan(doctor);
	doctor_check_cpu(doctor);
	doctor_check_memory(doctor);
	doctor_check_numa(doctor);
	doctor_check_limits(doctor);
	doctor_check_net(doctor);
	doctor_check_nic(doctor);
	doctor_check_clock(doctor);
}

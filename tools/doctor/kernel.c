/* SPDX-License-Identifier: MIT */
/*
 * kernel.c: the kernel's version and its known faults, whether it runs in a virtual
 * machine or container, its mitigations, and guard pages.
 */
#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>

#include "tools/doctor/doctor.h"

#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"

/* A fault of all kernels from .since on and below .below. */
struct fault {
	const char *id;
	unsigned since, below;
	const char *what, *remedy;
};

static const struct fault faults[] = {
	{ "kernel.uring_sqpoll", DOCTOR_KERNEL(5u, 1, 0), DOCTOR_KERNEL(5u, 10, 186),
	  "io_uring's SQPOLL thread never sleeps (weir does not use it, other programs may)",
	  "boot 5.10.186 or newer" },
	{ "kernel.uring_enomem", DOCTOR_KERNEL(5u, 1, 0), DOCTOR_KERNEL(6u, 6, 86),
	  "io_uring may return ENOMEM although there is memory", "boot 6.6.86 or newer" },
	{ "kernel.uring_enomem", DOCTOR_KERNEL(6u, 7, 0), DOCTOR_KERNEL(6u, 12, 21),
	  "io_uring may return ENOMEM although there is memory", "boot 6.12.21 or newer" },
	{ "kernel.uring_enomem", DOCTOR_KERNEL(6u, 13, 0), DOCTOR_KERNEL(6u, 13, 9),
	  "io_uring may return ENOMEM although there is memory", "boot 6.13.9 or newer" },
};

static unsigned parse_version(const char *release)
{
	unsigned major = 0, minor = 0, patch = 0;

	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2 || major > 127 || minor > 255)
		return 0;
	return DOCTOR_KERNEL(major, minor, patch > 65535 ? 65535 : patch);
}

static void check_version(struct doctor *doctor)
{
	struct utsname name;

	if (doctor->machine->name(&name) < 0) {
		doctor_add(doctor, DOCTOR_INFO, "kernel.version", "uname failed");
		return;
	}
	doctor->kernel = parse_version(name.release);
	doctor_add(doctor, DOCTOR_INFO, "kernel.version", "%.60s %.80s, %.60s", name.sysname,
		   name.release, name.machine);
	if (strcmp(name.sysname, "Linux") != 0 || !doctor->kernel)
		return;
	if (doctor->kernel >= DOCTOR_KERNEL(6u, 1, 0)) {
		doctor->findings[doctor->len - 1].level = DOCTOR_PASS;
		return;
	}
	doctor->findings[doctor->len - 1].level = DOCTOR_WARN;
	doctor_advise(doctor, "weir's io_uring backend needs 6.1; until then weir uses epoll");
}

static void check_faults(struct doctor *doctor)
{
	unsigned found = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (doctor->kernel < faults[i].since || doctor->kernel >= faults[i].below)
			continue;
		doctor_add(doctor, DOCTOR_WARN, faults[i].id, "%s", faults[i].what);
		doctor_advise(doctor, "%s", faults[i].remedy);
		found++;
	}
	if (!found && doctor->kernel)
		doctor_add(doctor, DOCTOR_PASS, "kernel.faults",
			   "no known faults in this version");
}

static void check_guests(struct doctor *doctor)
{
	char flags[8192] = "", vendor[64] = "";
	bool guest, container;

	doctor_read_field(doctor, "/proc/cpuinfo", "flags", flags, sizeof(flags));
	doctor_read(doctor, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	guest = doctor_has_word(flags, "hypervisor") ||
		doctor_exists(doctor, "/sys/hypervisor/type");
	container = doctor_exists(doctor, "/.dockerenv") ||
		    doctor_exists(doctor, "/run/.containerenv") ||
		    doctor_exists(doctor, "/run/systemd/container");
	doctor_add(doctor, DOCTOR_INFO, "kernel.runs_on", "%s%s%s%s%s",
		   guest ? "a virtual machine" : "no sign of a virtual machine",
		   *vendor ? " (" : "", vendor, *vendor ? ")" : "",
		   container ? ", in a container" : "");
}

static void check_mitigations(struct doctor *doctor)
{
	char path[PATH_MAX], line[256];
	unsigned active = 0, open = 0, files = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" VULNERABILITIES, doctor->machine->root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), VULNERABILITIES "/%s", entry->d_name);
		if (entry->d_name[0] == '.' || !doctor_read(doctor, path, line, sizeof(line)))
			continue;
		files++;
		active += strncmp(line, "Mitigation", 10) == 0;
		open += strncmp(line, "Vulnerable", 10) == 0;
	}
	if (dir)
		closedir(dir);
	if (files)
		doctor_add(doctor, DOCTOR_INFO, "kernel.mitigations",
			   "%u of %u CPU faults mitigated in software, %u open: mitigations make "
			   "system calls slower",
			   active, files, open);
}

static void check_guard(struct doctor *doctor)
{
	int rc = doctor->machine->guard();
	long long mappings = 65530;

	if (rc == 0) {
		doctor_add(doctor, DOCTOR_PASS, "kernel.guards",
			   "MADV_GUARD_INSTALL works: only memory limits the number of fibers");
		return;
	}
	doctor_read_number(doctor, "/proc/sys/vm/max_map_count", &mappings);
	doctor_add(
		doctor, DOCTOR_INFO, "kernel.guards",
		"no MADV_GUARD_INSTALL (%s): at most %lld fibers, because vm.max_map_count is %lld",
		doctor_errno_name(rc), mappings / 4, mappings);
	if (mappings < 1048576)
		doctor_fix(doctor, "sysctl -w vm.max_map_count=1048576");
}

void doctor_check_kernel(struct doctor *doctor)
{
	doctor->group = "kernel";
	check_version(doctor);
	check_faults(doctor);
	check_guests(doctor);
	check_mitigations(doctor);
	check_guard(doctor);
}

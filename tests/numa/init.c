/* SPDX-License-Identifier: MIT */
/*
 * init.c: the first process of the machine that vm.py boots. It mounts the file systems that the
 * tests read, brings up the loopback interface, runs the programs that /runs names one after the
 * other, and turns the machine off.
 *
 * Its messages and the standard output of the programs go to the second serial line: "# run NAME",
 * their TAP, "# end NAME STATUS", and at last "# over". Their standard error goes to the first
 * serial line, the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *results;

static void end_machine(void)
{
	fflush(results);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void need(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(results, "# init: %s: %s\n", what, strerror(errno));
	end_machine();
}

static void mount_on(const char *type, const char *where)
{
	mkdir(where, 0755);
	need(mount(type, where, type, 0, NULL), where);
}

static void raise_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	need(fd, "a socket");
	need(ioctl(fd, SIOCSIFFLAGS, &lo), "lo");
	close(fd);
}

static void allow_cpusets(void)
{
	int fd = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY);

	need(fd, "cgroup.subtree_control");
	need((int)write(fd, "+cpuset +cpu", 12), "the cpuset and cpu controllers");
	close(fd);
}

/* Runs a program. Returns its exit status, or 128 + N for signal N. */
static int run(const char *program)
{
	pid_t child;
	int status = 0;

	fflush(results);
	child = fork();
	need(child, "fork");
	if (child == 0) {
		dup2(fileno(results), STDOUT_FILENO);
		execl(program, program, (char *)NULL);
		fprintf(stderr, "%s: %s\n", program, strerror(errno));
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
	char program[256];
	FILE *runs;

	mount_on("devtmpfs", "/dev");
	results = fopen("/dev/ttyS1", "we");
	if (!results) {
		fprintf(stderr, "init: /dev/ttyS1: %s\n", strerror(errno));
		reboot(RB_POWER_OFF);
		return 1;
	}
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("tmpfs", "/tmp");
	mount_on("cgroup2", "/sys/fs/cgroup");
	allow_cpusets();
	raise_loopback();
	runs = fopen("/runs", "re");
	need(runs ? 0 : -1, "/runs");
	while (fscanf(runs, "%255s", program) == 1) {
		fprintf(results, "# run %s\n", program);
		fprintf(results, "# end %s %d\n", program, run(program));
	}
	fprintf(results, "# over\n");
	end_machine();
}

/* SPDX-License-Identifier: MIT */
/*
 * net.c: the kernel's settings for sockets, in the network namespace of this process.
 * A setting that is not visible there is not judged.
 */
#include <string.h>

#include "tools/doctor/doctor.h"

#define CORE "/proc/sys/net/core/"
#define IPV4 "/proc/sys/net/ipv4/"

/* A setting for which a higher value is better. */
struct at_least {
	const char *id, *path, *name;	/* the name for sysctl */
	long long good, fix;
	enum doctor_use use;		/* the use for which a low value is bad */
	const char *what;
};

static const struct at_least settings[] = {
	{ "net.somaxconn", CORE "somaxconn", "net.core.somaxconn", 4096, 4096, DOCTOR_PROXY,
	  "the longest possible queue of a listener" },
	{ "net.syn_backlog", IPV4 "tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog", 1024, 4096,
	  DOCTOR_PROXY, "the limit of connections in the handshake" },
};

static void check_at_least(struct doctor *doctor, const struct at_least *setting)
{
	long long value;

	if (!doctor_read_number(doctor, setting->path, &value))
		return;
	if (value >= setting->good) {
		doctor_add(doctor, DOCTOR_PASS, setting->id, "%lld: %s", value, setting->what);
		return;
	}
	doctor_add(doctor, doctor_warn_for(doctor, setting->use), setting->id,
		   "%lld: %s; expected %lld", value, setting->what, setting->fix);
	doctor_fix(doctor, "sysctl -w %s=%lld", setting->name, setting->fix);
}

static void check_syncookies(struct doctor *doctor)
{
	long long value;

	if (!doctor_read_number(doctor, IPV4 "tcp_syncookies", &value))
		return;
	if (value == 1) {
		doctor_add(doctor, DOCTOR_PASS, "net.syncookies", "used when the queue overflows");
		return;
	}
	doctor_add(doctor, value == 0 ? doctor_warn_for(doctor, DOCTOR_PROXY) : DOCTOR_WARN,
		   "net.syncookies", "%s",
		   value == 0 ? "never used: a SYN flood blocks all clients"
			      : "always used: every connection loses its TCP options");
	doctor_fix(doctor, "sysctl -w net.ipv4.tcp_syncookies=1");
}

/* How many connections to one address, such as a proxy's upstream, are possible. */
static void check_ports(struct doctor *doctor)
{
	unsigned first, last, count;
	char line[64];

	if (!doctor_read(doctor, IPV4 "ip_local_port_range", line, sizeof(line)) ||
	    sscanf(line, "%u %u", &first, &last) != 2 || last < first)
		return;
	count = last - first + 1;
	if (count >= 28000) {
		doctor_add(doctor, DOCTOR_PASS, "net.ports",
			   "%u to %u: %u connections to one address", first, last, count);
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "net.ports",
		   "%u to %u: only %u connections to one address", first, last, count);
	doctor_fix(doctor, "sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
}

static void check_tw_reuse(struct doctor *doctor)
{
	static const char *const modes[] = { "never", "always", "on the loopback" };
	long long value;

	if (!doctor_read_number(doctor, IPV4 "tcp_tw_reuse", &value) || value < 0 || value > 2)
		return;
	doctor_add(doctor, value == 0 ? DOCTOR_WARN : DOCTOR_PASS, "net.tw_reuse",
		   "a port in TIME_WAIT is used again: %s", modes[value]);
	if (value == 0)
		doctor_fix(doctor, "sysctl -w net.ipv4.tcp_tw_reuse=1");
}

/* The setting has three numbers: least, default, most. */
static void check_buffers(struct doctor *doctor, const char *id, const char *name)
{
	long long least, usual, most;
	char path[64], line[96];

	snprintf(path, sizeof(path), IPV4 "%s", name);
	if (!doctor_read(doctor, path, line, sizeof(line)) ||
	    sscanf(line, "%lld %lld %lld", &least, &usual, &most) != 3)
		return;
	if (most >= 4 << 20) {
		doctor_add(doctor, DOCTOR_PASS, id, "up to %lld KiB per socket", most / 1024);
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, id,
		   "up to %lld KiB per socket: too small for long or fast links", most / 1024);
	doctor_fix(doctor, "sysctl -w net.ipv4.%s='%lld %lld 6291456'", name, least, usual);
}

static void check_optmem(struct doctor *doctor)
{
	long long value;

	if (!doctor_read_number(doctor, CORE "optmem_max", &value))
		return;
	doctor_add(doctor, value >= 131072 ? DOCTOR_PASS : DOCTOR_INFO, "net.optmem",
		   "%lld KiB per socket for zero-copy sends in flight", value / 1024);
	if (value < 131072)
		doctor_fix(doctor, "sysctl -w net.core.optmem_max=131072");
}

static void check_migrate(struct doctor *doctor)
{
	long long value;

	if (!doctor_read_number(doctor, IPV4 "tcp_migrate_req", &value))
		return;
	doctor_add(doctor, value ? DOCTOR_PASS : DOCTOR_INFO, "net.migrate_req",
		   value ? "a closing listener passes its queue to another one on the same port"
			 : "off: a closing listener resets the connections in its queue");
	if (!value)
		doctor_fix(doctor, "sysctl -w net.ipv4.tcp_migrate_req=1");
}

static void check_conntrack(struct doctor *doctor)
{
	long long used, most;
	double percent;

	if (!doctor_read_number(doctor, "/proc/sys/net/netfilter/nf_conntrack_count", &used) ||
	    !doctor_read_number(doctor, "/proc/sys/net/netfilter/nf_conntrack_max", &most) ||
	    most <= 0) {
		doctor_add(doctor, DOCTOR_PASS, "net.conntrack", "connections are not tracked");
		return;
	}
	percent = (double)used * 100 / (double)most;
	doctor_add(doctor,
		   percent >= 95   ? DOCTOR_FAIL
		   : percent >= 75 ? DOCTOR_WARN
				   : DOCTOR_PASS,
		   "net.conntrack", "%lld of %lld connections tracked%s", used, most,
		   percent >= 75 ? ": new ones are dropped when the table is full" : "");
	if (percent >= 75)
		doctor_fix(doctor, "sysctl -w net.netfilter.nf_conntrack_max=%lld", most * 4);
}

void doctor_check_net(struct doctor *doctor)
{
	doctor->group = "sockets";
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		check_at_least(doctor, &settings[i]);
	check_syncookies(doctor);
	check_ports(doctor);
	check_tw_reuse(doctor);
	check_buffers(doctor, "net.rmem", "tcp_rmem");
	check_buffers(doctor, "net.wmem", "tcp_wmem");
	check_optmem(doctor);
	check_migrate(doctor);
	check_conntrack(doctor);
}

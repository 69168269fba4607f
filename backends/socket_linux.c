/* SPDX-License-Identifier: MIT */
/*
 * socket_linux.c: see socket_os.h. Linux sets the flags in the creating call.
 *
 * Steering is a classic BPF program on the sockets that share a port. It chooses a shard by
 * the number of the CPU that it runs on, which is the CPU that received the packet. If that
 * CPU has no shard, it draws a random number. It runs once per connection, at the first
 * packet (with SYN cookies, at the third).
 */
#include "backends/socket_os.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>

int weir__socket_new(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

int weir__socket_next(int fd)
{
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return conn >= 0 ? conn : -errno;
}

/*
 * A socket that was reset has no connection, but the kernel still knows the peer's address. The
 * option must be read with exactly the length of that address.
 */
int weir__socket_peer(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	if (getpeername(fd, ret_addr, len) == 0)
		return 0;
	if (errno != ENOTCONN)
		return -errno;
	*len = sizeof(struct sockaddr_in);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, ret_addr, len) < 0)
		return -ENOTCONN;
	if (ret_addr->sa_family != AF_INET6)
		return 0;
	*len = sizeof(struct sockaddr_in6);
	return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, ret_addr, len) < 0 ? -ENOTCONN : 0;
}

/* Not needed: each send has MSG_NOSIGNAL. */
int weir__socket_no_signal(int fd)
{
	(void)fd;
	return 0;
}

bool weir__socket_end_sent(int fd)
{
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_state >= TCP_FIN_WAIT1 && info.tcpi_state != TCP_CLOSE_WAIT;
}

/*
 * It also works on a listening socket: sockets bound later with SO_REUSEPORT can then share its
 * port. The first one is bound without it, so that no other program can bind to the port.
 */
int weir__socket_share_port(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 ? 0 : -errno;
}

static struct sock_filter load(int what)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    (unsigned)(SKF_AD_OFF + what));
}

/* "If A >= least, return the shard", or for WEIR_STEER_NOBODY "jump to the random draw". */
static unsigned write_case(struct sock_filter *code, uint32_t least, uint16_t shard)
{
	code[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, least, 0, 1);
	if (shard == WEIR_STEER_NOBODY)
		code[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0);
	else
		code[1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, shard);
	return 2;
}

/* Runs of CPUs with the same shard, the last run first, so that each needs one comparison. */
static unsigned write_table(struct sock_filter *code, const struct weir_steering *steering)
{
	unsigned n = 0, cpu = steering->cpus;

	code[n++] = load(SKF_AD_CPU);
	n += write_case(code + n, cpu, WEIR_STEER_NOBODY);
	while (cpu-- > 0)
		if (cpu == 0 || steering->shard[cpu - 1] != steering->shard[cpu])
			n += write_case(code + n, cpu, steering->shard[cpu]);
	return n;
}

/*
 * The range of a 32-bit random number is divided among the shards by weight, the last shard first.
 */
static unsigned write_lot(struct sock_filter *code, const struct weir_steering *steering)
{
	uint64_t all = 0, below;
	unsigned n = 0;

	for (unsigned i = 0; i < steering->shards; i++)
		all += steering->weight[i];
	below = all;
	code[n++] = load(SKF_AD_RANDOM);
	for (unsigned i = steering->shards; --i > 0;) {
		below -= steering->weight[i];
		n += write_case(code + n, (uint32_t)((below << 32) / all), (uint16_t)i);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return n;
}

/* Write the program, and return its length. */
static unsigned write_program(struct sock_filter *code, const struct weir_steering *steering)
{
	unsigned lot = write_table(code, steering);

	for (unsigned i = 0; i < lot; i++)
		if (code[i].code == (BPF_JMP | BPF_JA))
			code[i].k = lot - i - 1;
	return lot + write_lot(code + lot, steering);
}

static size_t longest_program(const struct weir_steering *steering)
{
	return 3 + 2 * (size_t)steering->cpus + 2 * (size_t)steering->shards;
}

int weir__socket_steer(int fd, const struct weir_steering *steering)
{
	struct sock_fprog program;
	int err = 0;

	program.filter = malloc(longest_program(steering) * sizeof(*program.filter));
	if (!program.filter)
		return -ENOMEM;
	program.len = (unsigned short)write_program(program.filter, steering);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		err = -errno;
	free(program.filter);
	return err;
}

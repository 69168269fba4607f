/* SPDX-License-Identifier: MIT */
/*
 * socket_linux.c: see socket_os.h. The flags go with the call.
 *
 * Steering is a classic BPF program on the sockets that share a port: it looks at the
 * number of the CPU that it runs on, which is the one that took the packet in.
 */
#define _GNU_SOURCE
#include "backends/socket_os.h"

#include <errno.h>
#include <linux/filter.h>
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

/* Each send says so. */
int weir__socket_no_signal(int fd)
{
	(void)fd;
	return 0;
}

/*
 * Also on a socket that listens: those which come later with SO_REUSEPORT find it there. That
 * the first one was bound without is what keeps strangers out.
 */
int weir__socket_share_port(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 ? 0 : -errno;
}

/* Behind the last socket: the kernel falls back on its hash. */
#define NO_SOCKET 0xffffffffu

/*
 * The table as runs of CPUs of one shard, the last run first, so that one comparison each will
 * do: "if A >= its first CPU return its shard". Returns the length of the program.
 */
static unsigned write_program(struct sock_filter *code, const struct weir_steering *steering)
{
	unsigned n = 0, cpu = steering->cpus;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 (unsigned)(SKF_AD_OFF + SKF_AD_CPU));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, cpu, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, NO_SOCKET);
	while (cpu-- > 0) {
		uint16_t shard = steering->shard[cpu];

		if (cpu > 0 && steering->shard[cpu - 1] == shard)
			continue;
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, cpu, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(
			BPF_RET | BPF_K, shard == WEIR_STEER_NOBODY ? NO_SOCKET : shard);
	}
	/* Not reached, but a program has to end with a return. */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, NO_SOCKET);
	return n;
}

int weir__socket_steer(int fd, const struct weir_steering *steering)
{
	struct sock_fprog program;
	int err = 0;

	program.filter = malloc((2 * (size_t)steering->cpus + 4) * sizeof(*program.filter));
	if (!program.filter)
		return -ENOMEM;
	program.len = (unsigned short)write_program(program.filter, steering);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		err = -errno;
	free(program.filter);
	return err;
}

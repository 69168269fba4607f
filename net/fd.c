/* SPDX-License-Identifier: MIT */
/*
 * fd.c: readiness of foreign descriptors, which weir neither reads nor closes. This is
 * the only file of net/ that deals with readiness.
 */
#include <stdlib.h>

#include "core/io/io.h"
#include "net/net.h"

static void fd_released(struct weir_handle *handle)
{
	free(WEIR_CONTAINER_OF(handle, struct weir_fd, handle));
}

int weir_fd_open(int fd, struct weir_fd **ret_fd)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_FOREIGN, .fd = fd };
	struct weir_fd *self;
	int rc;

	if (fd < 0)
		return -EBADF;
	self = calloc(1, sizeof(*self));
	if (!self)
		return -ENOMEM;
	rc = weir__handle_attach(&self->handle, &spec);
	if (rc < 0) {
		free(self);
		return rc;
	}
	*ret_fd = self;
	return 0;
}

struct weir_handle *weir_fd_handle(struct weir_fd *fd)
{
	return fd ? &fd->handle : NULL;
}

int weir_fd_wait(struct weir_fd *fd, unsigned events, uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_poll(&op, weir_fd_handle(fd), events);
	return weir__net_await(&op.future, deadline);
}

void weir_fd_close(struct weir_fd *fd)
{
	if (fd)
		weir__handle_close(&fd->handle, fd_released);
}

/* SPDX-License-Identifier: MIT */
/*
 * uring_ring.h: the part of the kernel's io_uring interface that is needed to try its
 * features: raw system calls, and the constants and structs of their ABI. weir doctor must
 * find features that are newer than its build, so it uses neither liburing nor
 * <linux/io_uring.h>.
 *
 * A ring has one request at a time, and every wait has a time limit.
 */
#ifndef TOOLS_DOCTOR_URING_RING_H
#define TOOLS_DOCTOR_URING_RING_H

#include <stddef.h>
#include <stdint.h>

/* Flags of io_uring_setup, and the features that it reports. */
#define SETUP_SUBMIT_ALL (1u << 7)
#define SETUP_COOP_TASKRUN (1u << 8)
#define SETUP_TASKRUN_FLAG (1u << 9)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)
#define SETUP_NO_SQARRAY (1u << 16)
#define FEAT_SINGLE_MMAP (1u << 0)
#define FEAT_EXT_ARG (1u << 8)
#define FEAT_RECVSEND_BUNDLE (1u << 14)
#define FEAT_MIN_TIMEOUT (1u << 15)

/* io_uring_enter. */
#define ENTER_GETEVENTS (1u << 0)
#define ENTER_EXT_ARG (1u << 3)

/* io_uring_register. */
#define REGISTER_PROBE 8
#define REGISTER_FILES2 13
#define REGISTER_IOWQ_MAX_WORKERS 19
#define REGISTER_RING_FDS 20
#define UNREGISTER_RING_FDS 21
#define REGISTER_PBUF_RING 22
#define UNREGISTER_PBUF_RING 23
#define REGISTER_NAPI 27
#define UNREGISTER_NAPI 28
#define REGISTER_SEND_MSG_RING 31
#define RSRC_REGISTER_SPARSE (1u << 0)
#define PBUF_RING_INC 2

/* Operations. */
#define OP_NOP 0
#define OP_FSYNC 3
#define OP_POLL_ADD 6
#define OP_SENDMSG 9
#define OP_RECVMSG 10
#define OP_ACCEPT 13
#define OP_ASYNC_CANCEL 14
#define OP_CONNECT 16
#define OP_OPENAT 18
#define OP_CLOSE 19
#define OP_STATX 21
#define OP_READ 22
#define OP_WRITE 23
#define OP_SEND 26
#define OP_RECV 27
#define OP_SHUTDOWN 34
#define OP_RENAMEAT 35
#define OP_UNLINKAT 36
#define OP_MKDIRAT 37
#define OP_MSG_RING 40
#define OP_SEND_ZC 47
#define OP_RECV_ZC 58
#define OP_SUPPORTED (1u << 0)
#define SQE_BUFFER_SELECT (1u << 5)
#define ACCEPT_MULTISHOT (1u << 0)
#define RECV_MULTISHOT (1u << 1)
#define RECVSEND_BUNDLE (1u << 4)
#define CQE_BUFFER (1u << 0)
#define CQE_MORE (1u << 1)
#define CQE_NOTIF (1u << 3)

struct uring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
	uint32_t resv[3];
	struct {
		uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
		uint64_t user_addr;
	} sq_off;
	struct {
		uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
		uint64_t user_addr;
	} cq_off;
};

struct uring_sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, op_flags;
	uint64_t user_data;
	uint16_t buf_group, personality;
	int32_t file_index;
	uint64_t addr3, pad;
};

struct uring_cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

struct doctor_ring {
	int fd;
	uint32_t features;
	uint32_t *sq_tail, *sq_array, *cq_head, *cq_tail;
	uint32_t sq_mask, cq_mask;
	struct uring_sqe *sqes;
	struct uring_cqe *cqes;
	void *rings;
	size_t rings_bytes, sqes_bytes;
};

/* Only call io_uring_setup. Returns a descriptor or a negative errno. */
int doctor_ring_setup(unsigned entries, struct uring_params *params);
int doctor_ring_register(int fd, unsigned what, void *arg, unsigned args);

int doctor_ring_open(struct doctor_ring *ring, uint32_t flags);
void doctor_ring_close(struct doctor_ring *ring);

/* Submit one request. Returns 0 or a negative errno. */
int doctor_ring_submit(struct doctor_ring *ring, const struct uring_sqe *sqe);
/* Wait for the next completion, for up to a second, then -ETIME. */
int doctor_ring_wait(struct doctor_ring *ring, struct uring_cqe *ret_cqe);
/* Wait with a min-wait time of 100 us and a limit of 1 ms. */
int doctor_ring_wait_min(struct doctor_ring *ring);

#endif

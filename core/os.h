/* SPDX-License-Identifier: MIT */
/*
 * os.h: what each operating system does in its own way and core/ and the folders
 * above it need. One file per system implements it, os_linux.c or os_darwin.c;
 * meson chooses the file, and no other file asks which system this is.
 *
 * Not here: futexes (core/futex.h), how sockets are made (backends/socket_os.h),
 * CPUs (topo/cpus.h). A port to another system adds one file behind each of these
 * headers (docs/decisions/0009-one-file-per-system.md).
 */
#ifndef WEIR_CORE_OS_H
#define WEIR_CORE_OS_H

#include <pthread.h>

#include "weir/base.h"

/* ---- memory ---- */

/*
 * Maps zeroed address space; only touched pages cost memory, and none of them is a huge page. NULL
 * on failure. weir__os_discard frees the pages and keeps the address space; their contents are
 * undefined afterwards. munmap ends the mapping. [any]
 */
void *weir__os_map_sparse(size_t bytes);
void weir__os_discard(void *at, size_t bytes);

/* Asks for huge pages in this memory. [any] */
void weir__os_want_huge(void *at, size_t bytes);

/*
 * Which memory node pages come from. Nodes have the kernel's numbers. A container may forbid these
 * calls, and not every system has them. 0 or a negative errno. [any]
 *
 *  - place: pages of this memory that are not there yet come from the node while it has free
 *    memory, and from other nodes after that. A remote page is slow, but a strict policy would end
 *    the process.
 *  - prefer: the same for every page that the calling thread touches first, also inside the
 *    kernel. With -1, back to the default: the node that the thread runs on.
 *  - move_stack: moves the pages that the calling thread's stack and thread-locals already have.
 *    Another thread may have touched them: the creator, or an earlier thread with the same stack.
 *    Later pages follow the thread's policy.
 *  - has_policy: true if this thread has a memory policy already (numactl).
 *  - of: the node that a page is on; -ENOENT or -EFAULT if there is no page yet.
 */
int weir__os_node_place(void *at, size_t bytes, int node);
int weir__os_node_prefer(int node);
int weir__os_node_move_stack(int node);
bool weir__os_node_has_policy(void);
int weir__os_node_of(const void *at);

/*
 * Makes pages of weir__os_map_sparse fault on access, without a mapping of their own; they stay so
 * after weir__os_discard. 0; -ENOMEM; any other errno: not supported here, use mprotect. [any]
 */
int weir__os_guard(void *at, size_t bytes);

/* The largest number of mappings of a process; ULONG_MAX for no limit. [any] */
unsigned long weir__os_mappings_max(void);

/* The signal that a thread gets when it touches a guard. */
extern const int weir__os_fault_signal;

/*
 * The address of the instruction that a signal interrupted; NULL if unknown. [any],
 * async-signal-safe
 */
void *weir__os_interrupted(const void *ucontext);

/*
 * True if the CPU checks returns against a shadow stack, which a hand-written switch breaks. [any]
 */
bool weir__os_has_shadow_stack(void);

/* ---- threads ---- */

/*
 * Runs a full fence on every running thread of this process. enable is called once before; if it
 * fails, the system has no such fence, and weir__os_fence_threads is not called. 0 or a negative
 * errno. [any]
 */
int weir__os_fence_threads_enable(void);
int weir__os_fence_threads(void);

/* Names the calling thread, for debuggers and tools. [any] */
void weir__os_thread_name(const char *name);

/*
 * A condition variable whose deadlines are on the clock of weir__clock_system.
 * pthread_cond_destroy frees it. wait: 0, or -ETIMEDOUT. [any]
 */
void weir__os_cond_init(pthread_cond_t *cond);
int weir__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline);

/*
 * Stores the return addresses on the calling thread's stack, innermost first, and returns their
 * number. Async-signal-safe after a first call in the process that found any. [any]
 */
int weir__os_backtrace(void **frames, int max);

/* ---- words ---- */

/* The system's text for an errno, perhaps stored in buf; NULL for an unknown number. [any] */
const char *weir__os_error_text(int err, char *buf, size_t len);

#endif

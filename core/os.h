/* SPDX-License-Identifier: MIT */
/*
 * os.h: what each operating system does in its own way, as far as core/ and the
 * folders above it ask for it. One file per system implements it, os_linux.c or
 * os_darwin.c; meson chooses, and no other file asks which system this is.
 *
 * Elsewhere, because they belong there: futexes (core/futex.h), what sockets are
 * made with (backends/socket_os.h), CPUs (topo/cpus.h). A port to another system
 * is those files once more (docs/decisions/0009-one-file-per-system.md).
 */
#ifndef WEIR_CORE_OS_H
#define WEIR_CORE_OS_H

#include <pthread.h>

#include "weir/base.h"

/* ---- memory ---- */

/*
 * Zeroed address space of which only what is touched costs memory, a small page at a time; NULL
 * when there is none. weir__os_discard gives pages back, and keeps the space: what they held is
 * lost, or not. munmap ends it. [any]
 */
void *weir__os_map_sparse(size_t bytes);
void weir__os_discard(void *at, size_t bytes);

/* This memory is best made of huge pages. [any] */
void weir__os_want_huge(void *at, size_t bytes);

/*
 * Which memory node pages come from; nodes have the kernel's numbers. A container may forbid it, and
 * not every system has it. 0 or a negative errno. [any]
 *
 * place: the pages of this memory that are not there yet come from the node as long as that has
 * any, then from others: a far page is slow, but none would end the process.
 * prefer: the same for every page that the calling thread is the first to need, the kernel's on
 * its behalf too; with -1 as before, from where the thread runs.
 * move_stack: the pages that the calling thread's stack and thread-locals have already go there; whoever
 * made the thread, or had its stack before, has touched them; those to come are as before.
 * has_policy: whether somebody has told this thread already (numactl).
 * of: the node that a page is on; -ENOENT or -EFAULT where there is none yet.
 */
int weir__os_node_place(void *at, size_t bytes, int node);
int weir__os_node_prefer(int node);
int weir__os_node_move_stack(int node);
bool weir__os_node_has_policy(void);
int weir__os_node_of(const void *at);

/*
 * Make pages of weir__os_map_sparse fault, without a mapping of their own; weir__os_discard
 * leaves them so. 0; -ENOMEM; any other errno: this system cannot, use mprotect. [any]
 */
int weir__os_guard(void *at, size_t bytes);

/* How many mappings a process may have; ULONG_MAX for no limit. [any] */
unsigned long weir__os_mappings_max(void);

/* The signal of one who touches a guard. */
extern const int weir__os_fault_signal;

/* The instruction that a signal has interrupted; NULL unknown. [any], async-signal-safe */
void *weir__os_interrupted(const void *ucontext);

/* Whether returns are checked against a shadow stack, which a hand-written switch breaks. [any] */
bool weir__os_has_shadow_stack(void);

/* ---- threads ---- */

/*
 * A fence in every thread of this process that runs. enable comes once before; where it fails
 * there is no such thing, and weir__os_fence_threads is not called. 0 or errno. [any]
 */
int weir__os_fence_threads_enable(void);
int weir__os_fence_threads(void);

/* Name the calling thread, for debuggers and the like. [any] */
void weir__os_thread_name(const char *name);

/*
 * A condition variable whose deadlines are those of weir__clock_system; pthread_cond_destroy ends
 * it. wait: 0, or -ETIMEDOUT. [any]
 */
void weir__os_cond_init(pthread_cond_t *cond);
int weir__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline);

/*
 * The return addresses on the calling thread's stack, innermost first; how many. Async-signal-safe
 * from its second call in the process on, if the first has found any. [any]
 */
int weir__os_backtrace(void **frames, int max);

/* ---- words ---- */

/* The system's text for an errno, perhaps in buf; NULL for a number that is none. [any] */
const char *weir__os_error_text(int err, char *buf, size_t len);

#endif

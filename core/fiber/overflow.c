/* SPDX-License-Identifier: MIT */
/*
 * overflow.c: reports stack overflows, see overflow.h; and provides the alternate
 * signal stack that the handler needs.
 *
 * What runs in the handler is async-signal-safe: no stdio, no lock, no
 * allocation. It finds the stack in the list of regions, which only grows. Only
 * dladdr may take a lock, the dynamic linker's, so the line that needs it is
 * written last.
 */
#include "core/fiber/overflow.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/fiber/stack.h"
#include "core/lock.h"
#include "core/os.h"

struct weir__stack_user (*weir__stack_overflow_user)(void);

static struct weir__lock install_lock;
static struct sigaction previous;	/* constant while the handler is installed */
static bool installed;			/* under install_lock */

/* A line of text built without stdio; cut off when full. */
struct line {
	char text[400];
	size_t len;
};

static void line_add(struct line *l, const char *s, size_t max)
{
	while (*s && max-- > 0 && l->len < sizeof(l->text))
		l->text[l->len++] = *s++;
}

static void line_add_number(struct line *l, size_t n, unsigned base)
{
	char digits[24];
	size_t i = sizeof(digits);

	digits[--i] = '\0';
	do
		digits[--i] = "0123456789abcdef"[n % base];
	while (n /= base);
	line_add(l, digits + i, sizeof(digits));
}

/* Adds a code address like backtrace_symbols, without the folder: file(function+0x12). */
static void line_add_place(struct line *l, const void *at)
{
	const char *name;
	Dl_info info;

	if (!at || !dladdr(at, &info) || !info.dli_fname) {
		line_add(l, "?", 1);
		return;
	}
	name = strrchr(info.dli_fname, '/');
	line_add(l, name ? name + 1 : info.dli_fname, 80);
	line_add(l, "(", 1);
	line_add(l, info.dli_sname ? info.dli_sname : "", 80);
	line_add(l, "+0x", 3);
	line_add_number(l,
			(size_t)((const char *)at -
				 (const char *)(info.dli_sname ? info.dli_saddr : info.dli_fbase)),
			16);
	line_add(l, ")", 1);
}

static void line_write(const struct line *l)
{
	if (write(STDERR_FILENO, l->text, l->len) < 0)
		return;			/* nothing can be done about it here */
}

static void report(size_t stack_bytes, const void *at)
{
	struct weir__stack_user user = { NULL, NULL };
	struct line l = { .len = 0 };

	if (weir__stack_overflow_user)
		user = weir__stack_overflow_user();
	line_add(&l, "weir: fiber stack overflow in task \"", SIZE_MAX);
	line_add(&l, user.name ? user.name : "?", 80);
	line_add(&l, "\" (stack ", SIZE_MAX);
	line_add_number(&l, stack_bytes, 10);
	line_add(&l, " bytes); raise stack_bytes\n", SIZE_MAX);
	line_write(&l);
	l.len = 0;
	line_add(&l, "weir: it overflowed in ", SIZE_MAX);
	line_add_place(&l, at);
	line_add(&l, ", the fiber runs ", SIZE_MAX);
	line_add_place(&l, user.entry);
	line_add(&l, "\n", 1);
	line_write(&l);
}

/* Handles a fault that is not a stack overflow as if this handler were not installed. */
static void chain(int sig, siginfo_t *info, void *uc)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, uc);
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		if (info->si_code <= 0 && previous.sa_handler == SIG_IGN)
			return;		/* sent by kill and ignored */
		sigaction(sig, &previous, NULL);
		if (info->si_code <= 0)
			raise(sig);	/* a signal from kill does not repeat by itself */
	} else {
		previous.sa_handler(sig);
	}
}

static void on_fault(int sig, siginfo_t *info, void *uc)
{
	size_t stack_bytes;
	int saved = errno;

	if (info->si_code > 0 && weir__stack_is_guard(info->si_addr, &stack_bytes)) {
		report(stack_bytes, weir__os_interrupted(uc));
		sigaction(sig, &previous, NULL);	/* the instruction faults again */
	} else {
		chain(sig, info, uc);
	}
	errno = saved;
}

int weir__stack_report_overflow_install(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	int rc = 0;

	sigemptyset(&sa.sa_mask);
	weir__lock_take(&install_lock);
	if (!installed) {
		if (sigaction(weir__os_fault_signal, NULL, &previous) < 0 ||
		    sigaction(weir__os_fault_signal, &sa, NULL) < 0)
			rc = -errno;
		installed = rc == 0;
	}
	weir__lock_drop(&install_lock);
	return rc;
}

/* Room for the kernel's signal frame (wide vector registers) and for the report. */
static size_t altstack_bytes(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), frame = SIGSTKSZ;
#ifdef _SC_SIGSTKSZ
	long n = sysconf(_SC_SIGSTKSZ);

	if (n > 0 && (size_t)n > frame)
		frame = (size_t)n;
#endif
	return (frame + 16384 + page - 1) / page * page;
}

int weir__stack_altstack_init(struct weir__altstack *alt)
{
	stack_t ours = { .ss_size = altstack_bytes() };
	int rc;

	*alt = (struct weir__altstack){ .base = NULL };
	if (sigaltstack(NULL, &alt->before) < 0)
		return -errno;
	/*
	 * The one of a sanitizer is large enough. The program's own may only suffice for its own
	 * handlers.
	 */
	if (!(alt->before.ss_flags & SS_DISABLE) && alt->before.ss_size >= ours.ss_size)
		return 0;
	ours.ss_sp = mmap(NULL, ours.ss_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANON, -1, 0);
	if (ours.ss_sp == MAP_FAILED)
		return -errno;
	if (sigaltstack(&ours, NULL) < 0) {
		rc = -errno;
		munmap(ours.ss_sp, ours.ss_size);
		return rc;
	}
	if (alt->before.ss_flags & SS_DISABLE)
		alt->before.ss_size = ours.ss_size;	/* some systems check it even then */
	alt->base = ours.ss_sp;
	alt->bytes = ours.ss_size;
	return 0;
}

void weir__stack_altstack_fini(struct weir__altstack *alt)
{
	if (!alt->base)
		return;
	/*
	 * Removes only weir's stack. Without sigaltstack, munmap would leave the kernel a dangling
	 * stack.
	 */
	if (sigaltstack(&alt->before, NULL) == 0)
		munmap(alt->base, alt->bytes);
	alt->base = NULL;
}

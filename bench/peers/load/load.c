/* SPDX-License-Identifier: MIT */
/*
 * load: closed-loop TCP echo load generator (epoll, one thread).
 *
 *   load --port P [--host A] [--conns C] [--size S] [--secs D] [--warm W]
 *        [--cpu N] [--pid PID]... [--label L] [--idle SETTLE_MS] [--per-src N]
 *
 * Each connection sends one message of S bytes, reads S bytes back, checks
 * every byte, notes the time, and sends the next. One JSON line comes out:
 * requests/s, latency percentiles in microseconds, errors, and, for the
 * processes named with --pid (name its children too, where it has any), the
 * CPU microseconds a request cost them in the measured window.
 *
 * --idle MS: open C connections, echo one message of S bytes on each, wait MS,
 * and print the bytes each adds to the resident set of the --pid processes.
 * --per-src N: use a new loopback source address (127.0.0.2, .3, ...) each N
 * connections, so that ports do not run out (25000 unless told).
 *
 * Exit status: 0; 1 where any byte was wrong or a connection broke; 2 usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAXPID 64
#define PAT 8191 /* offsets into the pattern: prime, so messages differ */
#define SUB 7    /* 2^7 steps for each power of two: under 1% error */
#define NBUCKET (64 << SUB)

struct conn {
	int fd;
	uint32_t off, want; /* how many bytes of the message were sent, and received */
	uint32_t pat;       /* the offset in the pattern at which this message begins */
	uint64_t t0;
	int out_armed;
};

static uint64_t hist[NBUCKET];
static unsigned char *pattern, *rxbuf;
static uint32_t size = 64;
static uint64_t done, total, wrong, broken;
static int ep;
static int measuring;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int bucket(uint64_t v)
{
	if (v < (1u << SUB))
		return (int)v;
	int e = 63 - __builtin_clzll(v);
	return ((e - SUB + 1) << SUB) + (int)((v >> (e - SUB)) & ((1u << SUB) - 1));
}

static double bucket_mid(int b)
{
	if (b < (1 << SUB))
		return b;
	int e = (b >> SUB) + SUB - 1;
	double lo = (double)(1ull << e) + (double)(b & ((1 << SUB) - 1)) * (double)(1ull << (e - SUB));
	return lo + 0.5 * (double)(1ull << (e - SUB));
}

static double pct(uint64_t n, double p)
{
	uint64_t at = (uint64_t)((double)n * p), seen = 0;
	if (at >= n)
		at = n - 1;
	for (int i = 0; i < NBUCKET; i++) {
		seen += hist[i];
		if (seen > at)
			return bucket_mid(i) / 1000.0;
	}
	return 0;
}

/* CPU nanoseconds of all threads of a process; threads that have ended are not counted. */
static uint64_t cpu_ns(const char *pid)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s/task", pid);
	DIR *d = opendir(path);
	uint64_t sum = 0, v;
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%s/task/%.16s/schedstat", pid, e->d_name);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%lu", &v) == 1)
			sum += v;
		fclose(f);
	}
	closedir(d);
	return sum;
}

static uint64_t status_kb(const char *pid, const char *file, const char *key)
{
	char path[64], line[256];
	uint64_t v = 0;
	snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), " %lu", &v);
	fclose(f);
	return v;
}

static void arm(struct conn *c, int out)
{
	if (c->out_armed == out)
		return;
	struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
	c->out_armed = out;
}

static void lost(struct conn *c)
{
	broken++;
	close(c->fd);
	c->fd = -1;
}

static void push(struct conn *c)
{
	while (c->off < size) {
		ssize_t n = send(c->fd, pattern + c->pat + c->off, size - c->off, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EAGAIN) {
				arm(c, 1);
				return;
			}
			if (errno == EINTR)
				continue;
			lost(c);
			return;
		}
		c->off += (uint32_t)n;
	}
	arm(c, 0);
}

static void next(struct conn *c, uint64_t t)
{
	c->off = c->want = 0;
	c->pat = (c->pat + 61) % PAT;
	c->t0 = t;
	push(c);
}

/* Reads. Returns 1 when the whole message has been received. */
static int pull(struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, rxbuf, size - c->want + 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			lost(c);
			return 0;
		}
		if (c->want + (size_t)n > c->off || memcmp(rxbuf, pattern + c->pat + c->want, (size_t)n)) {
			wrong++;
			lost(c);
			return 0;
		}
		c->want += (uint32_t)n;
		if (c->want == size)
			return 1;
		if (c->want < size && (size_t)n < size)
			return 0; /* epoll is level-triggered: it reports the rest again */
	}
}

static void usage(const char *m)
{
	fprintf(stderr, "load: %s\n", m);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *host = "127.0.0.1", *label = "", *pids[MAXPID];
	int port = 0, conns = 1, cpu = -1, npid = 0, idle_ms = -1, per_src = 25000;
	double secs = 2, warm = 0.3;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (i + 1 >= argc)
			usage(a);
		const char *v = argv[++i];
		if (!strcmp(a, "--port")) port = atoi(v);
		else if (!strcmp(a, "--host")) host = v;
		else if (!strcmp(a, "--conns")) conns = atoi(v);
		else if (!strcmp(a, "--size")) size = (uint32_t)atoi(v);
		else if (!strcmp(a, "--secs")) secs = atof(v);
		else if (!strcmp(a, "--warm")) warm = atof(v);
		else if (!strcmp(a, "--cpu")) cpu = atoi(v);
		else if (!strcmp(a, "--label")) label = v;
		else if (!strcmp(a, "--idle")) idle_ms = atoi(v);
		else if (!strcmp(a, "--per-src")) per_src = atoi(v);
		else if (!strcmp(a, "--pid")) { if (npid < MAXPID) pids[npid++] = v; }
		else usage(a);
	}
	if (port <= 0 || conns <= 0 || size == 0)
		usage("--port, --conns, --size");
	if (cpu >= 0) {
		cpu_set_t s;
		CPU_ZERO(&s);
		CPU_SET(cpu, &s);
		if (sched_setaffinity(0, sizeof s, &s))
			perror("sched_setaffinity");
	}
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur < (rlim_t)conns + 16)
		usage("ulimit -n is too low for --conns");

	pattern = malloc(size + PAT);
	rxbuf = malloc(size + 1);
	struct conn *cs = calloc((size_t)conns, sizeof *cs);
	uint64_t r = 0x9E3779B97F4A7C15ull;
	for (uint32_t i = 0; i < size + PAT; i++) {
		r ^= r << 13; r ^= r >> 7; r ^= r << 17;
		pattern[i] = (unsigned char)(r >> 24);
	}

	uint64_t kb0 = 0, priv0 = 0;
	for (int i = 0; i < npid; i++) {
		kb0 += status_kb(pids[i], "status", "VmRSS:");
		priv0 += status_kb(pids[i], "smaps_rollup", "Private_Dirty:");
	}

	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		usage("--host: an IPv4 address");
	ep = epoll_create1(0);
	for (int i = 0; i < conns; i++) {
		struct conn *c = &cs[i];
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (c->fd < 0) { perror("socket"); return 1; }
		int one = 1;
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (i >= per_src) {
			struct sockaddr_in from = {.sin_family = AF_INET};
			setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
			from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(i / per_src));
			if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) { perror("bind"); return 1; }
		}
		if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		c->pat = (uint32_t)(i * 97) % PAT;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
	}

	static struct epoll_event ev[1024];
	uint64_t t = now_ns();
	if (idle_ms >= 0) {
		uint64_t last = t + 30000000000ull;
		int left = conns;
		for (int i = 0; i < conns; i++)
			next(&cs[i], t);
		while (left - (int)broken > 0 && now_ns() < last) {
			int n = epoll_wait(ep, ev, 1024, 100);
			for (int i = 0; i < n; i++) {
				struct conn *c = ev[i].data.ptr;
				if (c->fd < 0) continue;
				if (ev[i].events & EPOLLOUT) push(c);
				if (c->fd >= 0 && (ev[i].events & ~(unsigned)EPOLLOUT) && pull(c)) left--;
			}
		}
		usleep((useconds_t)idle_ms * 1000);
		uint64_t kb1 = 0, priv1 = 0;
		for (int i = 0; i < npid; i++) {
			kb1 += status_kb(pids[i], "status", "VmRSS:");
			priv1 += status_kb(pids[i], "smaps_rollup", "Private_Dirty:");
		}
		printf("{\"label\":\"%s\",\"idle_conns\":%d,\"size\":%u,\"rss_base_kb\":%lu,\"rss_kb\":%lu,"
		       "\"rss_per_conn\":%.0f,\"private_per_conn\":%.0f,\"unanswered\":%d,\"errors\":%lu}\n",
		       label, conns, size, kb0, kb1, (double)(kb1 - kb0) * 1024 / conns,
		       ((double)priv1 - (double)priv0) * 1024 / conns, left - (int)broken, broken);
		return broken || wrong || left != (int)broken ? 1 : 0;
	}

	uint64_t begin = t + (uint64_t)(warm * 1e9), end = begin + (uint64_t)(secs * 1e9);
	uint64_t ns0 = 0, ns1 = 0, start = 0, stop = 0;
	struct rusage ru0, ru1;
	for (int i = 0; i < conns; i++)
		next(&cs[i], now_ns());
	while (broken < (uint64_t)conns) {
		int n = epoll_wait(ep, ev, 1024, 100);
		t = now_ns();
		if (!measuring && t >= begin) {
			measuring = 1;
			memset(hist, 0, sizeof hist);
			total += done;
			done = 0;
			for (int i = 0; i < npid; i++) ns0 += cpu_ns(pids[i]);
			getrusage(RUSAGE_SELF, &ru0);
			start = t = now_ns();
			end = start + (uint64_t)(secs * 1e9);
		} else if (measuring && t >= end) {
			stop = t;
			for (int i = 0; i < npid; i++) ns1 += cpu_ns(pids[i]);
			getrusage(RUSAGE_SELF, &ru1);
			break;
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c->fd < 0) continue;
			if (ev[i].events & EPOLLOUT) push(c);
			if (c->fd >= 0 && (ev[i].events & ~(unsigned)EPOLLOUT) && pull(c)) {
				t = now_ns();
				hist[bucket(t - c->t0)]++;
				done++;
				next(c, t);
			}
		}
	}
	if (!stop) {
		printf("{\"label\":\"%s\",\"failed\":\"every connection broke\",\"wrong\":%lu,\"errors\":%lu}\n", label, wrong, broken);
		return 1;
	}
	double el = (double)(stop - start) / 1e9;
#define TV(x) ((double)(x).tv_sec + (double)(x).tv_usec / 1e6)
	double self = TV(ru1.ru_utime) + TV(ru1.ru_stime) - TV(ru0.ru_utime) - TV(ru0.ru_stime);
	printf("{\"label\":\"%s\",\"conns\":%d,\"size\":%u,\"secs\":%.3f,\"requests\":%lu,\"total\":%lu,\"rps\":%.0f,"
	       "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"errors\":%lu,\"wrong\":%lu,"
	       "\"cpu_us\":%.3f,\"load_cpu_us\":%.3f,\"load_cpu\":%.3f}\n",
	       label, conns, size, el, done, total + done, (double)done / el,
	       done ? pct(done, .5) : 0, done ? pct(done, .9) : 0, done ? pct(done, .99) : 0, done ? pct(done, .999) : 0,
	       broken, wrong, npid && done ? (double)(ns1 - ns0) / 1e3 / (double)done : -1.0,
	       done ? self * 1e6 / (double)done : 0, self / el);
	return broken || wrong ? 1 : 0;
}

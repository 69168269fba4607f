/* SPDX-License-Identifier: MIT */
/*
 * tap_http.c: the TCP/IP stack of stack/ in a program of its own, without weir's runtime. It shows
 * what an embedder of that folder has to provide. The program is a host behind a TAP device of
 * Linux, and answers ping and HTTP (http.h):
 *
 *	ip tuntap add tap0 mode tap
 *	ip addr add 10.9.0.1/24 dev tap0
 *	ip link set tap0 up
 *	tap_http tap0 10.9.0.2/24 &
 *	ping 10.9.0.2
 *	curl http://10.9.0.2/
 *
 * The arguments after the address are the MTU and a gateway to all other networks. At SIGINT or
 * SIGTERM it prints the stack's counters and ends. stack/README.md states how to compile it without
 * the rest of weir.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "stack/stack.h"

#define FRAME_BYTES (14 + 9216)	/* an Ethernet header and the largest MTU */
#define FRAMES_A_TURN 64	/* more frames would delay timers and ACKs */

/* The stack gets a pointer to the first member; the functions below find the struct from it. */
struct host {
	struct weir__netstack_owner owner;
	struct weir__netstack *net;
	int device;
	size_t blocks, allocations;	/* allocated now; none may be left at the end */
	struct http http;
};

static struct host *host_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct host, owner);
}

/* ---- what the stack needs: memory, random bytes, a way out for frames ------------------------ */

static void *host_alloc(struct weir__netstack_owner *owner, size_t bytes)
{
	void *memory = malloc(bytes);

	host_of(owner)->allocations += memory != NULL;
	return memory;
}

static void host_free(struct weir__netstack_owner *owner, void *memory, size_t bytes)
{
	(void)bytes;
	host_of(owner)->allocations--;
	free(memory);
}

/* A block of frame memory: the stack's struct, and the bytes. */
struct host_block {
	struct weir__block block;
	struct host *host;
	unsigned char bytes[];
};

static void block_release(struct weir__block *block)
{
	struct host_block *mine = WEIR_STACK_CONTAINER(block, struct host_block, block);

	mine->host->blocks--;
	free(mine);
}

static struct weir__frame *host_block_alloc(struct weir__netstack_owner *owner, uint32_t bytes)
{
	struct host_block *mine = malloc(sizeof(*mine) + bytes);

	if (mine == NULL)
		return NULL;
	mine->host = host_of(owner);
	mine->host->blocks++;
	return weir__block_init(&mine->block, mine->bytes, bytes, (uint32_t)sizeof(*mine) + bytes,
				block_release);
}

static void host_random(struct weir__netstack_owner *owner, void *bytes, size_t len)
{
	(void)owner;
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		abort();	/* sequence numbers and ports would be predictable */
}

/* A frame that the device does not accept is lost, as on any wire. */
static void host_transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
			  struct weir__frame *frame)
{
	unsigned char bytes[FRAME_BYTES];
	uint32_t len = weir__frame_copy_out(frame, 0, bytes, sizeof(bytes));

	weir__frame_free(weir__netstack_frames(net), frame);
	if (write(host_of(owner)->device, bytes, len) < 0)
		perror("tap_http: a frame is lost");
}

static const struct weir__netstack_owner_ops host_ops = {
	.alloc = host_alloc,
	.free = host_free,
	.block_alloc = host_block_alloc,
	.random = host_random,
	.transmit = host_transmit,
};

/* ---- the device ----------------------------------------------------------------------------- */

static int device_open(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (device >= 0 && ioctl(device, TUNSETIFF, &request) == 0)
		return device;
	fprintf(stderr, "tap_http: %s of /dev/net/tun: %s\n", name, strerror(errno));
	exit(1);
}

/* Reads a received frame; NULL if there is none. */
static struct weir__frame *device_read(struct host *host)
{
	struct weir__frame_memory *mem = weir__netstack_frames(host->net);
	unsigned char bytes[FRAME_BYTES];
	ssize_t len = read(host->device, bytes, sizeof(bytes));
	struct weir__frame *frame;

	if (len <= 0 || (frame = weir__frame_new(mem, 0, 0)) == NULL)
		return NULL;
	if (weir__frame_copy_in(mem, frame, bytes, (uint32_t)len) == 0)
		return frame;
	weir__frame_free(mem, frame);
	return NULL;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NETSTACK_SEC + (uint64_t)now.tv_nsec;
}

/*
 * Frames are read before the turn begins. Linux replies to a frame during the write that transmits
 * it; a reply that was read in the same turn would give a round-trip time of zero.
 */
static void turn(struct host *host)
{
	struct weir__netstack_source *source;
	struct weir__frame_queue arrived = { NULL, NULL };
	struct weir__frame *frame;
	unsigned events;

	for (int i = 0; i < FRAMES_A_TURN && (frame = device_read(host)) != NULL; i++)
		weir__frame_queue_push(&arrived, frame);
	weir__netstack_begin(host->net, now_ns());
	weir__netstack_input_burst(host->net, &arrived);
	while ((source = weir__netstack_next_event(host->net, &events)) != NULL)
		http_event(&host->http, source);
	weir__netstack_end(host->net);
}

/* Sleeps until a frame arrives or the stack's next timer is due. False: a signal arrived. */
static bool wait_for_more(struct host *host, int signals)
{
	struct pollfd fds[] = { { .fd = host->device, .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	uint64_t at = weir__netstack_next_deadline(host->net), now = now_ns();
	uint64_t ns = at > now ? at - now : 0;
	struct timespec timeout = { (time_t)(ns / WEIR_NETSTACK_SEC),
				    (long)(ns % WEIR_NETSTACK_SEC) };

	(void)ppoll(fds, 2, at == WEIR_NETSTACK_NEVER ? NULL : &timeout, NULL);
	return fds[1].revents == 0;
}

/* Opens a descriptor that becomes readable at SIGINT or SIGTERM. */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* ---- what is configured --------------------------------------------------------------------- */

static struct weir__ip_address address_of(const char *text)
{
	struct in_addr parsed;

	if (inet_pton(AF_INET, text, &parsed) == 1)
		return weir__ip_v4(ntohl(parsed.s_addr));
	fprintf(stderr, "tap_http: \"%s\" is not an IPv4 address\n", text);
	exit(2);
}

static int host_init(struct host *host, const char *address, unsigned prefix, const char *mtu,
		     const char *gateway)
{
	struct weir__netstack_address own = { address_of(address), (uint8_t)prefix };
	struct weir__netstack_route all = { .prefix = weir__ip_v4(0) };
	struct weir__netstack_config cfg = {
		.mac = { 2 },	/* locally administered; the address follows */
		.mtu = mtu != NULL ? (uint16_t)atoi(mtu) : 0,
		.addresses = &own,
		.address_count = 1,
		.routes = &all,
		.route_count = gateway != NULL,
	};
	int rc;

	if (gateway != NULL)
		all.gateway = address_of(gateway);
	memcpy(cfg.mac + 2, own.address.bytes + 12, 4);
	host->owner.ops = &host_ops;
	rc = weir__netstack_new(&host->owner, &cfg, now_ns(), &host->net);
	if (rc < 0)
		return rc;
	weir__netstack_begin(host->net, now_ns());
	rc = http_init(&host->http, host->net);
	weir__netstack_end(host->net);
	return rc;
}

static int host_fini(struct host *host)
{
	weir__netstack_free(host->net);	/* it sends nothing to the peers */
	http_fini(&host->http);
	if (host->blocks == 0 && host->allocations == 0)
		return 0;
	fprintf(stderr, "tap_http: %zu blocks and %zu allocations are left\n", host->blocks,
		host->allocations);
	return 1;
}

int main(int argc, char **argv)
{
	static struct host host;
	char address[16];
	unsigned prefix;
	int rc, signals = signals_open();

	if (argc < 3 || argc > 5 || sscanf(argv[2], "%15[0-9.]/%u", address, &prefix) != 2 ||
	    prefix > 32) {
		fprintf(stderr, "usage: tap_http DEVICE ADDRESS/PREFIX [MTU [GATEWAY]]\n");
		return 2;
	}
	rc = host_init(&host, address, prefix, argv[3], argc == 5 ? argv[4] : NULL);
	if (rc < 0 || signals < 0) {
		fprintf(stderr, "tap_http: %s\n", strerror(rc < 0 ? -rc : errno));
		return 1;
	}
	host.device = device_open(argv[1]);
	printf("http://%s/ on %s\n", address, argv[1]);
	fflush(stdout);
	do
		turn(&host);
	while (wait_for_more(&host, signals));
	http_print_counters(host.net, stderr);
	return host_fini(&host);
}

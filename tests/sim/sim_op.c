/* SPDX-License-Identifier: MIT */
/*
 * sim_op.c: what an operation does when it is tried: move bytes, accept, connect, or fail with an
 * injected error. Also checks that the caller leaves the memory of operations in flight alone.
 *
 * sim_backend.c decides when an operation is tried, and handles SIM_AGAIN, SIM_MORE and SIM_LATER.
 */
#include <string.h>

#include "tests/sim/sim_world.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SIM_ASAN)
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

/* Draws the error with which the operation fails now, or 0. */
static int draw_error(struct weir_sim_world *world, int code)
{
	static const int of_accept[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED };
	static const int of_connect[] = { ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL };
	static const int of_send[] = { ECONNRESET, ECONNRESET, ENOBUFS };

	if (!sim_chance(world, world->cfg.fail_permille[code]))
		return 0;
	world->report.injected++;
	switch (code) {
	case WEIR_OP_ACCEPT:
		return of_accept[sim_random(world) % 5];
	case WEIR_OP_CONNECT:
		return of_connect[sim_random(world) % 4];
	case WEIR_OP_SEND:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		return of_send[sim_random(world) % 3];
	default:
		return ECONNRESET;
	}
}

static size_t draw_length(struct weir_sim_world *world, size_t n)
{
	if (n < 2 || !sim_chance(world, world->cfg.short_permille))
		return n;
	world->report.shortened++;
	return 1 + sim_random(world) % (n - 1);
}

/* ---- the memory that belongs to the backend while an op is in flight ---- */

static bool is_recv(const struct weir_op *op)
{
	return op->code == WEIR_OP_RECV || op->code == WEIR_OP_RECVV;
}

bool sim_op_sends(const struct weir_op *op)
{
	return op->code == WEIR_OP_SEND || op->code == WEIR_OP_SENDV ||
	       op->code == WEIR_OP_SEND_LEASE;
}

/* Finds the i-th piece of an op's buffer. Returns false if there is none. */
static bool piece(const struct weir_op *op, unsigned i, uint8_t **ret_at, size_t *ret_len)
{
	if (op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND) {
		*ret_at = op->u.io.buf;
		*ret_len = op->u.io.len;
		return i == 0;
	}
	if (op->code == WEIR_OP_SEND_LEASE) {
		*ret_at = op->u.lease.lease->data;
		*ret_len = op->u.lease.lease->len;
		return i == 0;
	}
	if (op->code != WEIR_OP_RECVV && op->code != WEIR_OP_SENDV)
		return false;
	if (i >= op->u.iov.count)
		return false;
	*ret_at = op->u.iov.iov[i].iov_base;
	*ret_len = op->u.iov.iov[i].iov_len;
	return true;
}

uint32_t *sim_op_done(struct weir_op *op)
{
	if (op->code == WEIR_OP_SEND_LEASE)
		return &op->u.lease.done;
	return op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND ? &op->u.io.done
								    : &op->u.iov.done;
}

size_t sim_op_total(const struct weir_op *op)
{
	size_t total = 0, len;
	uint8_t *at;

	for (unsigned i = 0; piece(op, i, &at, &len); i++)
		total += len;
	return total;
}

void sim_op_poison(const struct weir_op *op)
{
	size_t len;
	uint8_t *at;

	for (unsigned i = 0; is_recv(op) && piece(op, i, &at, &len); i++)
		POISON(at, len);
}

void sim_op_unpoison(const struct weir_op *op)
{
	size_t len;
	uint8_t *at;

	for (unsigned i = 0; is_recv(op) && piece(op, i, &at, &len); i++)
		UNPOISON(at, len);
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = sim_mix(hash, word);
	}
	for (; len; p++, len--)
		hash = sim_mix(hash, *p);
	return hash;
}

uint64_t sim_op_check(const struct weir_op *op)
{
	uint64_t hash = op->code;
	size_t len;
	uint8_t *at;

	if (op->code == WEIR_OP_CONNECT)
		return mix_bytes(hash, op->u.connect.addr, op->u.connect.len);
	if (!is_recv(op) && !sim_op_sends(op))
		return hash;
	for (unsigned i = 0; piece(op, i, &at, &len); i++) {
		hash = sim_mix(sim_mix(hash, (uintptr_t)at), len);
		if (sim_op_sends(op))
			hash = mix_bytes(hash, at, len);
	}
	return hash;
}

/* ---- leases ---- */

void sim_blocks_poison(void *at, size_t n)
{
	POISON(at, n);
}

void sim_blocks_unpoison(void *at, size_t n)
{
	UNPOISON(at, n);
}

static void lend(struct sim_instance *sim, struct weir_lease *lease, size_t len)
{
	uint32_t token = sim->free_blocks[--sim->free_count];

	sim->lent[token] = true;
	sim->world->report.leases++;
	lease->data = sim->blocks + token * sim->block_bytes;
	lease->len = (uint32_t)len;
	lease->token = token;
	lease->owner = &sim->base;
	UNPOISON(lease->data, sim->block_bytes);
}

static void starve(struct sim_rec *rec)
{
	rec->starved = true;
	rec->home->world->report.lease_waits++;
	TAILQ_INSERT_TAIL(&rec->home->starved, rec, in_starved);
}

/* ---- trying ---- */

static int try_accept(struct sim_rec *rec)
{
	struct sim_listener *listener = listener_of(rec->op->handle);
	struct weir_handle *h = rec->op->u.accept.handle;
	struct weir_sim_world *world = listener->object.world;
	struct sim_stream *stream;
	int error;

	if (TAILQ_EMPTY(&listener->queue))
		return SIM_AGAIN;
	error = draw_error(world, WEIR_OP_ACCEPT);
	if (error && error != ECONNABORTED)
		return -error;
	sim_accept(listener, &stream);
	if (error) {
		stream->linger_zero = true;
		sim_stream_close(stream);
		return -error;
	}
	memset(h->state, 0, sizeof(h->state));
	h->backend = &rec->home->base;
	h->homed = sim_homed(rec->home->world);
	h->fd = -1;
	h->kind = WEIR_HANDLE_STREAM;
	h->state[0] = (uintptr_t)stream;
	sim_note(rec->home, WEIR_SIM_ATTACH, 0, stream->object.number, h->kind, 0);
	return 0;
}

static int try_connect(struct sim_rec *rec)
{
	struct weir_op *op = rec->op;
	int error = draw_error(rec->home->world, WEIR_OP_CONNECT);

	if (error)
		return -error;
	return sim_connect(stream_of(op->handle), op->u.connect.addr, op->u.connect.len);
}

/* Moves n bytes, from where the op has got to, piece by piece. */
static void transfer(struct weir_op *op, struct sim_stream *stream, size_t n)
{
	size_t skip = *sim_op_done(op), moved = 0, len, part;
	uint8_t *at;

	for (unsigned i = 0; moved < n && piece(op, i, &at, &len); i++) {
		if (skip >= len) {
			skip -= len;
			continue;
		}
		part = len - skip < n - moved ? len - skip : n - moved;
		if (sim_op_sends(op))
			sim_write(stream, at + skip, part);
		else
			sim_read(stream, moved, at + skip, part);
		moved += part;
		skip = 0;
	}
	/* Atomic: a relay reads it from another worker, to measure its progress. */
	__atomic_fetch_add(sim_op_done(op), (uint32_t)n, __ATOMIC_RELAXED);
}

static int try_recv(struct sim_rec *rec)
{
	struct weir_op *op = rec->op;
	struct sim_stream *stream = stream_of(op->handle);
	size_t left = sim_op_total(op) - *sim_op_done(op), n;
	int ready;

	if (draw_error(stream->object.world, op->code)) {
		sim_reset(stream);
		return -ECONNRESET;
	}
	ready = left ? sim_readable(stream) : 0;
	if (ready == 0)
		return (int)*sim_op_done(op);
	if (ready < 0)
		return ready;
	n = draw_length(stream->object.world, (size_t)ready < left ? (size_t)ready : left);
	sim_op_unpoison(op);
	transfer(op, stream, n);
	sim_op_poison(op);
	if (!(rec->flags & WEIR_OP_PEEK))
		sim_consume(stream, n);
	if ((rec->flags & WEIR_OP_ALL) && !(rec->flags & WEIR_OP_PEEK) && n < left)
		return SIM_MORE;
	return (int)*sim_op_done(op);
}

static int try_recv_lease(struct sim_rec *rec)
{
	struct weir_op *op = rec->op;
	struct sim_instance *sim = rec->home;
	struct sim_stream *stream = stream_of(op->handle);
	size_t room = op->u.lease.max ? op->u.lease.max : sim->block_bytes;
	int ready;

	if (draw_error(stream->object.world, op->code)) {
		sim_reset(stream);
		return -ECONNRESET;
	}
	ready = sim_readable(stream);
	if (ready <= 0)
		return ready;
	if (sim->free_count == 0) {
		starve(rec);
		return SIM_AGAIN;
	}
	if (room > sim->block_bytes)
		room = sim->block_bytes;
	room = draw_length(stream->object.world, (size_t)ready < room ? (size_t)ready : room);
	lend(sim, op->u.lease.lease, room);
	sim_read(stream, 0, op->u.lease.lease->data, room);
	sim_consume(stream, room);
	return (int)room;
}

static int try_send(struct sim_rec *rec)
{
	struct weir_op *op = rec->op;
	struct sim_stream *stream = stream_of(op->handle);
	size_t left = sim_op_total(op) - *sim_op_done(op), n;
	int error = draw_error(stream->object.world, op->code);
	int ready;

	if (error == ECONNRESET)
		sim_reset(stream);
	if (error)
		return -error;
	ready = sim_writable(stream);
	if (ready < 0)
		return ready;
	n = draw_length(stream->object.world, (size_t)ready < left ? (size_t)ready : left);
	transfer(op, stream, n);
	sim_sent(stream, n);
	if ((rec->flags & WEIR_OP_ALL) && n < left)
		return SIM_MORE;
	return (int)*sim_op_done(op);
}

int sim_op_try(struct sim_rec *rec)
{
	switch (rec->op->code) {
	case WEIR_OP_ACCEPT:
		return try_accept(rec);
	case WEIR_OP_CONNECT:
		return try_connect(rec);
	case WEIR_OP_RECV:
	case WEIR_OP_RECVV:
		return try_recv(rec);
	case WEIR_OP_RECV_LEASE:
		return try_recv_lease(rec);
	case WEIR_OP_SEND:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		return try_send(rec);
	default:
		return -EOPNOTSUPP;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * contract.c: tests the simulated backend alone, by calling its ops without a runtime. The
 * functions that the core would supply (complete, now, the clock) are replaced here.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_backend.h"
#include "tests/support/testing.h"
#include "weir/rt.h"
#include "weir/time.h"

/* ---- the core's functions ---- */

static uint64_t now_ns;
static bool polling, completed_outside_poll;

void weir_backend_complete(struct weir_op *op, int res)
{
	ck_assert_int_eq(op->state, WEIR_OP_INFLIGHT);
	op->state = WEIR_OP_DONE;
	op->res = res;
	completed_outside_poll |= !polling;
}

void weir_backend_detached(struct weir_handle *h)
{
	h->backend = NULL;
}

void weir_backend_wake(struct weir_backend *be)
{
	(void)be;
}

uint64_t weir_backend_now(const struct weir_backend *be)
{
	(void)be;
	return now_ns;
}

void weir_lease_return(struct weir_lease *lease)
{
	lease->owner->ops->lease_return(lease->owner, lease);
}

int weir_rt_worker_index(void)
{
	return 0;
}

int weir_clock_advance(struct weir_clock *clock, uint64_t by_ns)
{
	(void)clock;
	now_ns += by_ns;
	return 0;
}

/* ---- a world with one instance, a listener and two ends ---- */

static struct weir_sim_world *world;
static struct weir_backend *be;
static struct weir_handle listener, client, server;
static struct sockaddr_in listen_addr;

static void op_submit(struct weir_op *op, int code, struct weir_handle *h)
{
	op->code = (uint8_t)code;
	op->state = WEIR_OP_INFLIGHT;
	op->handle = h;
	op->backend = be;
	be->ops->submit(be, op);
}

static struct weir_op io_op(void *buf, size_t len, unsigned flags)
{
	struct weir_op op;

	memset(&op, 0, sizeof(op));
	op.flags = (uint16_t)flags;
	op.u.io.buf = buf;
	op.u.io.len = (uint32_t)len;
	return op;
}

static void poll_for(uint64_t ns)
{
	uint64_t until = now_ns + ns;

	polling = true;
	while (now_ns < until)
		be->ops->poll(be, until, false);
	polling = false;
}

/* Lets time pass until the op is done. Returns its result. */
static int run(struct weir_op *op)
{
	uint64_t until = now_ns + WEIR_SEC;

	polling = true;
	while (op->state != WEIR_OP_DONE && now_ns < until)
		be->ops->poll(be, until, false);
	polling = false;
	ck_assert_msg(op->state == WEIR_OP_DONE, "op %d still in flight", op->code);
	return op->res;
}

static int send_some(struct weir_handle *h, const char *text, size_t len)
{
	struct weir_op op = io_op((void *)(uintptr_t)text, len, 0);

	op_submit(&op, WEIR_OP_SEND, h);
	return run(&op);
}

static int recv_some(struct weir_handle *h, void *buf, size_t len)
{
	struct weir_op op = io_op(buf, len, 0);

	op_submit(&op, WEIR_OP_RECV, h);
	return run(&op);
}

static void world_open(struct weir_sim_config cfg)
{
	struct weir_backend_config bc = { .workers = 1,
					  .lease_bytes = 512,
					  .busy_events = 64,
					  .idle_events = 64,
					  .clock = (struct weir_clock *)&now_ns };

	cfg.size = sizeof(cfg);
	ck_assert_int_eq(weir_sim_world_new(&cfg, &world), 0);
	now_ns = WEIR_SEC;
	completed_outside_poll = false;
	bc.custom = world;
	be = calloc(1, weir_sim_backend.instance_bytes);
	be->ops = &weir_sim_backend;
	be->caps = weir_sim_backend.caps;
	ck_assert_int_eq(be->ops->init(be, &bc), 0);
}

static struct weir_sim_report world_close(void)
{
	struct weir_sim_report report;

	be->ops->fini(be);
	free(be);
	weir_sim_world_report(world, &report);
	weir_sim_world_free(world);
	ck_assert_uint_eq(report.streams + report.listeners + report.ops + report.leases, 0);
	return report;
}

static int attach(struct weir_handle *h, enum weir_handle_kind kind, bool with_addr)
{
	struct weir_handle_spec spec = { .kind = kind, .fd = -1, .family = AF_INET };

	if (with_addr) {
		spec.addr = (struct sockaddr *)&listen_addr;
		spec.addr_len = sizeof(listen_addr);
	}
	memset(h, 0, sizeof(*h));
	return be->ops->attach(be, h, &spec);
}

static void listener_open(void)
{
	struct sockaddr_storage ss;

	memset(&listen_addr, 0, sizeof(listen_addr));
	listen_addr.sin_family = AF_INET;
	listen_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(attach(&listener, WEIR_HANDLE_LISTENER, true), 0);
	ck_assert_int_ge(be->ops->control(be, &listener, WEIR_CTL_LOCAL_ADDR, &ss, sizeof(ss)), 0);
	memcpy(&listen_addr, &ss, sizeof(listen_addr));
	ck_assert_uint_ne(listen_addr.sin_port, 0);
}

static int dial(struct weir_handle *h)
{
	struct weir_op op;

	ck_assert_int_eq(attach(h, WEIR_HANDLE_STREAM, false), 0);
	memset(&op, 0, sizeof(op));
	op.u.connect.addr = (struct sockaddr *)&listen_addr;
	op.u.connect.len = sizeof(listen_addr);
	op_submit(&op, WEIR_OP_CONNECT, h);
	return run(&op);
}

static int answer(struct weir_handle *h)
{
	struct weir_op op;

	memset(&op, 0, sizeof(op));
	memset(h, 0, sizeof(*h));
	op.u.accept.handle = h;
	op_submit(&op, WEIR_OP_ACCEPT, &listener);
	return run(&op);
}

static void pair_open(struct weir_sim_config cfg)
{
	world_open(cfg);
	listener_open();
	ck_assert_int_eq(dial(&client), 0);
	ck_assert_int_eq(answer(&server), 0);
}

static void hang_up(struct weir_handle *h)
{
	be->ops->detach(be, h);
	while (h->backend)
		poll_for(WEIR_MSEC);
}

static struct weir_sim_report pair_close(void)
{
	hang_up(&client);
	hang_up(&server);
	hang_up(&listener);
	return world_close();
}

static void close_clean(void)
{
	ck_assert_uint_eq(pair_close().violations, 0);
}

/* ---- tests ---- */

START_TEST(bytes_then_end_of_stream)
{
	char buf[16];
	int on = SHUT_WR;

	pair_open((struct weir_sim_config){ .seed = 1 });
	ck_assert_int_eq(send_some(&client, "hello", 5), 5);
	ck_assert_int_eq(be->ops->control(be, &client, WEIR_CTL_SHUTDOWN, &on, sizeof(on)), 0);
	ck_assert_int_eq(recv_some(&server, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(recv_some(&server, buf, sizeof(buf)), 0);
	ck_assert_int_eq(send_some(&server, "bye", 3), 3);
	ck_assert_int_eq(recv_some(&client, buf, sizeof(buf)), 3);
	ck_assert_int_eq(send_some(&client, "x", 1), -EPIPE);
	ck_assert(!completed_outside_poll);
	close_clean();
}
END_TEST

START_TEST(a_recv_waits_for_its_bytes)
{
	char buf[16];
	struct weir_op op = io_op(buf, sizeof(buf), 0);

	pair_open((struct weir_sim_config){ .seed = 2 });
	op_submit(&op, WEIR_OP_RECV, &server);
	poll_for(WEIR_SEC);
	ck_assert_int_eq(op.state, WEIR_OP_INFLIGHT);
	ck_assert_int_eq(send_some(&client, "abc", 3), 3);
	ck_assert_int_eq(run(&op), 3);
	close_clean();
}
END_TEST

START_TEST(recvs_of_one_stream_stay_in_order)
{
	char a[2], b[2];
	struct weir_op first = io_op(a, sizeof(a), WEIR_OP_ALL), second = io_op(b, sizeof(b), 0);

	pair_open((struct weir_sim_config){
		.seed = (uint64_t)_i, .reorder_permille = 500, .short_permille = 500 });
	op_submit(&first, WEIR_OP_RECV, &server);
	op_submit(&second, WEIR_OP_RECV, &server);
	ck_assert_int_gt(send_some(&client, "1", 1), 0);
	ck_assert_int_gt(send_some(&client, "2", 1), 0);
	ck_assert_int_gt(send_some(&client, "3", 1), 0);
	ck_assert_int_eq(run(&second), 1);
	ck_assert_int_eq(first.state, WEIR_OP_DONE);
	ck_assert_mem_eq(a, "12", 2);
	ck_assert_mem_eq(b, "3", 1);
	close_clean();
}
END_TEST

START_TEST(a_full_buffer_stops_the_sender)
{
	static uint8_t out[5000], in[5000];
	struct weir_op send = io_op(out, sizeof(out), WEIR_OP_ALL);
	struct weir_op recv = io_op(in, sizeof(in), WEIR_OP_ALL);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	pair_open((struct weir_sim_config){ .seed = 3, .buffer_bytes = 1000,
					    .short_permille = 300 });
	op_submit(&send, WEIR_OP_SEND, &client);
	poll_for(WEIR_SEC);
	ck_assert_int_eq(send.state, WEIR_OP_INFLIGHT);
	ck_assert_uint_eq(send.u.io.done, 1000);
	op_submit(&recv, WEIR_OP_RECV, &server);
	ck_assert_int_eq(run(&recv), sizeof(in));
	ck_assert_int_eq(run(&send), sizeof(out));
	ck_assert_mem_eq(in, out, sizeof(in));
	close_clean();
}
END_TEST

START_TEST(iovecs_scatter_and_gather)
{
	char a[3], b[5];
	struct iovec out[2] = { { (char *)"ab", 2 }, { (char *)"cdefgh", 6 } };
	struct iovec in[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct weir_op op;

	pair_open((struct weir_sim_config){ .seed = 4 });
	memset(&op, 0, sizeof(op));
	op.u.iov.iov = out;
	op.u.iov.count = 2;
	op.flags = WEIR_OP_ALL;
	op_submit(&op, WEIR_OP_SENDV, &client);
	ck_assert_int_eq(run(&op), 8);
	op.u.iov.iov = in;
	op.u.iov.done = 0;
	op_submit(&op, WEIR_OP_RECVV, &server);
	ck_assert_int_eq(run(&op), 8);
	ck_assert_mem_eq(a, "abc", 3);
	ck_assert_mem_eq(b, "defgh", 5);
	close_clean();
}
END_TEST

START_TEST(a_cancel_of_a_waiting_op_wins)
{
	char buf[16];
	struct weir_op op = io_op(buf, sizeof(buf), 0);

	pair_open((struct weir_sim_config){ .seed = 5, .cancel_lose_permille = 1000 });
	op_submit(&op, WEIR_OP_RECV, &server);
	poll_for(WEIR_MSEC);
	be->ops->cancel(be, &op);
	ck_assert_int_eq(op.state, WEIR_OP_INFLIGHT);
	ck_assert_int_eq(run(&op), -ECANCELED);
	close_clean();
}
END_TEST

START_TEST(a_cancel_race_goes_both_ways)
{
	unsigned won = 0, lost = 0;
	char buf[16];

	for (uint64_t seed = 0; seed < 64; seed++) {
		struct weir_op op = io_op(buf, sizeof(buf), 0);

		pair_open((struct weir_sim_config){ .seed = seed, .cancel_lose_permille = 300 });
		ck_assert_int_eq(send_some(&client, "abc", 3), 3);
		op_submit(&op, WEIR_OP_RECV, &server);
		be->ops->cancel(be, &op);
		won += run(&op) == -ECANCELED;
		lost += op.res == 3;
		close_clean();
	}
	ck_assert_uint_eq(won + lost, 64);
	ck_assert_uint_gt(won, 8);
	ck_assert_uint_gt(lost, 8);
}
END_TEST

START_TEST(a_detach_cancels_and_waits)
{
	char buf[16];
	struct weir_op recv = io_op(buf, sizeof(buf), 0);
	struct weir_op accept;
	struct weir_handle fresh;

	pair_open((struct weir_sim_config){ .seed = (uint64_t)_i });
	memset(&accept, 0, sizeof(accept));
	accept.u.accept.handle = &fresh;
	op_submit(&accept, WEIR_OP_ACCEPT, &listener);
	op_submit(&recv, WEIR_OP_RECV, &client);
	poll_for(WEIR_MSEC);
	be->ops->detach(be, &client);
	ck_assert(client.backend != NULL);
	be->ops->detach(be, &listener);
	ck_assert_int_eq(run(&recv), -ECANCELED);
	ck_assert_int_eq(run(&accept), -ECANCELED);
	while (client.backend || listener.backend)
		poll_for(WEIR_MSEC);
	ck_assert_int_eq(recv_some(&server, buf, 1), 0);
	hang_up(&server);
	ck_assert_uint_eq(world_close().violations, 0);
}
END_TEST

START_TEST(closing_with_unread_bytes_resets)
{
	char buf[4];

	pair_open((struct weir_sim_config){ .seed = 6 });
	ck_assert_int_eq(send_some(&client, "lost", 4), 4);
	hang_up(&server);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(recv_some(&client, buf, 4), -ECONNRESET);
	ck_assert_int_eq(send_some(&client, "x", 1), -EPIPE);
	ck_assert_int_eq(attach(&server, WEIR_HANDLE_STREAM, false), 0);
	close_clean();
}
END_TEST

START_TEST(the_first_send_after_a_close_vanishes)
{
	char buf[4];

	pair_open((struct weir_sim_config){ .seed = 7 });
	hang_up(&server);
	ck_assert_int_eq(send_some(&client, "lost", 4), 4);
	ck_assert_int_eq(recv_some(&client, buf, 4), 0);
	ck_assert_int_eq(send_some(&client, "lost", 4), -EPIPE);
	ck_assert_int_eq(recv_some(&client, buf, 4), -ECONNRESET);
	ck_assert_int_eq(attach(&server, WEIR_HANDLE_STREAM, false), 0);
	close_clean();
}
END_TEST

START_TEST(linger_zero_resets)
{
	int seconds = 0, error = 0;
	char buf[4];

	pair_open((struct weir_sim_config){ .seed = 8 });
	be->ops->control(be, &client, WEIR_CTL_LINGER, &seconds, sizeof(seconds));
	hang_up(&client);
	be->ops->control(be, &server, WEIR_CTL_ERROR, &error, sizeof(error));
	ck_assert_int_eq(error, ECONNRESET);
	ck_assert_int_eq(recv_some(&server, buf, 4), -ECONNRESET);
	ck_assert_int_eq(attach(&client, WEIR_HANDLE_STREAM, false), 0);
	close_clean();
}
END_TEST

START_TEST(a_lease_that_is_sent_is_kept_and_comes_back)
{
	struct weir_lease lease, again;
	struct weir_op op;
	struct weir_sim_report report;
	char buf[4];

	pair_open((struct weir_sim_config){ .seed = 12, .lease_blocks = 1 });
	ck_assert_int_eq(send_some(&client, "abcd", 4), 4);
	memset(&op, 0, sizeof(op));
	op.u.lease.lease = &lease;
	op_submit(&op, WEIR_OP_RECV_LEASE, &server);
	ck_assert_int_eq(run(&op), 4);
	memset(&op, 0, sizeof(op));
	op.u.lease.lease = &lease;
	op.flags = WEIR_OP_ALL;
	op_submit(&op, WEIR_OP_SEND_LEASE, &server);
	ck_assert_int_eq(run(&op), 4);
	/* The instance has it: its only buffer is not there yet for another receive. */
	ck_assert_ptr_null(lease.data);
	weir_sim_world_report(world, &report);
	ck_assert_uint_eq(report.leases, 1);
	ck_assert_int_eq(recv_some(&client, buf, 4), 4);
	ck_assert_mem_eq(buf, "abcd", 4);
	ck_assert_int_eq(send_some(&client, "ef", 2), 2);
	memset(&op, 0, sizeof(op));
	op.u.lease.lease = &again;
	op_submit(&op, WEIR_OP_RECV_LEASE, &server);
	ck_assert_int_eq(run(&op), 2);
	be->ops->lease_return(be, &again);
	report = pair_close();
	ck_assert_uint_eq(report.violations, 0);
}
END_TEST

START_TEST(an_empty_pool_makes_a_recv_lease_wait)
{
	struct weir_lease lease[2];
	struct weir_op op[2];
	struct weir_sim_report report;

	pair_open((struct weir_sim_config){ .seed = 9, .lease_blocks = 1 });
	memset(op, 0, sizeof(op));
	op[0].u.lease.lease = &lease[0];
	op[0].u.lease.max = 2;
	op[1].u.lease.lease = &lease[1];
	ck_assert_int_eq(send_some(&client, "abcd", 4), 4);
	op_submit(&op[0], WEIR_OP_RECV_LEASE, &server);
	op_submit(&op[1], WEIR_OP_RECV_LEASE, &server);
	ck_assert_int_eq(run(&op[0]), 2);
	poll_for(WEIR_SEC);
	ck_assert_int_eq(op[1].state, WEIR_OP_INFLIGHT);
	be->ops->lease_return(be, &lease[0]);
	ck_assert_int_eq(run(&op[1]), 2);
	ck_assert_mem_eq(lease[1].data, "cd", 2);
	be->ops->lease_return(be, &lease[1]);
	report = pair_close();
	ck_assert_uint_eq(report.violations, 0);
	ck_assert_uint_ge(report.lease_waits, 1);
}
END_TEST

START_TEST(a_failed_accept_leaves_the_connection)
{
	unsigned failed = 0;
	int rc;

	world_open((struct weir_sim_config){ .seed = 10,
					     .fail_permille = { [WEIR_OP_ACCEPT] = 900 } });
	listener_open();
	ck_assert_int_eq(dial(&client), 0);
	while ((rc = answer(&server)) < 0 && rc != -ECONNABORTED)
		failed++;
	ck_assert_uint_gt(failed, 0);
	if (rc < 0)
		ck_assert_int_eq(attach(&server, WEIR_HANDLE_STREAM, false), 0);
	ck_assert_uint_ge(pair_close().injected, failed);
}
END_TEST

START_TEST(addresses_in_use_and_refused)
{
	struct weir_handle other;

	pair_open((struct weir_sim_config){ .seed = 11 });
	ck_assert_int_eq(attach(&other, WEIR_HANDLE_LISTENER, true), -EADDRINUSE);
	listen_addr.sin_port = htons(1);
	ck_assert_int_eq(dial(&other), -ECONNREFUSED);
	hang_up(&other);
	close_clean();
}
END_TEST

START_TEST(a_full_backlog_makes_a_connect_wait)
{
	struct weir_handle second, third;
	struct weir_op op;

	world_open((struct weir_sim_config){ .seed = 12, .backlog = 1 });
	listener_open();
	ck_assert_int_eq(dial(&client), 0);
	ck_assert_int_eq(attach(&second, WEIR_HANDLE_STREAM, false), 0);
	memset(&op, 0, sizeof(op));
	op.u.connect.addr = (struct sockaddr *)&listen_addr;
	op.u.connect.len = sizeof(listen_addr);
	op_submit(&op, WEIR_OP_CONNECT, &second);
	poll_for(WEIR_SEC);
	ck_assert_int_eq(op.state, WEIR_OP_INFLIGHT);
	ck_assert_int_eq(answer(&server), 0);
	ck_assert_int_eq(run(&op), 0);
	ck_assert_int_eq(answer(&third), 0);
	hang_up(&second);
	hang_up(&third);
	close_clean();
}
END_TEST

START_TEST(try_answers_at_once)
{
	char buf[4];
	struct weir_handle spare;
	struct weir_op op = io_op(buf, sizeof(buf), WEIR_OP_TRY);

	pair_open((struct weir_sim_config){ .seed = 13 });
	op_submit(&op, WEIR_OP_RECV, &server);
	ck_assert_int_eq(op.state, WEIR_OP_DONE);
	ck_assert_int_eq(op.res, -EAGAIN);
	ck_assert_int_eq(send_some(&client, "abc", 3), 3);
	op_submit(&op, WEIR_OP_RECV, &server);
	ck_assert_int_eq(op.res, 3);
	/* An accept must not read the fields that only transfers use. */
	memset(&op.u, 0xff, sizeof(op.u));
	memset(&spare, 0, sizeof(spare));
	op.u.accept.handle = &spare;
	op_submit(&op, WEIR_OP_ACCEPT, &listener);
	ck_assert_int_eq(op.res, -EAGAIN);
	close_clean();
}
END_TEST

#if defined(__SANITIZE_ADDRESS__)
int __asan_address_is_poisoned(void const volatile *addr);

START_TEST(the_room_of_a_recv_is_poisoned)
{
	char *buf = malloc(64);
	struct weir_op op = io_op(buf, 64, 0);

	pair_open((struct weir_sim_config){ .seed = 17 });
	op_submit(&op, WEIR_OP_RECV, &server);
	ck_assert(__asan_address_is_poisoned(buf));
	ck_assert(__asan_address_is_poisoned(buf + 63));
	ck_assert_int_eq(send_some(&client, "abc", 3), 3);
	ck_assert_int_eq(run(&op), 3);
	ck_assert(!__asan_address_is_poisoned(buf));
	ck_assert(!__asan_address_is_poisoned(buf + 63));
	free(buf);
	close_clean();
}
END_TEST
#endif

/* The backend must detect a caller that changes its bytes while the operation is in flight. */
START_TEST(touching_an_op_in_flight_is_a_violation)
{
	char out[4] = "abc";
	struct weir_op op = io_op(out, 3, 0);

	pair_open((struct weir_sim_config){ .seed = 14 });
	op_submit(&op, WEIR_OP_SEND, &client);
	out[1] = 'X';
	run(&op);
	out[1] = 'b';
	ck_assert_uint_eq(pair_close().violations, 1);
}
END_TEST

START_TEST(a_lease_returned_twice_is_a_violation)
{
	struct weir_lease lease;
	struct weir_op op;

	pair_open((struct weir_sim_config){ .seed = 15 });
	ck_assert_int_eq(send_some(&client, "abcd", 4), 4);
	memset(&op, 0, sizeof(op));
	op.u.lease.lease = &lease;
	op_submit(&op, WEIR_OP_RECV_LEASE, &server);
	ck_assert_int_eq(run(&op), 4);
	be->ops->lease_return(be, &lease);
	be->ops->lease_return(be, &lease);
	ck_assert_uint_eq(pair_close().violations, 1);
}
END_TEST

static uint64_t hash_of(uint64_t seed)
{
	char buf[64];

	pair_open((struct weir_sim_config){ .seed = seed, .short_permille = 500 });
	for (unsigned i = 0; i < 20; i++) {
		send_some(&client, "some bytes to be sent", 21);
		recv_some(&server, buf, sizeof(buf));
	}
	return pair_close().hash;
}

START_TEST(the_same_seed_gives_the_same_run)
{
	ck_assert_uint_eq(hash_of(1), hash_of(1));
	ck_assert_uint_ne(hash_of(1), hash_of(2));
}
END_TEST

START_TEST(a_wake_ends_a_wait)
{
	world_open((struct weir_sim_config){ .seed = 16 });
	be->ops->wake(be);
	ck_assert_int_eq(be->ops->poll(be, WEIR_FOREVER, false), 0);
	world_close();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(bytes_then_end_of_stream),
		TESTING(a_recv_waits_for_its_bytes),
		TESTING(recvs_of_one_stream_stay_in_order, .rounds = 8),
		TESTING(a_full_buffer_stops_the_sender),
		TESTING(iovecs_scatter_and_gather),
		TESTING(a_cancel_of_a_waiting_op_wins),
		TESTING(a_cancel_race_goes_both_ways),
		TESTING(a_detach_cancels_and_waits, .rounds = 8),
		TESTING(closing_with_unread_bytes_resets),
		TESTING(the_first_send_after_a_close_vanishes),
		TESTING(linger_zero_resets),
		TESTING(a_lease_that_is_sent_is_kept_and_comes_back),
		TESTING(an_empty_pool_makes_a_recv_lease_wait),
		TESTING(a_failed_accept_leaves_the_connection),
		TESTING(addresses_in_use_and_refused),
		TESTING(a_full_backlog_makes_a_connect_wait),
		TESTING(try_answers_at_once),
#if defined(__SANITIZE_ADDRESS__)
		TESTING(the_room_of_a_recv_is_poisoned),
#endif
		TESTING(touching_an_op_in_flight_is_a_violation),
		TESTING(a_lease_returned_twice_is_a_violation),
		TESTING(the_same_seed_gives_the_same_run),
		TESTING(a_wake_ends_a_wait),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}

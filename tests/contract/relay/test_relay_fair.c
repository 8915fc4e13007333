/*
 * A greedy session beside nine modest ones through one relay, plain and with TLS: to a node whose
 * leg is read slowly, by one real socket for all of them, and back to clients. Counted in bytes
 * that come out: shares, losses, what comes out before a datagram that was sent earlier, and
 * control messages before data.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
	CLIENTS = 10,
	GREEDY = 5, /* neither the first nor the last that came */
	LATE = CLIENTS,
	BATCH = 16, /* datagrams that it sends for one of another's */
	DATAGRAM = 1008,
	ROUND_BYTES = CLIENTS * DATAGRAM * 21 / 20, /* taken: modest ones stay below a share */
	WARM_ROUNDS = 100,			    /* the leg's window is learnt */
	ROUNDS = 1000,
	AHEAD_BYTES = 512 * 1024,    /* at most: sockets, what is committed, some rounds */
	BACKLOG_BYTES = 1024 * 1024, /* what is queued meanwhile, at least */
	SOCKET_BYTES = 32 * 1024,    /* of the slow leg */
	BITE_BYTES = 2 * 1024,
};

#define SETTINGS "queue_bytes = 2MiB\nqueue_age = 10s\ndrain = 60s"

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";

static struct relay_fixture relay;

static struct {
	struct raw_leg *node, *clients[CLIENTS];
	uint32_t channels[CLIENTS];
	uint64_t taken;			    /* bytes of data that came out at the slow leg */
	uint64_t taken_at[CLIENTS][ROUNDS]; /* taken, when a round's datagram was sent */
	uint64_t bytes[CLIENTS];	    /* that came out, of each */
	unsigned next[CLIENTS];		    /* rounds that came out */
	uint64_t ahead;			    /* the most that came out between */
} scene;

static void
name_session(uint8_t session[UUID_BYTES], unsigned i)
{
	memcpy(session, "session-0000000?", UUID_BYTES);
	session[15] = (uint8_t)i;
}

static void
make_slow(struct raw_leg *leg)
{
	int small = SOCKET_BYTES;

	leg->bite = BITE_BYTES;
	assert_int_equal(setsockopt(leg->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
}

static void
open_scene(bool has_tls)
{
	uint8_t session[UUID_BYTES];

	memset(&scene, 0, sizeof(scene));
	relay_fixture_start(&relay, has_tls, SETTINGS);
	scene.node = raw_leg_open(&relay, node_id, NULL);
	for (unsigned i = 0; i < CLIENTS; i++) {
		name_session(session, i);
		scene.clients[i] = raw_leg_open(&relay, node_id, session);
		scene.channels[i] = leg_talk_channel(scene.node, session);
	}
}

static void
close_scene(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		raw_leg_close(&scene.clients[i]);
	raw_leg_close(&scene.node);
	relay_fixture_stop(&relay);
}

static unsigned
batch_of(unsigned client)
{
	return client == GREEDY ? BATCH : 1;
}

/* The round is in the first datagram, behind WireGuard's receiver, counter and some more. */
enum { STAMP_AT = LEG_DATAGRAM_HEADER_BYTES + 20 };

static void
send_round(struct raw_leg *from, uint32_t channel, unsigned client, uint32_t round)
{
	static uint8_t message[BATCH * (LEG_DATAGRAM_HEADER_BYTES + DATAGRAM) + 16];
	size_t n = leg_talk_message(message, channel, batch_of(client), DATAGRAM);
	size_t header = channel != 0 ? LEG_DATA_HEADER_NODE_BYTES : LEG_DATA_HEADER_CLIENT_BYTES;

	memcpy(message + header + STAMP_AT, &round, sizeof(round));
	assert_true(raw_leg_send(from, 0x82, message, n));
}

static void
note(unsigned client, const uint8_t *batch, size_t n)
{
	uint32_t round;

	memcpy(&round, batch + STAMP_AT, sizeof(round));
	assert_in_range(round, scene.next[client], ROUNDS - 1);
	if (client != GREEDY) {
		uint64_t ahead = scene.taken - scene.taken_at[client][round];

		assert_int_equal(round, scene.next[client]); /* none is lost */
		if (round >= WARM_ROUNDS && ahead > scene.ahead)
			scene.ahead = ahead;
	}
	scene.next[client] = round + 1;
	scene.bytes[client] += n;
	scene.taken += n;
}

/* ---- to the node ---- */

static unsigned
client_of(uint32_t channel)
{
	unsigned i = 0;

	while (i < CLIENTS && scene.channels[i] != channel)
		i++;
	assert_in_range(i, 0, CLIENTS - 1);
	return i;
}

/* One message at the node. False: it was a control message. */
static bool
take_at_node(void)
{
	struct raw_frame frame;

	assert_true(raw_leg_receive(scene.node, &frame));
	if (frame.payload[0] == LEG_KIND_CONTROL)
		return false;
	const uint8_t *number = frame.payload + 1;
	uint32_t channel = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 |
			   (uint32_t)number[2] << 8 | number[3];
	note(client_of(channel), frame.payload + LEG_DATA_HEADER_NODE_BYTES,
	     frame.n - LEG_DATA_HEADER_NODE_BYTES);
	return true;
}

/* Jain's index of what came of each: 1 is all the same, 1 / CLIENTS is one has all. */
static double
jain(void)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		sum += (double)scene.bytes[i];
		squares += (double)scene.bytes[i] * (double)scene.bytes[i];
	}
	return sum * sum / (CLIENTS * squares);
}

static bool
has_all_of_the_modest(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (i != GREEDY && scene.next[i] < ROUNDS)
			return false;
	return true;
}

/* The greedy one learns that it sends too much, the others have nothing to learn. */
static void
expect_only_the_greedy_one_is_told(void)
{
	Boson__Link__Control *control = leg_talk_control(scene.clients[GREEDY]);

	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_LIMITED);
	assert_int_equal(control->limited->reason, BOSON__LINK__LIMITED__REASON__QUEUE);
	boson__link__control__free_unpacked(control, NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_true(i == GREEDY || raw_leg_is_quiet(scene.clients[i], 1));
}

/* A client more: the node hears of it before what waits. */
static void
expect_control_overtakes_data_at_the_node(void)
{
	uint8_t session[UUID_BYTES];

	name_session(session, LATE);
	struct raw_leg *late = raw_leg_open(&relay, node_id, session);
	uint64_t before = scene.taken;
	while (take_at_node())
		assert_in_range(scene.taken - before, 0, AHEAD_BYTES);
	raw_leg_close(&late);
}

static void
a_greedy_client_beside_nine(bool has_tls)
{
	open_scene(has_tls);
	make_slow(scene.node);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round == WARM_ROUNDS)
			memset(scene.bytes, 0, sizeof(scene.bytes));
		for (unsigned i = 0; i < CLIENTS; i++) {
			scene.taken_at[i][round] = scene.taken;
			send_round(scene.clients[i], 0, i, round);
		}
		relay_fixture_await(&relay, "messages_total{to=\"node\"}", CLIENTS * (round + 1));
		while (scene.taken < (uint64_t)ROUND_BYTES * (round + 1))
			assert_true(take_at_node());
	}
	double index = jain();
	assert_true(index >= 0.95);
	assert_true(relay_fixture_counter(&relay, "queued_bytes") > BACKLOG_BYTES);
	assert_in_range(scene.ahead, 1, AHEAD_BYTES);
	expect_control_overtakes_data_at_the_node();
	while (!has_all_of_the_modest())
		take_at_node();
	assert_true(relay_fixture_counter(&relay, "drops_total{reason=\"queue_full\"}") > ROUNDS);
	expect_only_the_greedy_one_is_told();
	close_scene();
}

static void
test_a_greedy_client_takes_nothing_from_nine_modest_ones_of_its_node(void **state)
{
	(void)state;
	a_greedy_client_beside_nine(false);
}

static void
test_nor_does_one_with_tls(void **state)
{
	(void)state;
	a_greedy_client_beside_nine(true);
}

/* ---- to clients ---- */

static bool
take_at_client(unsigned client)
{
	struct raw_frame frame;

	assert_true(raw_leg_receive(scene.clients[client], &frame));
	if (frame.payload[0] == LEG_KIND_CONTROL)
		return false;
	note(client, frame.payload + LEG_DATA_HEADER_CLIENT_BYTES,
	     frame.n - LEG_DATA_HEADER_CLIENT_BYTES);
	return true;
}

/* All legs are told to go elsewhere, in the order in which they came or the other way round: when
 * the first and the last were, the greedy one is, too. */
static void
expect_control_overtakes_data_at_the_client(void)
{
	relay_fixture_drain(&relay);
	assert_false(take_at_client(0));
	assert_false(take_at_client(CLIENTS - 1));
	uint64_t before = scene.taken;
	while (take_at_client(GREEDY))
		assert_in_range(scene.taken - before, 0, AHEAD_BYTES);
}

/* The greedy one's own leg is the slow one. What the others are sent comes out while it waits. */
static void
a_greedy_download_beside_nine(bool has_tls)
{
	open_scene(has_tls);
	make_slow(scene.clients[GREEDY]);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < CLIENTS; i++)
			send_round(scene.node, scene.channels[i], i, round);
		for (unsigned i = 0; i < CLIENTS; i++)
			if (i != GREEDY)
				assert_true(take_at_client(i));
		if (round % 4 == 0)
			assert_true(take_at_client(GREEDY));
	}
	assert_true(has_all_of_the_modest());
	assert_true(relay_fixture_counter(&relay, "queued_bytes") > BACKLOG_BYTES);
	expect_control_overtakes_data_at_the_client();
	close_scene();
}

static void
test_a_greedy_download_takes_nothing_from_nine_modest_ones(void **state)
{
	(void)state;
	a_greedy_download_beside_nine(false);
}

static void
test_nor_does_a_download_with_tls(void **state)
{
	(void)state;
	a_greedy_download_beside_nine(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_greedy_client_takes_nothing_from_nine_modest_ones_of_its_node),
		cmocka_unit_test(test_nor_does_one_with_tls),
		cmocka_unit_test(test_a_greedy_download_takes_nothing_from_nine_modest_ones),
		cmocka_unit_test(test_nor_does_a_download_with_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

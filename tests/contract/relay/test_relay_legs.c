/*
 * Legs come, go, are replaced and stall; nodes are away for a while. One shard and two: a node and
 * its clients meet on the node's shard wherever they were accepted.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay/relay_control.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_a[UUID_BYTES] = "session-0000000a";
static const uint8_t session_b[UUID_BYTES] = "session-0000000b";

static struct relay_fixture relay;

/* hasty: for what waits until one of these is over. patient: for all else, so that nothing is lost
 * and nobody closed when this process stands still. A drain is waited for, too, but first there is
 * something to be done in it. */
static char hasty[] = "grace = 1500ms\nstall = 600ms";
static char patient[] = "grace = 30s\nstall = 30s\nqueue_age = 10s\nqueue_bytes = 4MiB\ndrain = 3s";

/* *state: hasty or patient. */
static int
set_up(void **state, bool has_tls, unsigned shards)
{
	char settings[256];

	snprintf(settings, sizeof(settings), "shards = %u\n%s", shards, (const char *)*state);
	*state = &relay;
	relay_fixture_start(&relay, has_tls, settings);
	return 0;
}

static int
set_up_one(void **state)
{
	return set_up(state, false, 1);
}

static int
set_up_two(void **state)
{
	return set_up(state, false, 2);
}

static int
set_up_two_tls(void **state)
{
	return set_up(state, true, 2);
}

/* Many nodes, each with two clients, all talking: no two mix, wherever each was accepted. */
static void
test_nodes_and_clients_meet_on_their_shard(void **state)
{
	enum { NODES = 12 };
	struct raw_leg *nodes[NODES], *clients[NODES][2];
	uint32_t channels[NODES][2];
	uint8_t node[UUID_BYTES] = "node-id-000000??", session[UUID_BYTES] = "session-000000??";

	(void)state;
	for (uint8_t i = 0; i < NODES; i++) {
		node[15] = i;
		nodes[i] = raw_leg_open(&relay, node, NULL);
		for (uint8_t j = 0; j < 2; j++) {
			session[14] = i;
			session[15] = j;
			clients[i][j] = raw_leg_open(&relay, node, session);
			channels[i][j] = leg_talk_channel(nodes[i], session);
		}
		assert_int_not_equal(channels[i][0], channels[i][1]);
	}
	for (int round = 0; round < 5; round++)
		for (unsigned i = 0; i < NODES; i++)
			for (unsigned j = 0; j < 2; j++)
				leg_talk_exchange(nodes[i], clients[i][j], channels[i][j]);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"node\"}"), NODES);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"client\"}"), 2 * NODES);
	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned j = 0; j < 2; j++)
			raw_leg_close(&clients[i][j]);
		raw_leg_close(&nodes[i]);
	}
}

/* A door has no nodes: each connection moves once, from there to its node's shard, and never again.
 */
static void
test_each_connection_moves_once_to_the_shard_of_its_node(void **state)
{
	enum { LEGS = 64 };
	const struct relay_control *control = relay.state;
	uint64_t expected[2] = { 0, 0 };

	(void)state;
	for (uint8_t i = 0; i < LEGS; i++) {
		uint8_t node[UUID_BYTES] = "node-id-000000??";

		node[15] = i;
		expected[relay_shard_of(node, 2)]++;
		struct raw_leg *leg = raw_leg_open(&relay, node, NULL);
		assert_true(raw_leg_send(leg, 0x8a, (const uint8_t *)"", 0));
		raw_leg_close(&leg);
	}
	relay_fixture_await(&relay, "legs_attached_total", LEGS);
	assert_int_equal(relay_fixture_counter(&relay, "moved_total"), LEGS);
	assert_true(expected[0] > 0 && expected[1] > 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(relay_counter_get(&control->shards[i]->counters, RELAY_ATTACHED),
				 expected[i]);
}

static void
test_the_newest_leg_of_a_node_wins_and_takes_its_channels_up(void **state)
{
	struct raw_leg *older = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_a);
	uint32_t channel = leg_talk_channel(older, session_a);
	struct raw_leg *newer = raw_leg_open(&relay, node_id, NULL);

	(void)state;
	uint32_t again = leg_talk_channel(newer, session_a);
	assert_int_not_equal(again, channel);
	assert_int_equal(raw_leg_close_code(older), 4009);
	leg_talk_exchange(newer, client, again);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"node\"}"), 1);
	raw_leg_close(&older);
	/* The older's end must not have taken the newer's place away. */
	leg_talk_exchange(newer, client, again);
	raw_leg_close(&client);
	leg_talk_expect_close(newer, again);
	raw_leg_close(&newer);
}

static void
test_a_client_that_leaves_is_told_to_the_node(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *a = raw_leg_open(&relay, node_id, session_a);
	uint32_t channel_a = leg_talk_channel(node, session_a);
	struct raw_leg *b = raw_leg_open(&relay, node_id, session_b);
	uint32_t channel_b = leg_talk_channel(node, session_b);

	(void)state;
	raw_leg_close(&a);
	leg_talk_expect_close(node, channel_a);
	leg_talk_exchange(node, b, channel_b);
	/* Its number does not come back soon. */
	for (int i = 0; i < 20; i++) {
		a = raw_leg_open(&relay, node_id, session_a);
		uint32_t channel = leg_talk_channel(node, session_a);
		assert_int_not_equal(channel, channel_a);
		assert_int_not_equal(channel, channel_b);
		raw_leg_close(&a);
		leg_talk_expect_close(node, channel);
	}
	raw_leg_close(&b);
	raw_leg_close(&node);
}

static void
test_a_node_may_close_a_channel(void **state)
{
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_a);

	(void)state;
	close.has_channel = 1;
	close.channel = leg_talk_channel(node, session_a);
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	leg_talk_send_control(node, &control);
	assert_int_equal(raw_leg_close_code(client), 4404);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* What a client sends meanwhile is dropped and counted; with the node's next leg it goes on. */
static void
test_client_legs_stay_while_their_node_is_away(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_a);
	uint8_t message[256];

	(void)state;
	leg_talk_exchange(node, client, leg_talk_channel(node, session_a));
	raw_leg_close(&node);
	size_t n = leg_talk_message(message, 0, 2, 64);
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	uint64_t sent = 1; /* by leg_talk_exchange */
	for (; relay_fixture_counter(&relay, "drops_total{reason=\"no_node\"}") == 0; sent++) {
		assert_true(clock_monotonic_ms() < end_ms);
		assert_true(raw_leg_send(client, 0x82, message, n));
	}
	/* All of them must have been judged before the node comes back. */
	while (relay_fixture_counter(&relay, "drops_total{reason=\"no_node\"}") / 2 +
		       relay_fixture_counter(&relay, "messages_total{to=\"node\"}") <
	       sent)
		assert_true(clock_monotonic_ms() < end_ms);
	/* One that comes while the node is away waits likewise. */
	struct raw_leg *late = raw_leg_open(&relay, node_id, session_b);
	node = raw_leg_open(&relay, node_id, NULL);
	uint32_t channel = leg_talk_channel(node, session_a);
	uint32_t late_channel = leg_talk_channel(node, session_b);
	leg_talk_exchange(node, client, channel);
	leg_talk_exchange(node, late, late_channel);
	raw_leg_close(&late);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

static void
test_client_legs_go_when_the_grace_is_over(void **state)
{
	int64_t start_ms = clock_monotonic_ms();
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_a);

	(void)state;
	assert_int_equal(raw_leg_close_code(client), 1013);
	assert_true(clock_monotonic_ms() - start_ms >= 1200);
	raw_leg_close(&client);
}

/* What the node hears of the slow one: that too much is sent, and its end. */
struct slow_one {
	uint32_t channel;
	unsigned warnings;
	uint64_t dropped;
	bool is_closed;
};

static void
note_control(const Boson__Link__Control *control, void *arg)
{
	struct slow_one *slow = arg;

	if (control->body_case == BOSON__LINK__CONTROL__BODY_LIMITED) {
		assert_int_equal(control->limited->channel, slow->channel);
		assert_int_equal(control->limited->reason, BOSON__LINK__LIMITED__REASON__QUEUE);
		slow->warnings++;
		slow->dropped += control->limited->dropped;
	} else {
		assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
		assert_int_equal(control->channel_close->channel, slow->channel);
		slow->is_closed = true;
	}
}

/* W49, T13: the slow one loses its oldest, then its leg; its neighbour on the same node does not
 * notice, and the node's leg is never held up. The row asks for queues of 64 packets: they are
 * bounded in bytes and age instead (256 KiB, some 200 full packets, and 80 ms), because a bundle of
 * a fast path is longer than 64 packets, and a queue of small ones shorter than it seems. */
static void
test_w49_a_reader_that_stops_harms_only_itself(void **state)
{
	static uint8_t message[16 * 1024];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *slow = raw_leg_open(&relay, node_id, session_a);
	struct slow_one heard = { .channel = leg_talk_channel(node, session_a) };
	struct raw_leg *fast = raw_leg_open(&relay, node_id, session_b);
	uint32_t fast_channel = leg_talk_channel(node, session_b);
	int small = 4096;

	(void)state;
	setsockopt(slow->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	int64_t end_ms = clock_monotonic_ms() + 20 * 1000;
	while (!heard.is_closed) {
		assert_true(clock_monotonic_ms() < end_ms);
		for (int i = 0; i < 100; i++) {
			size_t n = leg_talk_message(message, heard.channel, 10, 1296);
			assert_true(raw_leg_send(node, 0x82, message, n));
		}
		leg_talk_exchange_hearing(node, fast, fast_channel, note_control, &heard);
		/* Never more than a queue, what is committed, and a frame. */
		assert_in_range(relay_fixture_counter(&relay, "queued_bytes"), 0,
				(256 + 64 + 64 + 64) * 1024);
	}
	uint64_t dropped = relay_fixture_counter(&relay, "drops_total{reason=\"queue_full\"}");
	assert_true(dropped > 0 && heard.dropped > 0 && heard.dropped <= dropped);
	assert_in_range(heard.warnings, 1, 20); /* one a second */
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"stalled\"}"), 1);
	leg_talk_exchange(node, fast, fast_channel);
	assert_int_equal(relay_fixture_counter(&relay, "queued_bytes"), 0);
	raw_leg_close(&slow);
	raw_leg_close(&fast);
	raw_leg_close(&node);
}

/* W65: a client over its session's rate is read more slowly, not closed, and loses nothing. */
static void
test_w65_a_client_over_its_rate_is_paced(void **state)
{
	enum { RATE_KBYTES = 800, MESSAGES = 80, BATCH_BYTES = 10 * 1298 };
	static uint8_t messages[MESSAGES][1 + BATCH_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_connect(&relay);
	struct raw_frame frame;

	(void)state;
	relay_fixture_ticket(&relay, node_id, session_a, 3600 * 1000, RATE_KBYTES, ticket);
	raw_leg_request(request, sizeof(request), session_a, ticket);
	assert_true(raw_leg_write(client, request, strlen(request)));
	assert_int_equal(raw_leg_status(client, NULL, 0), 101);
	leg_talk_channel(node, session_a);
	int64_t start_ms = clock_monotonic_ms();
	for (unsigned i = 0; i < MESSAGES; i++) {
		size_t n = leg_talk_message(messages[i], 0, 10, 1296);
		assert_int_equal(n, sizeof(messages[i]));
		assert_true(raw_leg_send(client, 0x82, messages[i], n));
	}
	for (unsigned i = 0; i < MESSAGES; i++) {
		assert_true(raw_leg_receive(node, &frame));
		assert_memory_equal(frame.payload + 5, messages[i] + 1, BATCH_BYTES);
	}
	/* It is told why it waits, and that nothing is lost. */
	Boson__Link__Control *control = leg_talk_control(client);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_LIMITED);
	assert_int_equal(control->limited->reason, BOSON__LINK__LIMITED__REASON__RATE);
	assert_true(control->limited->retry_in_ms > 0);
	assert_int_equal(control->limited->dropped, 0);
	boson__link__control__free_unpacked(control, NULL);
	/* A megabyte at 800 kB/s, less the burst and what one read may run ahead. */
	assert_true(clock_monotonic_ms() - start_ms > 400);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

static void
test_drain_tells_every_leg_goes_on_forwarding_and_closes_1012(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_a);
	uint32_t channel = leg_talk_channel(node, session_a);

	(void)state;
	relay_fixture_drain(&relay);
	for (int i = 0; i < 2; i++) {
		Boson__Link__Control *control = leg_talk_control(i == 0 ? node : client);

		assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_DRAIN);
		assert_true(control->drain->has_reconnect_in_ms);
		assert_true(control->drain->try_for_ms > 0);
		boson__link__control__free_unpacked(control, NULL);
	}
	leg_talk_exchange(node, client, channel);
	assert_int_equal(raw_leg_close_code(client), 1012);
	assert_int_equal(raw_leg_close_code(node), 1012);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* A ticket's end is its leg's, however lively that is; who comes with a new one in time stays. */
static void
test_a_leg_is_closed_when_its_ticket_expires(void **state)
{
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_connect(&relay);

	(void)state;
	relay_fixture_ticket(&relay, node_id, session_a, 4000, 0, ticket);
	raw_leg_request(request, sizeof(request), session_a, ticket);
	assert_true(raw_leg_write(client, request, strlen(request)));
	assert_int_equal(raw_leg_status(client, NULL, 0), 101);
	uint32_t channel = leg_talk_channel(node, session_a);
	leg_talk_exchange(node, client, channel);
	assert_int_equal(raw_leg_close_code(client), 1008);
	leg_talk_expect_close(node, channel);
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"expired\"}"), 1);
	/* A new ticket of the same session is as good as the first was. */
	struct raw_leg *again = raw_leg_open(&relay, node_id, session_a);
	leg_talk_exchange(node, again, leg_talk_channel(node, session_a));
	raw_leg_close(&again);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* T14: nothing that a leg can say names a destination: a client's bytes come out at its own node
 * and nowhere else, a node's at its own channels, whatever numbers they put where. */
static void
test_t14_no_leg_reaches_beyond_its_session(void **state)
{
	static const uint8_t other_node[UUID_BYTES] = "node-id-00000002";
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *other = raw_leg_open(&relay, other_node, NULL);
	struct raw_leg *a = raw_leg_open(&relay, node_id, session_a);
	struct raw_leg *b = raw_leg_open(&relay, other_node, session_b);
	uint32_t channel_a = leg_talk_channel(node, session_a);
	uint32_t channel_b = leg_talk_channel(other, session_b);
	uint8_t message[128];

	(void)state;
	/* The node tries the channel of another node, and those around its own. */
	for (uint32_t number = channel_a - 2; number <= channel_a + 2; number++)
		if (number != channel_a && number != 0)
			raw_leg_send(node, 0x82, message, leg_talk_message(message, number, 1, 64));
	if (channel_b != channel_a)
		raw_leg_send(node, 0x82, message, leg_talk_message(message, channel_b, 1, 64));
	leg_talk_exchange(node, a, channel_a);
	leg_talk_exchange(other, b, channel_b);
	assert_true(relay_fixture_counter(&relay, "drops_total{reason=\"no_channel\"}") >= 3);
	raw_leg_close(&a);
	raw_leg_close(&b);
	raw_leg_close(&node);
	raw_leg_close(&other);
}

#define EACH(test, settings)                                                                    \
	{ #test " (one shard)", test, set_up_one, relay_fixture_tear_down, settings },          \
		{ #test " (two shards)", test, set_up_two, relay_fixture_tear_down, settings }, \
	{                                                                                       \
#test " (two shards, TLS)", test, set_up_two_tls, relay_fixture_tear_down,      \
			settings                                                                \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_nodes_and_clients_meet_on_their_shard, patient),
		{ "test_each_connection_moves_once_to_the_shard_of_its_node",
		  test_each_connection_moves_once_to_the_shard_of_its_node, set_up_two_tls,
		  relay_fixture_tear_down, patient },
		EACH(test_the_newest_leg_of_a_node_wins_and_takes_its_channels_up, patient),
		EACH(test_a_client_that_leaves_is_told_to_the_node, patient),
		EACH(test_a_node_may_close_a_channel, patient),
		EACH(test_client_legs_stay_while_their_node_is_away, patient),
		EACH(test_client_legs_go_when_the_grace_is_over, hasty),
		EACH(test_w49_a_reader_that_stops_harms_only_itself, hasty),
		EACH(test_w65_a_client_over_its_rate_is_paced, patient),
		EACH(test_a_leg_is_closed_when_its_ticket_expires, patient),
		EACH(test_t14_no_leg_reaches_beyond_its_session, patient),
		EACH(test_drain_tells_every_leg_goes_on_forwarding_and_closes_1012, patient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

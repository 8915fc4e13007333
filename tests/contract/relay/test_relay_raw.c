/*
 * Raw client legs: a WebSocket without subprotocol, one message is one datagram, as generic bridges
 * between WebSocket and UDP speak. The node does not know the difference.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static struct relay_fixture relay;
static struct raw_leg *node, *client;
static uint32_t channel;

/* The status that a request without subprotocol gets. */
static int
ask_without_protocol(struct raw_leg *leg, const uint8_t *session)
{
	static const char protocol[] = "Sec-WebSocket-Protocol: higgs.v1\r\n";
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024], head[512] = "";

	relay_fixture_ticket(&relay, node_id, session, 3600 * 1000, 0, ticket);
	raw_leg_request(request, sizeof(request), session != NULL ? session : node_id, ticket);
	char *at = strstr(request, protocol);
	assert_non_null(at);
	memmove(at, at + sizeof(protocol) - 1, strlen(at + sizeof(protocol) - 1) + 1);
	assert_true(raw_leg_write(leg, request, strlen(request)));
	int status = raw_leg_status(leg, head, sizeof(head));
	assert_null(strstr(head, "Sec-WebSocket-Protocol"));
	return status;
}

static int
set_up(void **state)
{
	(void)state;
	relay_fixture_start(&relay, false, "queue_bytes = 1MiB\nqueue_age = 10s\ndrain = 200ms");
	node = raw_leg_open(&relay, node_id, NULL);
	client = raw_leg_connect(&relay);
	assert_int_equal(ask_without_protocol(client, session_id), 101);
	channel = leg_talk_channel(node, session_id);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	raw_leg_close(&client);
	raw_leg_close(&node);
	relay_fixture_stop(&relay);
	return 0;
}

static void
test_datagrams_of_every_size_pass_both_ways(void **state)
{
	static uint8_t message[64 * 1024];
	struct raw_frame frame;

	(void)state;
	for (size_t n = 32; n <= 2048; n += 16) {
		leg_talk_datagram(message, n);
		assert_true(raw_leg_send(client, 0x82, message, n));
		assert_true(raw_leg_receive(node, &frame));
		assert_int_equal(frame.n, LEG_DATA_HEADER_NODE_BYTES + 2 + n);
		assert_int_equal(frame.payload[0], LEG_KIND_DATA);
		assert_int_equal((size_t)frame.payload[5] << 8 | frame.payload[6], n);
		assert_memory_equal(frame.payload + 7, message, n);
		size_t whole = leg_talk_message(message, channel, 1, n);
		assert_true(raw_leg_send(node, 0x82, message, whole));
		assert_true(raw_leg_receive(client, &frame));
		assert_int_equal(frame.n, n);
		assert_memory_equal(frame.payload, message + 7, n);
	}
	leg_talk_datagram(message, 65520);
	assert_true(raw_leg_send_split(client, 0x82, message, 65520, 4000));
	assert_true(raw_leg_receive(node, &frame));
	assert_memory_equal(frame.payload + 7, message, 65520);
}

/* In one write: what lies before and behind a message that grows in its place is not harmed. */
static void
test_a_burst_of_small_datagrams_keeps_its_order(void **state)
{
	enum { COUNT = 200, SIZE = 112 };
	static uint8_t sent[COUNT][SIZE], bytes[COUNT * (SIZE + RAW_FRAME_HEADER_BYTES)];
	struct raw_frame frame;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		leg_talk_datagram(sent[i], SIZE);
		n += raw_leg_frame(bytes + n, 0x82, sent[i], SIZE);
	}
	assert_true(raw_leg_write(client, bytes, n));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(raw_leg_receive(node, &frame));
		assert_int_equal(frame.n, 7 + SIZE);
		assert_memory_equal(frame.payload + 7, sent[i], SIZE);
	}
}

static void
test_a_batch_leaves_as_one_message_for_each_datagram(void **state)
{
	static uint8_t message[64 * 1024];
	struct raw_frame frame;

	(void)state;
	for (unsigned count = 1; count <= 64; count += 7) {
		size_t size = 32 + 16 * (count / 2),
		       n = leg_talk_message(message, channel, count, size);

		/* One in the middle has no shape. */
		if (count > 1)
			message[7 + (count / 2) * (size + 2)] = 9;
		assert_true(raw_leg_send(node, 0x82, message, n));
		for (unsigned i = 0; i < count; i++) {
			if (count > 1 && i == count / 2)
				continue;
			assert_true(raw_leg_receive(client, &frame));
			assert_int_equal(frame.n, size);
			assert_memory_equal(frame.payload, message + 7 + i * (size + 2), size);
		}
	}
	relay_fixture_await(&relay, "drops_total{reason=\"type\"}", 9);
}

/* By way of the session's channel, whatever form its leg has. */
static void
test_a_packet_that_came_by_rest_passes_both_ways(void **state)
{
	uint8_t packet[96];
	struct raw_frame frame;

	(void)state;
	leg_talk_datagram(packet, sizeof(packet));
	assert_int_equal(
		relay_fixture_carry(&relay, node_id, session_id, true, packet, sizeof(packet)),
		BUS_OK);
	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(frame.n, LEG_DATA_HEADER_NODE_BYTES + 2 + sizeof(packet));
	assert_memory_equal(frame.payload + LEG_DATA_HEADER_NODE_BYTES + 2, packet, sizeof(packet));
	assert_int_equal(
		relay_fixture_carry(&relay, node_id, session_id, false, packet, sizeof(packet)),
		BUS_OK);
	assert_true(raw_leg_receive(client, &frame));
	assert_int_equal(frame.n, sizeof(packet));
	assert_memory_equal(frame.payload, packet, sizeof(packet));
}

/* W57, W59: a message that is no datagram is dropped, not the leg; W63: there is no control. */
static void
test_w57_what_has_no_shape_is_dropped_and_counted(void **state)
{
	uint8_t message[128] = { 2, 8, 1 };
	struct raw_frame frame;

	(void)state;
	assert_true(raw_leg_send(client, 0x82, message, 3));
	leg_talk_datagram(message, 64);
	message[0] = 9;
	assert_true(raw_leg_send(client, 0x82, message, 64));
	leg_talk_datagram(message, 64);
	assert_true(raw_leg_send(client, 0x82, message, 63));
	assert_true(raw_leg_send(client, 0x82, message, 64));
	assert_true(raw_leg_receive(node, &frame));
	assert_memory_equal(frame.payload + 7, message, 64);
	assert_int_equal(relay_fixture_counter(&relay, "drops_total{reason=\"short\"}"), 1);
	assert_int_equal(relay_fixture_counter(&relay, "drops_total{reason=\"type\"}"), 1);
	assert_int_equal(relay_fixture_counter(&relay, "drops_total{reason=\"length\"}"), 1);
}

/* P19: what a message holds is told by the subprotocol, never guessed from its bytes: a handshake
 * initiation begins with 1, as a data message does, and one whose bytes are those of a batch is
 * still one datagram. */
static void
test_p19_framing_is_not_guessed_from_bytes(void **state)
{
	enum { INITIATION_BYTES = 148 };
	static const uint8_t other_session[UUID_BYTES] = "session-00000002";
	uint8_t message[1 + 2 + INITIATION_BYTES] = { 1, 0, INITIATION_BYTES, 1, 0, 0, 0 };
	uint8_t *datagram = message + 3;
	struct raw_frame frame;

	(void)state;
	/* From a raw client: with a length of its own that would fit. */
	datagram[4] = 0;
	datagram[5] = INITIATION_BYTES - 6;
	assert_true(raw_leg_send(client, 0x82, datagram, INITIATION_BYTES));
	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(frame.n, 7 + INITIATION_BYTES);
	assert_memory_equal(frame.payload + 7, datagram, INITIATION_BYTES);
	/* From another that speaks higgs.v1: a batch of one. */
	struct raw_leg *other = raw_leg_open(&relay, node_id, other_session);
	leg_talk_channel(node, other_session);
	assert_true(raw_leg_send(other, 0x82, message, sizeof(message)));
	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(frame.n, sizeof(message) + 4);
	assert_memory_equal(frame.payload + 5, message + 1, sizeof(message) - 1);
	/* Without the batch around it, it is malformed there. */
	assert_true(raw_leg_send(other, 0x82, datagram, INITIATION_BYTES));
	assert_int_equal(raw_leg_close_code(other), 4400);
	raw_leg_close(&other);
}

static void
test_an_empty_message_gets_4400(void **state)
{
	(void)state;
	assert_true(raw_leg_send(client, 0x82, NULL, 0));
	assert_int_equal(raw_leg_close_code(client), 4400);
}

static void
test_a_raw_message_that_a_node_could_not_take_gets_1009(void **state)
{
	static uint8_t message[65530];

	(void)state;
	leg_talk_datagram(message, sizeof(message));
	raw_leg_send(client, 0x82, message, sizeof(message));
	assert_int_equal(raw_leg_close_code(client), 1009);
}

static void
test_a_raw_leg_is_closed_in_a_drain_without_a_control_message(void **state)
{
	struct raw_frame frame;

	(void)state;
	relay_fixture_drain(&relay);
	assert_true(raw_leg_receive(client, &frame));
	assert_int_equal(frame.first, 0x88);
	assert_int_equal((unsigned)frame.payload[0] << 8 | frame.payload[1], 1012);
}

static void
test_w15_a_node_leg_without_subprotocol_gets_400(void **state)
{
	struct raw_leg *leg = raw_leg_connect(&relay);

	(void)state;
	assert_int_equal(ask_without_protocol(leg, NULL), 400);
	raw_leg_close(&leg);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_datagrams_of_every_size_pass_both_ways),
		EACH(test_a_burst_of_small_datagrams_keeps_its_order),
		EACH(test_a_batch_leaves_as_one_message_for_each_datagram),
		EACH(test_a_packet_that_came_by_rest_passes_both_ways),
		EACH(test_w57_what_has_no_shape_is_dropped_and_counted),
		EACH(test_p19_framing_is_not_guessed_from_bytes),
		EACH(test_an_empty_message_gets_4400),
		EACH(test_a_raw_message_that_a_node_could_not_take_gets_1009),
		EACH(test_a_raw_leg_is_closed_in_a_drain_without_a_control_message),
		EACH(test_w15_a_node_leg_without_subprotocol_gets_400),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

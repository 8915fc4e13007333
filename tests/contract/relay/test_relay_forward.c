/*
 * What goes in at one leg comes out at the other, byte for byte: every small size, large ones, cut
 * into odd writes, batches, fragments, both ways, plain and through TLS.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"
#include "ws/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

struct world {
	struct relay_fixture relay;
	struct raw_leg *node, *client;
	uint32_t channel;
};

static int
set_up(void **state, bool has_tls)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	relay_fixture_start(&world->relay, has_tls, "queue_bytes = 1MiB\nqueue_age = 10s");
	world->node = raw_leg_open(&world->relay, node_id, NULL);
	world->client = raw_leg_open(&world->relay, node_id, session_id);
	world->channel = leg_talk_channel(world->node, session_id);
	*state = world;
	return 0;
}

static int
set_up_plain(void **state)
{
	return set_up(state, false);
}

static int
set_up_tls(void **state)
{
	return set_up(state, true);
}

static int
tear_down(void **state)
{
	struct world *world = *state;

	raw_leg_close(&world->client);
	raw_leg_close(&world->node);
	relay_fixture_stop(&world->relay);
	free(world);
	return 0;
}

static void
expect(struct raw_leg *leg, uint32_t channel, const uint8_t *batch, size_t n)
{
	struct raw_frame frame;
	uint8_t head[5] = { LEG_KIND_DATA, (uint8_t)(channel >> 24), (uint8_t)(channel >> 16),
			    (uint8_t)(channel >> 8), (uint8_t)channel };
	size_t head_n = channel != 0 ? 5 : 1;

	assert_true(raw_leg_receive(leg, &frame));
	assert_int_equal(frame.first, 0x82);
	assert_int_equal(frame.n, head_n + n);
	assert_memory_equal(frame.payload, head, head_n);
	assert_memory_equal(frame.payload + head_n, batch, n);
}

static void
send_up(struct world *world, unsigned count, size_t n, size_t part)
{
	static uint8_t message[70000];
	size_t whole = leg_talk_message(message, 0, count, n);

	assert_true(raw_leg_send_split(world->client, 0x82, message, whole, part));
	expect(world->node, world->channel, message + 1, whole - 1);
}

static void
send_down(struct world *world, unsigned count, size_t n, size_t part)
{
	static uint8_t message[70000];
	size_t whole = leg_talk_message(message, world->channel, count, n);

	assert_true(raw_leg_send_split(world->node, 0x82, message, whole, part));
	expect(world->client, 0, message + 5, whole - 5);
}

/* A client's message of datagrams of these sizes; 0: none. Each has the type its size is one of. */
static size_t
fill_message(uint8_t *message, const size_t *sizes, unsigned count)
{
	size_t n = 0;

	message[n++] = LEG_KIND_DATA;
	for (unsigned i = 0; i < count && sizes[i] != 0; n += sizes[i++]) {
		message[n++] = 0;
		message[n++] = (uint8_t)sizes[i];
		leg_talk_datagram(message + n, sizes[i]);
		message[n] = sizes[i] == 148 ? 1 : sizes[i] == 92 ? 2 : sizes[i] == 64 ? 3 : 4;
	}
	return n;
}

static void
test_datagrams_of_every_size_pass_both_ways(void **state)
{
	struct world *world = *state;

	for (size_t n = 32; n <= 1504; n += 16) {
		send_up(world, 1, n, SIZE_MAX / 2);
		send_down(world, 1, n, SIZE_MAX / 2);
	}
	for (size_t n = 60000; n <= 65440; n += 544) {
		send_up(world, 1, n - n % 16, 1 + n % 4096);
		send_down(world, 1, n - n % 16, 1 + n % 4096);
	}
}

/* Payloads on both sides of 125 bytes, where a frame's header has its other size. */
static void
test_batches_at_every_header_size_pass_both_ways(void **state)
{
	struct world *world = *state;

	for (unsigned count = 1; count <= 8; count++)
		for (size_t n = 32; n <= 64; n += 16) {
			send_up(world, count, n, SIZE_MAX / 2);
			send_down(world, count, n, SIZE_MAX / 2);
		}
}

/* Messages in one write are rewritten side by side, whatever their sizes; handshakes have odd ones.
 */
static void
test_messages_of_one_write_do_not_harm_each_other(void **state)
{
	enum { MESSAGES = 8, ROUNDS = 50, SIZE_MAX_BYTES = 3 * (2 + 148) + 1 };
	static const size_t sizes[MESSAGES][3] = { { 92, 0, 0 },   { 92, 32, 0 }, { 64, 32, 0 },
						   { 64, 64, 0 },  { 148, 0, 0 }, { 32, 92, 0 },
						   { 32, 32, 48 }, { 48, 64, 0 } };
	static uint8_t stream[MESSAGES * (RAW_FRAME_HEADER_BYTES + SIZE_MAX_BYTES)];
	uint8_t messages[MESSAGES][SIZE_MAX_BYTES];
	struct world *world = *state;
	size_t lengths[MESSAGES];

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t at = 0;

		for (unsigned i = 0; i < MESSAGES; i++) {
			lengths[i] = fill_message(messages[i], sizes[i], 3);
			at += raw_leg_frame(stream + at, 0x82, messages[i], lengths[i]);
		}
		assert_true(raw_leg_write(world->client, stream, at));
		for (unsigned i = 0; i < MESSAGES; i++)
			expect(world->node, world->channel, messages[i] + 1, lengths[i] - 1);
	}
}

/* From 122 to 125 bytes of payload, a frame's header grows on its way to the node. No datagrams of
 * WireGuard's sizes make up so much, but with one that is none, and is dropped, they do. So many in
 * one write that the room before them is used up. */
static void
test_headers_that_grow_do_not_harm_their_neighbours(void **state)
{
	enum { FROM_BYTES = 118, TO_BYTES = 128, KEPT_BYTES = 1 + 2 + 32, MESSAGES = 20 };
	static uint8_t stream[MESSAGES * (RAW_FRAME_HEADER_BYTES + TO_BYTES)];
	uint8_t messages[MESSAGES][TO_BYTES];
	struct world *world = *state;

	for (size_t n = FROM_BYTES; n <= TO_BYTES; n++) {
		const size_t sizes[] = { 32, n - KEPT_BYTES - 2 };
		size_t at = 0;

		for (unsigned i = 0; i < MESSAGES; i++) {
			assert_int_equal(fill_message(messages[i], sizes, 2), n);
			at += raw_leg_frame(stream + at, 0x82, messages[i], n);
		}
		assert_true(raw_leg_write(world->client, stream, at));
		for (unsigned i = 0; i < MESSAGES; i++)
			expect(world->node, world->channel, messages[i] + 1, KEPT_BYTES - 1);
	}
}

static void
test_frames_cut_anywhere_pass_both_ways(void **state)
{
	struct world *world = *state;

	for (size_t part = 1; part <= 40; part++) {
		send_up(world, 3, 48, part);
		send_down(world, 3, 48, part);
	}
}

static void
test_a_fragmented_message_passes_whole(void **state)
{
	struct world *world = *state;
	uint8_t message[4096];
	size_t n = leg_talk_message(message, 0, 2, 1008);

	assert_true(raw_leg_send(world->client, 0x02, message, 7));
	assert_true(raw_leg_send(world->client, 0x89, (const uint8_t *)"in between", 10));
	assert_true(raw_leg_send(world->client, 0x00, message + 7, 1000));
	assert_true(raw_leg_send(world->client, 0x80, message + 1007, n - 1007));
	expect(world->node, world->channel, message + 1, n - 1);
	struct raw_frame pong;
	assert_true(raw_leg_receive(world->client, &pong));
	assert_int_equal(pong.first, 0x8a);
	assert_memory_equal(pong.payload, "in between", 10);
	n = leg_talk_message(message, world->channel, 2, 1008);
	assert_true(raw_leg_send(world->node, 0x02, message, 3));
	assert_true(raw_leg_send(world->node, 0x80, message + 3, n - 3));
	expect(world->client, 0, message + 5, n - 5);
}

/* W57, W59: a datagram without WireGuard's shape is dropped and counted; its neighbours pass. */
static void
test_w57_w59_a_datagram_without_a_shape_is_dropped_and_counted(void **state)
{
	struct world *world = *state;
	uint8_t message[2048], want[2048];
	struct {
		size_t n;
		uint8_t first, reserved;
		const char *counter;
	} bad[] = {
		{ 64, 0, 0, "drops_total{reason=\"type\"}" },
		{ 64, 5, 0, "drops_total{reason=\"type\"}" },
		{ 64, 255, 0, "drops_total{reason=\"type\"}" },
		{ 64, 4, 1, "drops_total{reason=\"reserved\"}" },
		{ 16, 4, 0, "drops_total{reason=\"short\"}" },
		{ 31, 4, 0, "drops_total{reason=\"short\"}" },
		{ 33, 4, 0, "drops_total{reason=\"length\"}" },
		{ 147, 1, 0, "drops_total{reason=\"length\"}" },
		{ 93, 2, 0, "drops_total{reason=\"length\"}" },
		{ 63, 3, 0, "drops_total{reason=\"length\"}" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t before = relay_fixture_counter(&world->relay, bad[i].counter);
		size_t n = leg_talk_message(message, 0, 1, 48), kept = n;

		memcpy(want, message, n);
		message[n++] = 0;
		message[n++] = (uint8_t)bad[i].n;
		leg_talk_datagram(message + n, bad[i].n);
		message[n] = bad[i].first;
		message[n + 3] = bad[i].reserved;
		n += bad[i].n;
		uint8_t last[256];
		size_t last_n = leg_talk_message(last, 0, 1, 80) - 1;
		memcpy(message + n, last + 1, last_n);
		memcpy(want + kept, last + 1, last_n);
		n += last_n;
		assert_true(raw_leg_send(world->client, 0x82, message, n));
		expect(world->node, world->channel, want + 1, kept + last_n - 1);
		assert_int_equal(relay_fixture_counter(&world->relay, bad[i].counter), before + 1);
	}
	/* One alone: nothing goes on, the leg stays. */
	uint8_t alone[] = { LEG_KIND_DATA, 0, 3, 7, 7, 7 };
	assert_true(raw_leg_send(world->client, 0x82, alone, sizeof(alone)));
	send_up(world, 1, 64, SIZE_MAX / 2);
}

static void
test_what_passed_is_counted_by_type(void **state)
{
	struct world *world = *state;
	uint64_t before =
		relay_fixture_counter(&world->relay, "datagrams_total{type=\"transport\"}");
	uint64_t bytes = relay_fixture_counter(&world->relay, "bytes_total{to=\"node\"}");

	send_up(world, 16, 1008, SIZE_MAX / 2);
	assert_int_equal(
		relay_fixture_counter(&world->relay, "datagrams_total{type=\"transport\"}"),
		before + 16);
	assert_int_equal(relay_fixture_counter(&world->relay, "bytes_total{to=\"node\"}"),
			 bytes + UINT64_C(16) * 1008);
}

/* A stream of messages without waiting for each: order and bytes are kept. */
static void
test_a_burst_keeps_its_order(void **state)
{
	struct world *world = *state;
	enum { MESSAGES = 60, MESSAGE_BYTES = 16 * (2 + 1008) };
	static uint8_t sent[MESSAGES][8 + MESSAGE_BYTES];
	size_t n = 0;

	for (unsigned i = 0; i < MESSAGES; i++) {
		n = leg_talk_message(sent[i], 0, 16, 1008);
		assert_true(raw_leg_send(world->client, 0x82, sent[i], n));
	}
	for (unsigned i = 0; i < MESSAGES; i++)
		expect(world->node, world->channel, sent[i] + 1, n - 1);
	for (unsigned i = 0; i < MESSAGES; i++) {
		n = leg_talk_message(sent[i], world->channel, 16, 1008);
		assert_true(raw_leg_send(world->node, 0x82, sent[i], n));
	}
	for (unsigned i = 0; i < MESSAGES; i++)
		expect(world->client, 0, sent[i] + 5, n - 5);
}

/* One of WireGuard's with 1280 bytes within, whoever sends it. In two segments each of them would
 * take a packet more, and that of a few bytes. */
static void
test_a_full_datagram_is_one_segment(void **state)
{
	enum {
		FULL_BYTES = 1280 + 32,
		FRAME_BYTES = 2 + 2 + WS_MASK_BYTES, /* RFC 6455, section 5.2 */
		RECORD_BYTES = 5 + 1 + 16,	     /* RFC 8446, section 5.2 */
	};
	struct world *world = *state;
	uint8_t message[2 * FULL_BYTES];
	size_t n = leg_talk_message(message, world->channel, 1, FULL_BYTES);
	int segment = 0;
	socklen_t segment_n = sizeof(segment);

	assert_int_equal(getsockopt(world->node->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &segment_n),
			 0);
	assert_true((size_t)segment >= n + FRAME_BYTES + RECORD_BYTES);
}

#define BOTH(test)                                                 \
	{ #test " (plain)", test, set_up_plain, tear_down, NULL }, \
	{                                                          \
#test " (TLS)", test, set_up_tls, tear_down, NULL  \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_datagrams_of_every_size_pass_both_ways),
		BOTH(test_a_full_datagram_is_one_segment),
		BOTH(test_batches_at_every_header_size_pass_both_ways),
		BOTH(test_messages_of_one_write_do_not_harm_each_other),
		BOTH(test_headers_that_grow_do_not_harm_their_neighbours),
		BOTH(test_frames_cut_anywhere_pass_both_ways),
		BOTH(test_a_fragmented_message_passes_whole),
		BOTH(test_w57_w59_a_datagram_without_a_shape_is_dropped_and_counted),
		BOTH(test_what_passed_is_counted_by_type),
		BOTH(test_a_burst_keeps_its_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

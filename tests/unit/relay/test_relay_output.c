/*
 * In which order a leg sends what waits for it and what came for it in this turn. A shard without
 * its thread: so it is known what comes in one turn.
 */
#include "shard_alone.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"
#include "relay/relay_window.h"
#include "wg/datagram.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	DATAGRAM_BYTES = 1008,
	MESSAGE_BYTES = LEG_DATA_HEADER_CLIENT_BYTES + LEG_DATAGRAM_HEADER_BYTES + DATAGRAM_BYTES,
	DELAY_US = 100,
};

static struct shard_alone rig;

static int
set_up(void **state)
{
	*state = &rig;
	shard_alone_start(&rig, &shard_alone_settings);
	return 0;
}

static void
send_frame(int fd, enum ws_opcode opcode, const uint8_t *payload, size_t n)
{
	uint8_t frame[WS_HEADER_IN_MAX_BYTES + MESSAGE_BYTES], key[WS_MASK_BYTES] = { 1, 2, 3, 4 };
	uint8_t *at = frame + WS_HEADER_IN_MAX_BYTES;

	assert_in_range(n, 0, MESSAGE_BYTES);
	memcpy(at, payload, n);
	size_t header_n = ws_mask_frame(opcode, at, n, key);
	assert_int_equal(write(fd, at - header_n, header_n + n), (ssize_t)(header_n + n));
}

/* A datagram of one byte, repeated. */
static void
send_datagram(int fd, uint8_t fill)
{
	uint8_t message[MESSAGE_BYTES];
	uint8_t head[] = { LEG_KIND_DATA,
			   DATAGRAM_BYTES >> 8,
			   DATAGRAM_BYTES & 0xff,
			   DATAGRAM_TRANSPORT,
			   0,
			   0,
			   0 };

	memset(message, fill, sizeof(message));
	memcpy(message, head, sizeof(head));
	send_frame(fd, WS_OPCODE_BINARY, message, sizeof(message));
}

/* What came out: each datagram's byte; pings are answered. */
static unsigned
take(int fd, uint8_t *fills, unsigned most)
{
	static uint8_t bytes[256 * 1024];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	unsigned taken = 0;

	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	for (ssize_t at = 0; at < n; at += (ssize_t)ws_frame_bytes(bytes + at)) {
		const uint8_t *frame = bytes + at;
		size_t whole = ws_frame_bytes(frame);

		if ((frame[0] & 0xf) == WS_OPCODE_PING)
			send_frame(fd, WS_OPCODE_PONG, frame + 2, whole - 2);
		else if (whole > DATAGRAM_BYTES && taken < most)
			fills[taken++] = frame[whole - 1];
	}
	return taken;
}

static void
hold_up(struct relay_leg *leg)
{
	int64_t now_us = clock_monotonic_us();

	free(leg->window);
	leg->window = calloc(1, sizeof(*leg->window));
	assert_non_null(leg->window);
	leg_window_expect(leg->window, DELAY_US, now_us);
	leg_window_start(leg->window, 0, now_us);
}

/* The window opens in the turn in which his datagram comes: it is not used up before he was even
 * looked at. */
static void
test_who_is_modest_does_not_come_behind_what_others_had_waiting(void **state)
{
	enum { BACKLOG = 40, GREEDY = 'g', MODEST = 'm' };
	struct relay_leg *leg, *client;
	uint8_t fills[BACKLOG + 1];
	int node = shard_alone_attach(&rig, TICKET_ROLE_NODE, 0, &leg);
	int greedy = shard_alone_attach(&rig, TICKET_ROLE_SESSION, 1, &client);
	int modest = shard_alone_attach(&rig, TICKET_ROLE_SESSION, 2, &client);

	(void)state;
	shard_alone_turn(&rig, NULL);
	take(node, fills, 0);
	hold_up(leg);
	for (unsigned i = 0; i < BACKLOG; i++)
		send_datagram(greedy, GREEDY);
	shard_alone_turn(&rig, NULL);
	assert_in_range(take(node, fills, BACKLOG), 1, BACKLOG / 2);
	assert_false(fair_outbox_is_empty(&leg->outbox));

	send_datagram(modest, MODEST);
	shard_alone_turn(&rig, NULL);
	assert_in_range(take(node, fills, BACKLOG), 1, BACKLOG);
	assert_int_equal(fills[0], MODEST);
	close(modest);
	close(greedy);
	close(node);
}

/* A window opens with time. */
static void
take_all_that_waits(int fd, const struct relay_leg *leg, uint8_t *fills, unsigned most)
{
	unsigned taken = 0;

	do {
		shard_alone_turn(&rig, NULL);
		taken += take(fd, fills + taken, most - taken);
	} while (!fair_outbox_is_empty(&leg->outbox));
	assert_int_equal(taken, most);
}

/* Its session may be as old as the others', but what it did not ask for before it came it has not
 * saved up: else who comes anew for each page would go before all who stay. */
static void
test_who_comes_anew_has_saved_nothing_up(void **state)
{
	enum { DATAGRAMS = 40, STAYS = 's', COMES = 'c' };
	uint8_t fills[2 * DATAGRAMS];
	struct relay_leg *leg, *client;
	int node = shard_alone_attach(&rig, TICKET_ROLE_NODE, 0, &leg);
	int stays = shard_alone_attach(&rig, TICKET_ROLE_SESSION, 1, &client);
	unsigned of_who_stays = 0;

	(void)state;
	shard_alone_turn(&rig, NULL);
	take(node, fills, 0);
	hold_up(leg);
	for (unsigned i = 0; i < DATAGRAMS; i++)
		send_datagram(stays, STAYS);
	take_all_that_waits(node, leg, fills, DATAGRAMS);

	int comes = shard_alone_attach(&rig, TICKET_ROLE_SESSION, 2, &client);
	hold_up(leg);
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		send_datagram(stays, STAYS);
		send_datagram(comes, COMES);
	}
	take_all_that_waits(node, leg, fills, 2 * DATAGRAMS);
	for (unsigned i = 0; i < DATAGRAMS; i++)
		of_who_stays += fills[i] == STAYS;
	assert_in_range(of_who_stays, DATAGRAMS / 2 - 2, DATAGRAMS / 2 + 2);
	close(comes);
	close(stays);
	close(node);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_who_is_modest_does_not_come_behind_what_others_had_waiting, set_up,
			shard_alone_tear_down),
		cmocka_unit_test_setup_teardown(test_who_comes_anew_has_saved_nothing_up, set_up,
						shard_alone_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

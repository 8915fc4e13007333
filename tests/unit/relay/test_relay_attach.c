/*
 * Legs come and go at a shard without its thread: what a node's next leg ends, when it counts as a
 * fight for a place, who still comes while the relay drains; and what a turn leaves behind.
 */
#include "shard_alone.h"
#include "shard_leg.h"

#include "leg/leg_frame.h"
#include "relay/relay_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_AGO_MS = 30 * 1000 };

static struct shard_alone rig;

static int
set_up(void **state)
{
	*state = &rig;
	shard_alone_start(&rig, &shard_alone_settings);
	return 0;
}

static int
attach_node(struct relay_leg **ret_leg)
{
	return shard_alone_attach(&rig, TICKET_ROLE_NODE, 0, ret_leg);
}

static int
attach_client(unsigned session, struct relay_leg **ret_leg)
{
	return shard_alone_attach(&rig, TICKET_ROLE_SESSION, session, ret_leg);
}

static void
test_the_grace_of_clients_ends_when_their_node_is_back(void **state)
{
	struct relay_leg *client, *node;
	int fds[2] = { attach_client(1, &client), 0 };

	(void)state;
	assert_non_null(client->channel->node->grace.at);
	fds[1] = attach_node(&node);
	assert_null(node->node->grace.at);
	close(fds[1]);
	shard_alone_turn(&rig, NULL);
	assert_non_null(client->channel->node->grace.at);
	close(fds[0]);
}

/* F48: two hosts with one key are both alive; a node that comes back after its connection died is
 * no clone. */
static void
test_f48_taking_the_place_of_a_dead_leg_is_no_fight(void **state)
{
	struct relay_leg *dead, *live, *newer;
	int fds[3];

	(void)state;
	fds[0] = attach_node(&dead);
	dead->heard_ms -= LONG_AGO_MS;
	fds[1] = attach_node(&live);
	assert_int_equal(shard_alone_reports(&rig, RELAY_LEG_SWAPPED), 0);
	fds[2] = attach_node(&newer);
	assert_int_equal(shard_alone_reports(&rig, RELAY_LEG_SWAPPED), 1);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

static void
assert_answer(int fd, const char *status)
{
	char answer[512] = "";

	assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, status));
}

/* Its connection died and it is back before that was noticed: its own old leg is not in its way. */
static void
test_a_session_comes_back_to_a_node_that_is_full(void **state)
{
	struct relay_leg *leg;
	int fds[3];

	(void)state;
	rig.settings.channels_max = 1;
	fds[0] = attach_client(1, &leg);
	assert_answer(fds[0], " 101 ");
	fds[1] = attach_client(1, &leg);
	assert_answer(fds[1], " 101 ");
	shard_alone_turn(&rig, NULL);
	fds[2] = attach_client(2, &leg);
	assert_answer(fds[2], " 429 ");
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	shard_alone_turn(&rig, NULL);
}

/* Its ticket lives for a day. However many sessions are closed meanwhile, it stays deleted. */
static void
test_a_deleted_node_is_not_forgotten_for_sessions_that_were_closed(void **state)
{
	struct ticket ticket = shard_alone_ticket(TICKET_ROLE_NODE, 0);
	struct relay_leg *leg;

	(void)state;
	shard_alone_turn(&rig, relay_message_new(RELAY_NODE_GONE, ticket.node_id, 0));
	for (unsigned i = 1; i <= RELAY_GONE_MAX; i++) { /* zeros are no session */
		struct relay_message *message =
			relay_message_new(RELAY_SESSION_CLOSE, ticket.node_id, 0);

		assert_non_null(message);
		memcpy(message->session_id, &i, sizeof(i));
		assert_int_equal(relay_mailbox_send(&rig.shard->mailbox, &message), 0);
	}
	shard_alone_turn(&rig, NULL);
	int fd = attach_node(&leg);
	assert_answer(fd, " 404 ");
	close(fd);
	shard_alone_turn(&rig, NULL);
}

/* F21: on its way from a door when the drain began. */
static void
test_f21_who_comes_during_a_drain_is_told_503(void **state)
{
	struct relay_leg *leg;

	(void)state;
	rig.shard->drain_until_ms = rig.shard->now_ms + LONG_AGO_MS;
	int fd = attach_client(1, &leg);
	assert_answer(fd, " 503 ");
	shard_alone_turn(&rig, NULL);
	assert_int_equal(rig.shard->directory.nodes.count, 0);
	close(fd);
}

/* What a leg is told, past the answer to its request. */
static Boson__Link__Drain *
next_drain(int fd, Boson__Link__Control **ret_control)
{
	uint8_t payload[125];
	size_t n;

	assert_int_equal(shard_leg_next_frame(fd, payload, &n), 0x82);
	assert_int_equal(payload[0], LEG_KIND_CONTROL);
	*ret_control = boson__link__control__unpack(NULL, n - 1, payload + 1);
	assert_non_null(*ret_control);
	assert_int_equal((*ret_control)->body_case, BOSON__LINK__CONTROL__BODY_DRAIN);
	return (*ret_control)->drain;
}

static struct relay_message *
drain_to(const char *urls, size_t n, uint32_t legs)
{
	struct relay_message *message = relay_message_new(RELAY_DRAIN, NULL, n);

	assert_non_null(message);
	memcpy(message->bytes, urls, n);
	message->channels = legs;
	return message;
}

/* F21: the other relays in turn, all in time however many legs there are; and once. */
static void
test_f21_a_drain_spreads_legs_over_relays_and_time(void **state)
{
	static const char urls[] = "ws://a\0ws://b", *const newest_first[] = { "ws://a", "ws://b",
									       "ws://a" };
	struct relay_leg *leg;
	uint8_t payload[125];
	int fds[3];
	size_t n;

	(void)state;
	rig.settings.drain_ms = LONG_AGO_MS;
	rig.settings.drain_pace = 1;
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = attach_client(i, &leg);
		assert_answer(fds[i], " 101 ");
	}
	shard_alone_turn(&rig, drain_to(urls, sizeof(urls), 1000 * 1000));
	int64_t until_ms = rig.shard->drain_until_ms;
	shard_alone_turn(&rig, drain_to("ws://c", sizeof("ws://c"), 1));
	assert_int_equal(rig.shard->drain_until_ms, until_ms);
	for (unsigned i = 0; i < 3; i++) {
		Boson__Link__Control *control;
		const Boson__Link__Drain *drain = next_drain(fds[2 - i], &control);

		assert_string_equal(drain->other_relay, newest_first[i]);
		assert_in_range(drain->reconnect_in_ms, 0, LONG_AGO_MS * 6 / 10);
		boson__link__control__free_unpacked(control, NULL);
		assert_int_equal(shard_leg_next_frame(fds[2 - i], payload, &n), 0);
		close(fds[2 - i]);
	}
	shard_alone_turn(&rig, NULL);
}

/* F21: who is still at the door when it closes does not hold the drain up. */
static void
test_f21_a_drain_ends_who_was_not_admitted(void **state)
{
	int fds[2];

	(void)state;
	rig.settings.drain_ms = LONG_AGO_MS;
	rig.settings.drain_pace = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	struct relay_leg *leg = relay_leg_new(rig.shard, fds[1]);
	assert_non_null(leg);
	leg->upgrade->deadline_ms = rig.shard->now_ms + LONG_AGO_MS;
	assert_int_equal(relay_leg_enter(rig.shard, leg), 0);
	shard_alone_turn(&rig, drain_to("", 0, 0));
	assert_int_equal(rig.shard->leg_count, 0);
	assert_int_equal(read(fds[0], &(char){ 0 }, 1), 0);
	close(fds[0]);
}

/* In one turn: that a client has gone is told to its node, and to the control actor. */
static void
test_a_turn_leaves_nothing_to_be_said(void **state)
{
	struct relay_leg *node, *client;
	uint8_t waste[1024];
	int fds[2] = { attach_node(&node), attach_client(1, &client) };

	(void)state;
	shard_alone_turn(&rig, NULL);
	while (read(fds[0], waste, sizeof(waste)) > 0)
		;
	for (unsigned i = 0; i < RELAY_MAILBOX_MAX; i++) {
		struct relay_message *full = relay_message_new(RELAY_SESSION_SEEN, NULL, 0);

		if (relay_mailbox_send(&rig.control, &full) < 0)
			relay_message_free(&full);
	}
	close(fds[1]);
	shard_alone_turn(&rig, NULL);
	assert_true(read(fds[0], waste, sizeof(waste)) > 0);
	assert_non_null(rig.shard->unsent);
	(void)shard_alone_reports(&rig, RELAY_SESSION_SEEN);
	shard_alone_turn(&rig, NULL);
	assert_null(rig.shard->unsent);
	assert_int_equal(shard_alone_reports(&rig, RELAY_SESSION_CARRIED), 1);
	close(fds[0]);
}

static void
test_a_shorter_turn_does_not_take_the_place_of_the_longest(void **state)
{
	(void)state;
	rig.shard->lag_us = 10 * 1000 * 1000;
	shard_alone_turn(&rig, NULL);
	assert_int_equal(rig.shard->lag_us, 10 * 1000 * 1000);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, shard_alone_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_the_grace_of_clients_ends_when_their_node_is_back),
		EACH(test_f48_taking_the_place_of_a_dead_leg_is_no_fight),
		EACH(test_a_session_comes_back_to_a_node_that_is_full),
		EACH(test_a_deleted_node_is_not_forgotten_for_sessions_that_were_closed),
		EACH(test_f21_a_drain_spreads_legs_over_relays_and_time),
		EACH(test_f21_a_drain_ends_who_was_not_admitted),
		EACH(test_f21_who_comes_during_a_drain_is_told_503),
		EACH(test_a_turn_leaves_nothing_to_be_said),
		EACH(test_a_shorter_turn_does_not_take_the_place_of_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Legs come and go at a shard without its thread: what a node's next leg ends, when it counts as a
 * fight for a place, who still comes while the relay drains; and what a turn leaves behind.
 */
#include "shard_alone.h"
#include "shard_leg.h"

#include "relay/relay_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_AGO_MS = 30 * 1000 };

static struct shard_alone rig;

static int
set_up(void **state)
{
	(void)state;
	shard_alone_start(&rig, &shard_alone_settings);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shard_alone_stop(&rig);
	return 0;
}

static int
attach(enum ticket_role role, struct relay_leg **ret_leg)
{
	struct ticket ticket = { .role = role, .node_id = "node-id-00000001" };

	ticket.session_id[0] = role == TICKET_ROLE_SESSION;
	int fd = shard_leg_attach(rig.shard, &ticket, false, ret_leg);
	assert_in_range(fd, 0, INT32_MAX);
	return fd;
}

static void
test_the_grace_of_clients_ends_when_their_node_is_back(void **state)
{
	struct relay_leg *client, *node;
	int fds[2] = { attach(TICKET_ROLE_SESSION, &client), 0 };

	(void)state;
	assert_non_null(client->channel->node->grace.at);
	fds[1] = attach(TICKET_ROLE_NODE, &node);
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
	fds[0] = attach(TICKET_ROLE_NODE, &dead);
	dead->heard_ms -= LONG_AGO_MS;
	fds[1] = attach(TICKET_ROLE_NODE, &live);
	assert_int_equal(shard_alone_reports(&rig, RELAY_LEG_SWAPPED), 0);
	fds[2] = attach(TICKET_ROLE_NODE, &newer);
	assert_int_equal(shard_alone_reports(&rig, RELAY_LEG_SWAPPED), 1);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

/* F21: on its way from a door when the drain began. */
static void
test_f21_who_comes_during_a_drain_is_told_503(void **state)
{
	struct relay_leg *leg;
	char answer[512] = "";

	(void)state;
	rig.shard->drain_until_ms = rig.shard->now_ms + LONG_AGO_MS;
	int fd = attach(TICKET_ROLE_SESSION, &leg);
	assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
	assert_non_null(strstr(answer, " 503 "));
	shard_alone_turn(&rig, NULL);
	assert_int_equal(rig.shard->directory.nodes.count, 0);
	close(fd);
}

/* In one turn: that a client has gone is told to its node, and to the control actor. */
static void
test_a_turn_leaves_nothing_to_be_said(void **state)
{
	struct relay_leg *node, *client;
	uint8_t waste[1024];
	int fds[2] = { attach(TICKET_ROLE_NODE, &node), attach(TICKET_ROLE_SESSION, &client) };

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
test_the_longest_turn_is_remembered_until_it_is_asked_for(void **state)
{
	(void)state;
	rig.shard->lag_us = 10 * 1000 * 1000;
	shard_alone_turn(&rig, NULL);
	assert_int_equal(rig.shard->lag_us, 10 * 1000 * 1000);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_the_grace_of_clients_ends_when_their_node_is_back),
		EACH(test_f48_taking_the_place_of_a_dead_leg_is_no_fight),
		EACH(test_f21_who_comes_during_a_drain_is_told_503),
		EACH(test_a_turn_leaves_nothing_to_be_said),
		EACH(test_the_longest_turn_is_remembered_until_it_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

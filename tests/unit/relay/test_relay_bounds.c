/*
 * What a shard spends on those who read nothing, or little and slowly, is bounded: also on what it
 * owes them itself, as answers to their pings, and words for each of a node's channels. A shard
 * without its thread: what it holds is looked at after each turn.
 */
#include "shard_alone.h"

#include "relay/relay_attach.h"
#include "relay/relay_shard.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024 };

static struct shard_alone rig;

static int
set_up(void **state)
{
	/* A stall is far: they take a byte now and then. */
	struct relay_settings settings = shard_alone_settings;

	*state = &rig;
	settings.legs_max = 1000;
	settings.channels_max = RELAY_CHANNELS_MAX;
	settings.queue_budget_bytes = MIB;
	settings.notsent_lowat_bytes = 128 * 1024;
	shard_alone_start(&rig, &settings);
	return 0;
}

static void
turn(void)
{
	shard_alone_turn(&rig, NULL);
}

/* T13: pings are to be answered, and their answers wait for who does not read them. Each alone is
 * far below all limits of a second; together they stay within the budget. */
static void
test_T13_answers_that_nobody_reads_stay_within_the_budget(void **state)
{
	enum { LEGS = 40, PINGS = 4000, PART = 200 };
	static uint8_t pings[PART][2 + WS_MASK_BYTES + WS_CONTROL_MAX_BYTES];
	static int fds[LEGS];
	uint8_t waste[64];

	(void)state;
	for (unsigned i = 0; i < PART; i++)
		memcpy(pings[i], "\x89\xfd", 2);
	for (unsigned i = 0; i < LEGS; i++) {
		struct relay_leg *leg;

		fds[i] = shard_alone_attach(&rig, TICKET_ROLE_SESSION, i, &leg);
		assert_true(relay_leg_is_open(leg));
	}
	for (unsigned sent = 0; sent < PINGS; sent += PART) {
		for (unsigned i = 0; i < LEGS; i++) {
			(void)!write(fds[i], pings, sizeof(pings));
			(void)!read(fds[i], waste, 1);
		}
		turn();
		assert_in_range(rig.shard->queued_bytes + rig.shard->held_bytes, 0,
				rig.settings.queue_budget_bytes);
	}
	for (unsigned i = 0; i < LEGS; i++)
		close(fds[i]);
}

/* A single one, with all the room there is: it is still not worth more than so much. */
static void
test_T13_one_that_reads_nothing_is_not_owed_much(void **state)
{
	enum { PINGS = 4000, PART = 200, MOST_BYTES = 400 * 1024 };
	static uint8_t pings[PART][2 + WS_MASK_BYTES + WS_CONTROL_MAX_BYTES];
	struct relay_leg *leg;
	int fd = shard_alone_attach(&rig, TICKET_ROLE_SESSION, 1, &leg);

	(void)state;
	rig.settings.queue_budget_bytes = 64 * MIB;
	for (unsigned i = 0; i < PART; i++)
		memcpy(pings[i], "\x89\xfd", 2);
	for (unsigned sent = 0; sent < PINGS; sent += PART) {
		(void)!write(fd, pings, sizeof(pings));
		turn();
		assert_in_range(rig.shard->queued_bytes, 0, MOST_BYTES);
	}
	close(fd);
}

/* ---- a node with many channels ---- */

static void
drop_all(struct relay_shard *shard, struct relay_leg *leg)
{
	(void)shard;
	fair_list_clear(&leg->outbox.control);
}

static void
end_nothing(struct relay_shard *shard, struct relay_leg *leg)
{
	(void)shard;
	(void)leg;
}

static const struct relay_carrier nowhere = { .gauge = RELAY_MESH_CLIENTS,
					      .flush = drop_all,
					      .end = end_nothing };

static void
add_channels(unsigned n)
{
	struct relay_carried_client client = { 0 };
	struct ticket ticket = shard_alone_ticket(TICKET_ROLE_NODE, 0);

	memcpy(client.node_id, ticket.node_id, UUID_BYTES);
	for (unsigned i = 0; i < n; i++) {
		struct relay_leg *leg = relay_leg_new_carried(&nowhere, NULL);

		assert_non_null(leg);
		ticket = shard_alone_ticket(TICKET_ROLE_SESSION, i);
		client.session_id = ticket.session_id;
		assert_int_equal(relay_attach_carried_client(rig.shard, leg, &client), 0);
	}
}

/* Its next leg hears of all of them at once, and reads when it can. */
static void
test_a_node_may_have_as_many_channels_as_it_is_allowed(void **state)
{
	static uint8_t heard[256 * 1024];
	struct relay_leg *leg;
	size_t n = 0;

	(void)state;
	rig.settings.queue_budget_bytes = 64 * MIB;
	add_channels(rig.settings.channels_max);
	int fd = shard_alone_attach(&rig, TICKET_ROLE_NODE, 0, &leg);
	while (leg->state == RELAY_LEG_OPEN && !fair_outbox_is_empty(&leg->outbox)) {
		turn();
		for (ssize_t got; (got = read(fd, heard, sizeof(heard))) > 0;)
			n += (size_t)got;
	}
	assert_int_equal(leg->state, RELAY_LEG_OPEN);
	assert_true(n > rig.settings.channels_max * (size_t)UUID_TEXT_BYTES);
	close(fd);
}

/* ---- reports that nobody takes ---- */

static unsigned
unsent(void)
{
	unsigned n = 0;

	for (const struct relay_message *m = rig.shard->unsent; m != NULL; m = m->next)
		n++;
	return n;
}

static uint64_t
take_reported_bytes(void)
{
	struct relay_message *message = relay_mailbox_receive(&rig.control);
	uint64_t bytes = 0;

	while (message != NULL) {
		struct relay_message *next = message->next;

		bytes += message->carried.bytes_up;
		relay_message_free(&message);
		message = next;
	}
	return bytes;
}

/* The control actor is busy for long: what sessions carry meanwhile is added up where it is, and
 * told when it listens again. */
static void
test_what_sessions_carry_is_not_queued_without_end(void **state)
{
	enum { SESSIONS = 100, TIMES = 2 * RELAY_MAILBOX_MAX / SESSIONS };
	const struct relay_node *node;
	struct relay_channel *channel;
	uint64_t told = 0;

	(void)state;
	add_channels(SESSIONS);
	node = idtable_next(&rig.shard->directory.nodes, NULL);
	for (unsigned times = 0; times < TIMES; times++) {
		uint32_t i = 0;

		while ((channel = relay_node_next(node, &i)) != NULL)
			channel->carried.bytes_up++;
		relay_attach_report_usage(rig.shard);
	}
	assert_in_range(unsent(), 0, SESSIONS);
	while (unsent() > 0) {
		told += take_reported_bytes();
		turn();
	}
	relay_attach_report_usage(rig.shard);
	assert_int_equal(told + take_reported_bytes(), SESSIONS * TIMES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_T13_answers_that_nobody_reads_stay_within_the_budget, set_up,
			shard_alone_tear_down),
		cmocka_unit_test_setup_teardown(test_T13_one_that_reads_nothing_is_not_owed_much,
						set_up, shard_alone_tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_node_may_have_as_many_channels_as_it_is_allowed, set_up,
			shard_alone_tear_down),
		cmocka_unit_test_setup_teardown(test_what_sessions_carry_is_not_queued_without_end,
						set_up, shard_alone_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What a relay spends on strangers and on slow ones is bounded: memory, descriptors, connections
 * that are not admitted yet. One shard, so that limits which are a shard's are exact.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"
#include "resident.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"
#include "relay/relay_control.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000, MIB = 1024 * 1024 };

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";

static struct relay_fixture relay;

static void
name_session(uint8_t session[UUID_BYTES], unsigned i)
{
	memcpy(session, "session-000000??", UUID_BYTES);
	session[14] = (uint8_t)(i >> 8);
	session[15] = (uint8_t)i;
}

/* F30, T13: a hundred that stop reading at once. What waits for them stays within the budget, at
 * the cost of who holds the most; one that reads gets all of its own; the hundred are closed. */
static void
test_f30_a_hundred_that_stop_reading_cost_one_budget(void **state)
{
	enum { SLOW = 100, ROUNDS = 60, GROWTH_BUDGETS = 3 };
	static struct raw_leg *slow[SLOW];
	static uint32_t channels[SLOW];
	static uint8_t message[32 * 1024];
	uint8_t session[UUID_BYTES];
	struct raw_frame frame;
	int small = 4096;

	(void)state;
	relay_fixture_start(&relay, false, "queue_budget = 2MiB\nstall = 1s\nqueue_age = 5s");
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	for (unsigned i = 0; i < SLOW; i++) {
		name_session(session, i);
		slow[i] = raw_leg_open(&relay, node_id, session);
		setsockopt(slow[i]->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		channels[i] = leg_talk_channel(node, session);
	}
	name_session(session, SLOW);
	struct raw_leg *fast = raw_leg_open(&relay, node_id, session);
	uint32_t fast_channel = leg_talk_channel(node, session);
	uint64_t before = resident_bytes(), most = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < SLOW; i++) {
			size_t n = leg_talk_message(message, channels[i], 16, 1296);

			assert_true(raw_leg_send(node, 0x82, message, n));
		}
		size_t n = leg_talk_message(message, fast_channel, 1, 112);
		assert_true(raw_leg_send(node, 0x82, message, n));
		assert_true(raw_leg_receive(fast, &frame));
		assert_memory_equal(frame.payload + 1, message + 5, n - 5);
		assert_in_range(relay_fixture_counter(&relay, "queued_bytes") +
					relay_fixture_counter(&relay, "held_bytes"),
				0, 2 * MIB + SLOW * 64 * 1024);
		most = resident_bytes() > most ? resident_bytes() : most;
	}
	if (resident_is_told())
		assert_in_range(most - before, 0, GROWTH_BUDGETS * 2 * MIB);
	assert_true(relay_fixture_counter(&relay, "drops_total{reason=\"memory\"}") > 0);
	relay_fixture_await(&relay, "legs_closed_total{reason=\"stalled\"}", SLOW);
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	while (relay_fixture_counter(&relay, "queued_bytes") != 0)
		assert_true(clock_monotonic_ms() < end_ms);
	for (unsigned i = 0; i < SLOW; i++)
		raw_leg_close(&slow[i]);
	raw_leg_close(&fast);
	raw_leg_close(&node);
	relay_fixture_stop(&relay);
}

/* T12, W47: those who begin large messages and do not end them. */
static void
test_t12_messages_that_are_begun_and_not_ended_stay_within_the_budget(void **state)
{
	enum { LEGS = 40 };
	static struct raw_leg *legs[LEGS];
	static uint8_t half[30 * 1024] = { 0x82, 0x80 | 126, 0xf0, 0x00, 1, 2, 3, 4 };
	uint8_t session[UUID_BYTES];
	unsigned closed = 0;

	(void)state;
	relay_fixture_start(&relay, false, "queue_budget = 1MiB\nhalf_frame_deadline = 2s");
	for (unsigned i = 0; i < LEGS; i++) {
		name_session(session, i);
		legs[i] = raw_leg_open(&relay, node_id, session);
		raw_leg_write(legs[i], half, sizeof(half));
	}
	/* Those beyond the budget are told at once, the others at their deadline. */
	for (unsigned i = 0; i < LEGS; i++) {
		unsigned code = raw_leg_close_code(legs[i]);

		assert_true(code == 1013 || code == 1008);
		closed += code == 1013;
		raw_leg_close(&legs[i]);
	}
	assert_in_range(closed, LEGS - MIB / 61440 - 1, LEGS - 1);
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	while (relay_fixture_counter(&relay, "held_bytes") != 0)
		assert_true(clock_monotonic_ms() < end_ms);
	relay_fixture_stop(&relay);
}

/* T12: begun when all is quiet, and the next ping is far away. */
static void
test_t12_half_a_message_has_its_own_deadline(void **state)
{
	static const uint8_t half[] = { 0x82, 0x80 | 100, 1, 2, 3, 4, 5 };
	uint8_t session[UUID_BYTES];

	(void)state;
	relay_fixture_start(&relay, false, "half_frame_deadline = 500ms\nping_interval = 60s");
	name_session(session, 0);
	struct raw_leg *leg = raw_leg_open(&relay, node_id, session);
	assert_true(raw_leg_is_quiet(leg, 300)); /* but for the first ping */
	raw_leg_write(leg, half, sizeof(half));
	assert_int_equal(raw_leg_close_code(leg), 1008);
	raw_leg_close(&leg);
	relay_fixture_stop(&relay);
}

/* One more is not let in, the first that is not. */
static void
refuse_one(void)
{
	struct raw_leg *refused = raw_leg_connect(&relay);

	assert_int_equal(raw_leg_status(refused, NULL, 0), 0);
	assert_int_equal(relay_fixture_counter(&relay, "accept_limited_total"), 1);
	raw_leg_close(&refused);
}

/* An address may have so many connections that are not admitted; those that are do not count. */
static void
test_connections_not_admitted_are_limited_by_address(void **state)
{
	enum { MOST = 8 };
	static struct raw_leg *admitted[2 * MOST], *idle[MOST];
	uint8_t session[UUID_BYTES];

	(void)state;
	setenv("BOSON_RELAY_ACCEPT_RATE", "1000", 1);
	relay_fixture_start(&relay, false, "accept_pending = 8\naccept_burst = 1000");
	unsetenv("BOSON_RELAY_ACCEPT_RATE");
	for (unsigned i = 0; i < 2 * MOST; i++) {
		name_session(session, i);
		admitted[i] = raw_leg_open(&relay, node_id, session);
	}
	for (unsigned i = 0; i < MOST; i++)
		idle[i] = raw_leg_connect(&relay);
	relay_fixture_await(&relay, "accepted_total", 3 * MOST);
	refuse_one();
	/* One that goes makes room. */
	raw_leg_close(&idle[0]);
	relay_fixture_await(&relay, "upgrades_total{result=\"lost\"}", 1);
	name_session(session, 2 * MOST);
	struct raw_leg *late = raw_leg_open(&relay, node_id, session);
	raw_leg_close(&late);
	for (unsigned i = 1; i < MOST; i++)
		raw_leg_close(&idle[i]);
	for (unsigned i = 0; i < 2 * MOST; i++)
		raw_leg_close(&admitted[i]);
	relay_fixture_stop(&relay);
}

static int
connect_from(unsigned last_byte)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + last_byte) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(relay.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

enum { IDLE = 768 };

/* Come from so many addresses, as many from each, and say nothing. */
static void
sit_at_the_door(int idle[IDLE], unsigned addresses)
{
	const struct rlimit many = { 4096, 4096 };
	struct rlimit before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_cur < many.rlim_cur)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &many), 0);
	setenv("BOSON_RELAY_ACCEPT_RATE", "100000", 1);
	relay_fixture_start(&relay, false, "accept_burst = 100000\nhandshake_deadline = 60s");
	unsetenv("BOSON_RELAY_ACCEPT_RATE");
	for (unsigned i = 0; i < IDLE; i++)
		idle[i] = connect_from(1 + i / (IDLE / addresses));
}

static void
another_comes_in(int idle[IDLE])
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);

	raw_leg_close(&node);
	for (unsigned i = 0; i < IDLE; i++)
		close(idle[i]);
}

/* T09: each of some addresses brings as many as one may and says nothing. Together they would have
 * all places of the door; whoever else comes finds one. */
static void
test_t09_a_few_addresses_do_not_take_the_door_from_others(void **state)
{
	const int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	int idle[IDLE];

	(void)state;
	sit_at_the_door(idle, 6);
	while (relay_fixture_counter(&relay, "accepted_total") +
		       relay_fixture_counter(&relay, "accept_limited_total") <
	       IDLE)
		assert_true(clock_monotonic_ms() < end_ms);
	another_comes_in(idle);
	assert_int_equal(relay_fixture_counter(&relay, "upgrades_crowded_out_total"), 0);
	relay_fixture_stop(&relay);
}

/* T09: from as many addresses as there are places, they have them all: not for long. */
static void
test_t09_many_addresses_have_the_door_for_a_moment_only(void **state)
{
	int idle[IDLE];

	(void)state;
	sit_at_the_door(idle, IDLE / 2);
	relay_fixture_await(&relay, "accepted_total", RELAY_PLACES_A_SHARD);
	another_comes_in(idle);
	assert_true(relay_fixture_counter(&relay, "upgrades_crowded_out_total") > 0);
	relay_fixture_stop(&relay);
}

/* There may be so many in all; those that wait at the door are among them. */
static void
test_connections_are_limited_in_all(void **state)
{
	static const uint8_t session[UUID_BYTES] = "session-00000001";
	struct raw_leg *idle[2];

	(void)state;
	relay_fixture_start(&relay, false, "max_legs = 4");
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session);
	for (unsigned i = 0; i < 2; i++)
		idle[i] = raw_leg_connect(&relay);
	relay_fixture_await(&relay, "accepted_total", 4);
	assert_int_equal(relay_fixture_counter(&relay, "legs_moving"), 0);
	refuse_one();
	raw_leg_close(&idle[0]);
	relay_fixture_await(&relay, "upgrades_total{result=\"lost\"}", 1);
	idle[0] = raw_leg_open(&relay, node_id, (const uint8_t *)"session-00000002");
	for (unsigned i = 0; i < 2; i++)
		raw_leg_close(&idle[i]);
	raw_leg_close(&client);
	raw_leg_close(&node);
	relay_fixture_stop(&relay);
}

/* Takes all descriptors that are left below the limit, but one. Returns how many. */
static unsigned
take_descriptors(int *taken, unsigned capacity)
{
	unsigned n = 0;

	while (n < capacity && (taken[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	assert_in_range(n, 1, capacity - 1);
	close(taken[--n]);
	return n;
}

static uint64_t
door_time_us(void)
{
	const struct relay_control *control = relay.state;
	struct timespec used;
	clockid_t clock;

	assert_int_equal(
		pthread_getcpuclockid(control->shards[control->shard_count]->thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* More come than one rest lets in: the door takes one, refuses it, and rests again, and that is all
 * it does: a fifth of its time would be a hundred times as much. */
static void
come_without_end(int *comers, unsigned n)
{
	enum { RESTS = 5 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(relay.port) };
	uint64_t limited = relay_fixture_counter(&relay, "accept_limited_total");
	uint64_t used_us = door_time_us();
	int64_t begin_us = clock_monotonic_us();

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(connect(comers[i], (const struct sockaddr *)&to, sizeof(to)), 0);
	relay_fixture_await(&relay, "accept_limited_total", limited + RESTS);
	used_us = door_time_us() - used_us;
	assert_in_range(used_us, 0, (uint64_t)(clock_monotonic_us() - begin_us) / 5);
	unsigned refused = 0;
	for (unsigned i = 0; i < n; i++) {
		refused += recv(comers[i], &(char){ 0 }, 1, MSG_DONTWAIT) == 0;
		close(comers[i]);
	}
	assert_in_range(refused, RESTS, n); /* at once, not when there is room again */
}

/* What all channels can need at once is taken; a flood costs the node its leg. */
static void
test_a_flood_of_control_messages_gets_1008(void **state)
{
	static const uint8_t session[UUID_BYTES] = "session-00000001";
	static const char closed[] = "legs_closed_total{reason=\"control\"}";
	enum { CHANNELS = 16, AT_ONCE = 2 * CHANNELS + 256 };
	Boson__Link__FlowReport report = BOSON__LINK__FLOW_REPORT__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	uint8_t message[64] = { LEG_KIND_CONTROL };

	(void)state;
	relay_fixture_start(&relay, false, "max_channels = 16");
	control.body_case = BOSON__LINK__CONTROL__BODY_FLOW_REPORT;
	control.flow_report = &report;
	size_t n = 1 + boson__link__control__pack(&control, message + 1);
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session);
	uint32_t channel = leg_talk_channel(node, session);
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_true(raw_leg_send(node, 0x82, message, n));
	leg_talk_exchange(node, client, channel);
	assert_int_equal(relay_fixture_counter(&relay, closed), 0);
	for (unsigned i = 0; i < 10 * AT_ONCE; i++) /* more than come in again in ten seconds */
		raw_leg_send(node, 0x82, message, n);
	assert_int_equal(raw_leg_close_code(node), 1008);
	assert_int_equal(relay_fixture_counter(&relay, closed), 1);
	raw_leg_close(&client);
	raw_leg_close(&node);
	relay_fixture_stop(&relay);
}

/* F31: without descriptors the relay refuses, rests, and takes legs again when there are some. */
static void
test_f31_without_descriptors_it_rests_and_recovers(void **state)
{
	static const uint8_t session[UUID_BYTES] = "session-00000001";
	enum { MOST = 256, COMERS = 24 }; /* some of which find what others gave back meanwhile */
	int comers[COMERS];
	struct rlimit before, few;
	int taken[MOST];

	(void)state;
	relay_fixture_start(&relay, false, "");
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	uint64_t accepted = relay_fixture_counter(&relay, "accepted_total");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (unsigned i = 0; i < COMERS; i++)
		assert_true((comers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	few = before;
	few.rlim_cur = MOST;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	unsigned n = take_descriptors(taken, MOST);
	struct raw_leg *refused = raw_leg_connect(&relay); /* takes the last one */
	assert_int_equal(raw_leg_status(refused, NULL, 0), 0);
	assert_true(refused->is_ended);
	assert_int_equal(relay_fixture_counter(&relay, "accepted_total"), accepted);
	assert_true(relay_fixture_counter(&relay, "accept_limited_total") >= 1);
	raw_leg_close(&refused);
	taken[n++] = dup(STDERR_FILENO); /* what the refused one had */
	assert_true(taken[n - 1] >= 0);
	come_without_end(comers, COMERS);
	while (n > 0)
		close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session);
	leg_talk_exchange(node, client, leg_talk_channel(node, session));
	raw_leg_close(&client);
	raw_leg_close(&node);
	relay_fixture_stop(&relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_f30_a_hundred_that_stop_reading_cost_one_budget),
		cmocka_unit_test(
			test_t12_messages_that_are_begun_and_not_ended_stay_within_the_budget),
		cmocka_unit_test(test_t12_half_a_message_has_its_own_deadline),
		cmocka_unit_test(test_connections_not_admitted_are_limited_by_address),
		cmocka_unit_test(test_t09_a_few_addresses_do_not_take_the_door_from_others),
		cmocka_unit_test(test_t09_many_addresses_have_the_door_for_a_moment_only),
		cmocka_unit_test(test_connections_are_limited_in_all),
		cmocka_unit_test(test_a_flood_of_control_messages_gets_1008),
		cmocka_unit_test(test_f31_without_descriptors_it_rests_and_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What a shard knows of nodes and sessions: channels and their numbers, rates, what is gone, flows;
 * and what a batch must look like.
 */
#include "relay/relay_channel.h"

#include "relay/relay_batch.h"
#include "relay/relay_flows.h"
#include "relay/relay_gone.h"
#include "relay/relay_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_channel_numbers_are_never_0_and_do_not_come_back_soon(void **state)
{
	struct relay_directory directory;
	struct relay_leg *leg = (struct relay_leg *)(uintptr_t)64;
	static uint8_t seen[1 << 19]; /* a bit for each number, hashed: 2^22 bits */
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";

	(void)state;
	assert_int_equal(relay_directory_init(&directory), 0);
	struct relay_node *node = relay_node_get(&directory, id);
	relay_node_attach(node, leg, 1);
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < 60000; i++) {
		struct relay_channel *channel = NULL;

		memcpy(session, &i, sizeof(i));
		assert_int_equal(relay_channel_new(&directory, node, session, NULL, 100, &channel),
				 0);
		uint32_t number = channel->number, bit = (number >> 16) * 64 + (number & 63);
		assert_int_not_equal(number, 0);
		assert_true((number & 0xffff) < 64);
		assert_int_equal(seen[bit / 8] & 1 << bit % 8, 0);
		seen[bit / 8] |= (uint8_t)(1 << bit % 8);
		assert_ptr_equal(relay_node_channel(node, number), channel);
		relay_channel_free(&directory, &channel);
		assert_null(relay_node_channel(node, number));
	}
	node->leg = NULL;
	assert_true(relay_node_put(&directory, node));
	relay_directory_fini(&directory);
}

static void
test_a_nodes_next_leg_gets_new_numbers_for_its_channels(void **state)
{
	enum { CHANNELS = 50 };
	struct relay_directory directory;
	struct relay_leg *leg = (struct relay_leg *)(uintptr_t)64;
	struct relay_channel *channels[CHANNELS];
	uint32_t before[CHANNELS];
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";

	(void)state;
	assert_int_equal(relay_directory_init(&directory), 0);
	struct relay_node *node = relay_node_get(&directory, id);
	relay_node_attach(node, leg, 1000);
	uint64_t generation = node->generation;
	for (uint8_t i = 0; i < CHANNELS; i++) {
		session[15] = i;
		assert_int_equal(
			relay_channel_new(&directory, node, session, NULL, CHANNELS, &channels[i]),
			0);
		before[i] = channels[i]->number;
	}
	session[15] = CHANNELS;
	struct relay_channel *one_more;
	assert_int_equal(relay_channel_new(&directory, node, session, NULL, CHANNELS, &one_more),
			 -28);
	relay_node_detach(node);
	for (int i = 0; i < CHANNELS; i++) {
		assert_int_equal(channels[i]->number, 0);
		assert_null(relay_node_channel(node, before[i]));
	}
	relay_node_attach(node, leg, 500); /* the clock went back: the generation does not */
	assert_true(node->generation > generation);
	for (int i = 0; i < CHANNELS; i++) {
		assert_int_not_equal(channels[i]->number, 0);
		assert_int_not_equal(channels[i]->number, before[i]);
		assert_ptr_equal(relay_node_channel(node, channels[i]->number), channels[i]);
	}
	assert_false(relay_node_put(&directory, node));
	for (int i = 0; i < CHANNELS; i++)
		relay_channel_free(&directory, &channels[i]);
	node->leg = NULL;
	assert_true(relay_node_put(&directory, node));
	relay_directory_fini(&directory);
}

/* P17: the end of an old leg does not take the new one's place away. */
static void
test_an_older_channel_of_a_session_does_not_remove_the_newer(void **state)
{
	struct relay_directory directory;
	struct relay_channel *older, *newer;
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";

	(void)state;
	assert_int_equal(relay_directory_init(&directory), 0);
	struct relay_node *node = relay_node_get(&directory, id);
	assert_int_equal(relay_channel_new(&directory, node, session, NULL, 10, &older), 0);
	assert_int_equal(relay_channel_new(&directory, node, session, NULL, 10, &newer), 0);
	assert_ptr_equal(relay_channel_find(&directory, session), newer);
	relay_channel_free(&directory, &older);
	assert_ptr_equal(relay_channel_find(&directory, session), newer);
	relay_channel_free(&directory, &newer);
	assert_null(relay_channel_find(&directory, session));
	assert_true(relay_node_put(&directory, node));
	relay_directory_fini(&directory);
}

/* ---- rates, tombstones, flows, batches ---- */

static void
test_a_rate_is_kept_over_time(void **state)
{
	struct relay_rate rate;
	uint64_t sent = 0;
	int64_t now_ms = 0;

	(void)state;
	relay_rate_init(&rate, 1000, 0); /* a megabyte a second */
	while (now_ms < 10 * 1000) {
		now_ms += relay_rate_take(&rate, 20000, now_ms);
		sent += 20000;
	}
	assert_in_range(sent, 10 * 1000 * 1000, 10 * 1000 * 1000 + 300 * 1000);
	assert_true(relay_rate_is_spent(&rate, now_ms - 1) ||
		    relay_rate_take(&rate, 500 * 1000, now_ms) > 0);
	/* Rest does not pile up beyond the burst. */
	now_ms += INT64_C(400) * 24 * 3600 * 1000;
	assert_false(relay_rate_is_spent(&rate, now_ms));
	assert_int_equal(relay_rate_take(&rate, 250 * 1000, now_ms), 0);
	assert_int_equal(relay_rate_take(&rate, 1000, now_ms), 1);
	relay_rate_init(&rate, 0, 0);
	assert_int_equal(relay_rate_take(&rate, UINT64_C(1) << 40, 0), 0);
}

/* A ticket may say as much as fits its field. */
static void
test_the_highest_rate_rests_as_long_as_it_likes(void **state)
{
	static const int64_t days[] = { 1, 30, 10 * 365 };
	struct relay_rate rate;

	(void)state;
	for (unsigned i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		int64_t now_ms = days[i] * 24 * 3600 * 1000;

		relay_rate_init(&rate, UINT32_MAX, 0);
		assert_int_equal(relay_rate_take(&rate, 1500, now_ms), 0);
		assert_false(relay_rate_is_spent(&rate, now_ms));
	}
}

static void
test_the_oldest_tombstone_is_forgotten_first(void **state)
{
	struct relay_gone gone;
	uint8_t id[UUID_BYTES] = { 0 };

	(void)state;
	assert_int_equal(relay_gone_init(&gone), 0);
	for (uint32_t i = 0; i < RELAY_GONE_MAX + 10; i++) {
		memcpy(id, &i, sizeof(i));
		relay_gone_add(&gone, id, NULL);
		assert_true(relay_gone_has(&gone, id, NULL));
	}
	for (uint32_t i = 0; i < 20; i++) {
		memcpy(id, &i, sizeof(i));
		assert_int_equal(relay_gone_has(&gone, id, NULL), i >= 10);
		relay_gone_remove(&gone, id, NULL);
		assert_false(relay_gone_has(&gone, id, NULL));
	}
	relay_gone_fini(&gone);
}

static void
test_sessions_are_bounded_and_bound_to_their_node(void **state)
{
	struct relay_flows flows;
	uint8_t node[UUID_BYTES] = "a node", other[UUID_BYTES] = "another", id[UUID_BYTES] = { 0 };
	char text[UUID_TEXT_BYTES];

	(void)state;
	assert_int_equal(relay_flows_init(&flows), 0);
	for (uint32_t i = 0; i < RELAY_SESSIONS_MAX + 5; i++) {
		memcpy(id, &i, sizeof(i));
		assert_non_null(relay_flows_bind(&flows, id, node));
	}
	assert_int_equal(flows.sessions.count, RELAY_SESSIONS_MAX);
	memset(id, 0, sizeof(id));
	assert_null(relay_flows_find(&flows, id)); /* the first was forgotten */
	id[0] = 100;
	uuid_format(id, text);
	Boson__Link__FlowReport__Session *report = calloc(1, sizeof(*report));
	boson__link__flow_report__session__init(report);
	report->session_id = strdup(text);
	assert_null(relay_flows_report(&flows, other, &report, 5));
	assert_non_null(report);
	assert_non_null(relay_flows_report(&flows, node, &report, 5));
	assert_null(report);
	assert_int_equal(relay_flows_find(&flows, id)->reported_at_ms, 5);
	/* The session moved: the old node's figures are not the new one's. */
	relay_flows_find(&flows, id)->carried.bytes_up = 96;
	relay_flows_bind(&flows, id, other);
	assert_null(relay_flows_find(&flows, id)->report);
	assert_int_equal(relay_flows_find(&flows, id)->carried.bytes_up, 0);
	relay_flows_fini(&flows);
}

static void
test_a_batch_keeps_what_has_a_shape(void **state)
{
	uint8_t batch[4096];
	struct relay_batch checked;
	size_t n = 0;
	/* good, bad type, good, short, good, odd length, good */
	static const struct {
		size_t n;
		uint8_t type;
	} in[] = { { 32, 4 }, { 48, 9 }, { 148, 1 }, { 8, 4 }, { 92, 2 }, { 50, 4 }, { 64, 3 } };

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		batch[n++] = 0;
		batch[n++] = (uint8_t)in[i].n;
		memset(batch + n, (int)i, in[i].n);
		batch[n] = in[i].type;
		memset(batch + n + 1, 0, 3);
		n += in[i].n;
	}
	assert_int_equal(relay_batch_check(batch, n, &checked), 0);
	assert_int_equal(checked.kept, 4);
	assert_int_equal(checked.n, 4 * 2 + 32 + 148 + 92 + 64);
	assert_int_equal(checked.bytes, 32 + 148 + 92 + 64);
	assert_int_equal(batch[2 + 32 - 1], 0);
	assert_int_equal(batch[2 + 32 + 1], 148);
	assert_int_equal(batch[2 + 32 + 2 + 147], 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(checked.types[i], 1);
	assert_int_equal(checked.faults[-DATAGRAM_SHORT - 1], 1);
	assert_int_equal(checked.faults[-DATAGRAM_TYPE - 1], 1);
	assert_int_equal(checked.faults[-DATAGRAM_LENGTH - 1], 1);
	/* W53, W55 */
	assert_true(relay_batch_check(batch, checked.n - 1, &checked) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channel_numbers_are_never_0_and_do_not_come_back_soon),
		cmocka_unit_test(test_a_nodes_next_leg_gets_new_numbers_for_its_channels),
		cmocka_unit_test(test_an_older_channel_of_a_session_does_not_remove_the_newer),
		cmocka_unit_test(test_a_rate_is_kept_over_time),
		cmocka_unit_test(test_the_highest_rate_rests_as_long_as_it_likes),
		cmocka_unit_test(test_the_oldest_tombstone_is_forgotten_first),
		cmocka_unit_test(test_sessions_are_bounded_and_bound_to_their_node),
		cmocka_unit_test(test_a_batch_keeps_what_has_a_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * F32: the models of a node and of metrics with the n-th allocation refused, for each n: what fails
 * is not half there, and nothing leaks.
 */
#include "forwarder/channel_map.h"
#include "forwarder/flow_table.h"
#include "forwarder/forwarder_sessions.h"
#include "metrics/metrics_samples.h"
#include "metrics/metrics_usage.h"
#include "scarce.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THINGS = 40, MTU = 1280 };

static void
session_name(unsigned number, char ret[UUID_TEXT_BYTES])
{
	(void)snprintf(ret, UUID_TEXT_BYTES, "11111111-1111-4111-8111-%012u", number % 1000000);
}

static bool
channels_of_a_forwarder(void)
{
	struct channel_map *map = NULL;
	char session[UUID_TEXT_BYTES];
	unsigned open = 0;

	if (channel_map_new(0, &map) < 0)
		return false;
	for (uint32_t i = 1; i <= THINGS; i++) {
		uint64_t channel = channel_map_key(1, i);

		session_name(i, session);
		if (channel_map_open(map, channel, session) == 0) {
			open++;
			assert_int_equal(
				channel_map_channel(map, channel_map_address(map, channel)),
				channel);
			assert_int_equal(channel_map_session_channel(map, session), channel);
		} else {
			assert_int_equal(channel_map_address(map, channel).s_addr, 0);
			assert_int_equal(channel_map_session_channel(map, session), 0);
		}
	}
	assert_int_equal(channel_map_count(map), open);
	channel_map_close_line(map, 1);
	assert_int_equal(channel_map_count(map), 0);
	channel_map_free(&map);
	return open == THINGS;
}

static bool
sessions_of_a_forwarder(void)
{
	struct forwarder_sessions *sessions = NULL;
	unsigned added = 0;

	if (forwarder_sessions_new(&sessions) < 0)
		return false;
	for (unsigned i = 1; i <= THINGS; i++) {
		struct session session = { .address4 = { .s_addr = i }, .ends_ms = 1000 };

		session_name(i, session.id);
		memcpy(session.client_key.bytes, &i, sizeof(i));
		bool is_added = forwarder_sessions_add(sessions, &session) == 0;
		added += is_added;
		assert_int_equal(forwarder_sessions_count(sessions), added);
		assert_true((forwarder_sessions_find(sessions, session.id) != NULL) == is_added);
	}
	forwarder_sessions_free(&sessions);
	return added == THINGS;
}

static struct flow_seen
flow(uint32_t id, struct in6_addr client)
{
	struct flow_seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.id = id;
	seen.client = client;
	seen.reply.source_port = 443;
	seen.reply.destination_port = (uint16_t)(33000 + id);
	seen.reply.protocol = IPPROTO_UDP;
	seen.bytes_up = 100;
	seen.packets_up = 1;
	return seen;
}

/* What there was no memory for is not counted, until the next dump shows it. */
static bool
flows_of_a_forwarder(void)
{
	static const struct in6_addr none;
	struct in6_addr client = { .s6_addr = { [10] = 0xff, [11] = 0xff, 10, 90, 0, 2 } };
	struct flow_table *table = NULL;
	struct flow_usage usage = { 0 };
	char session[UUID_TEXT_BYTES];
	bool is_good;

	session_name(1, session);
	if (flow_table_new(MTU, 1, &table) < 0)
		return false;
	is_good = flow_table_session_add(table, session, &client, &none) == 0;
	assert_int_equal(flow_table_session_count(table), is_good);
	for (uint32_t i = 1; is_good && i <= THINGS; i++) {
		struct flow_seen seen = flow(i, client);

		flow_table_see(table, &seen, false);
	}
	if (is_good) {
		assert_int_equal(flow_table_usage(table, session, &usage), 0);
		assert_int_equal(usage.bytes_up, 100 * (uint64_t)usage.live);
	}
	flow_table_free(&table);
	return is_good && usage.live == THINGS;
}

static bool
samples_of_metrics(void)
{
	struct samples samples;
	struct sample *taken[THINGS];
	uint8_t id[UUID_BYTES] = { 0 };
	unsigned put = 0;
	size_t n;

	if (samples_init(&samples) < 0)
		return false;
	for (uint8_t i = 1; i <= THINGS; i++) {
		id[0] = i;
		if (samples_put(&samples, id, 100, "figures", 7, 0) == 0) {
			put++;
			assert_non_null(samples_find(&samples, id));
		}
	}
	n = samples_take(&samples, taken, THINGS);
	assert_int_equal(n, put);
	for (size_t i = 0; i < n; i++)
		free(taken[i]);
	samples_fini(&samples);
	return put == THINGS;
}

static bool
usages_of_metrics(void)
{
	struct usages usages;
	struct usage *taken[THINGS];
	unsigned reported = 0;
	size_t n;

	if (usages_init(&usages) < 0)
		return false;
	for (uint8_t i = 1; i <= THINGS; i++) {
		struct usage_key key = { .session_id = { i }, .node_id = { 1 }, .epoch = 1 };

		reported += usages_report(&usages, &key, 10, 20, 0) == 0;
	}
	n = usages_take(&usages, taken, THINGS);
	assert_int_equal(n, reported);
	for (size_t i = 0; i < n; i++)
		free(taken[i]);
	usages_fini(&usages);
	return reported == THINGS;
}

#define SWEEP(name, fn)                                                 \
	static void name(void **state)                                  \
	{                                                               \
		(void)state;                                            \
		assert_in_range(scarce_sweep(fn), 2, SCARCE_SWEEP_MAX); \
	}

SWEEP(test_channels_of_a_forwarder_with_too_little_memory, channels_of_a_forwarder)
SWEEP(test_sessions_of_a_forwarder_with_too_little_memory, sessions_of_a_forwarder)
SWEEP(test_flows_of_a_forwarder_with_too_little_memory, flows_of_a_forwarder)
SWEEP(test_samples_with_too_little_memory, samples_of_metrics)
SWEEP(test_usage_with_too_little_memory, usages_of_metrics)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels_of_a_forwarder_with_too_little_memory),
		cmocka_unit_test(test_sessions_of_a_forwarder_with_too_little_memory),
		cmocka_unit_test(test_flows_of_a_forwarder_with_too_little_memory),
		cmocka_unit_test(test_samples_with_too_little_memory),
		cmocka_unit_test(test_usage_with_too_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

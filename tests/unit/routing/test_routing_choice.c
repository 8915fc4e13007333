/* routing_choice: who is picked, on simulated time and repeatable randomness. */
#include "routing/routing_choice.h"
#include "table_sample.h"

enum { FLEET = 4000 };

static struct table table;
static struct table_relay *near_relay, *far_relay;

/* xorshift64*, the same numbers in every run */
static uint64_t
repeatable(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 0x2545f4914f6cdd1d;
}

static uint64_t seed;
static const struct choice_random dice = { repeatable, &seed };

static int
setup(void **state)
{
	(void)state;
	seed = 42;
	if (table_init(&table) != 0)
		return -1;
	near_relay = sample_relay_put(&table, "near");
	far_relay = sample_relay_put(&table, "far");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	table_fini(&table);
	return 0;
}

static void
put(uint32_t number, const char *country, uint32_t capacity, double bandwidth, double rtt_ms)
{
	sample_node_put(&table, (struct sample_node){ .number = number,
						      .version = 1,
						      .country = country,
						      .max_connections = capacity,
						      .bandwidth = bandwidth });
	if (rtt_ms > 0)
		sample_attach(&table, near_relay, number, 1, rtt_ms);
}

static struct table_node *
pick(const struct routing_wish *wish, int64_t now_ms)
{
	return choice_pick(&table, wish, NULL, 0, now_ms, &dice);
}

static void
test_only_nodes_that_fit_are_picked(void **state)
{
	struct routing_wish wish = { .country = "DE", .min_bandwidth_mbits = 50 };

	(void)state;
	for (uint32_t i = 0; i < FLEET; i++)
		put(i, i % 7 == 0 ? "DE" : "FR", 8, i % 2 == 0 ? 100 : 10, 20);
	for (int i = 0; i < 1000; i++) {
		const struct table_node *node = pick(&wish, 0);

		assert_non_null(node);
		assert_string_equal(node->country, "DE");
		assert_true(node->bandwidth_mbits >= 50);
	}
}

/* A needle: no draw is likely to hit it, and yet it is found. */
static void
test_the_one_node_that_fits_is_found_in_a_large_fleet(void **state)
{
	struct routing_wish wish = { .min_bandwidth_mbits = 500 };

	(void)state;
	for (uint32_t i = 0; i < FLEET; i++)
		put(i, NULL, 8, i == 3210 ? 1000 : 10, 20);
	assert_ptr_equal(pick(&wish, 0), sample_find(&table, 3210));
	wish.min_bandwidth_mbits = 2000;
	assert_null(pick(&wish, 0));
}

static void
test_sessions_spread_over_the_fleet_by_free_capacity(void **state)
{
	enum { NODES = 200, SESSIONS = 200 * 6 };
	const struct routing_wish wish = { 0 };

	(void)state;
	for (uint32_t i = 0; i < NODES; i++)
		put(i, NULL, 10, 0, 20);
	for (int i = 0; i < SESSIONS; i++) {
		struct table_node *node = pick(&wish, 0);

		assert_non_null(node);
		assert_int_equal(table_sessions_add(&table, node->id, 1), 0);
	}
	/* 6 on average; with one random choice the fullest of 200 would be far above 10. */
	for (uint32_t i = 0; i < NODES; i++)
		assert_in_range(sample_find(&table, i)->sessions, 2, 9);
}

static void
test_a_full_node_is_not_picked_and_says_so_for_a_while(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *node;

	(void)state;
	put(1, NULL, 1, 0, 20);
	node = pick(&wish, 0);
	assert_non_null(node);
	choice_note_full(node, 1000);
	assert_null(pick(&wish, 1000));
	assert_ptr_equal(pick(&wish, 1000 + CHOICE_FULL_MS), node);
	assert_int_equal(table_sessions_add(&table, node->id, 1), 0);
	assert_null(pick(&wish, 1000000));
}

static void
test_a_failing_node_is_asked_last_and_forgiven_T04(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *bad, *good;

	(void)state;
	put(1, NULL, 1000, 0, 20);
	put(2, NULL, 1000, 0, 20);
	bad = sample_find(&table, 1);
	good = sample_find(&table, 2);
	for (int i = 0; i < 4; i++)
		choice_note_failure(bad, 0);
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(pick(&wish, 0), good);
	choice_note_full(good, 0);
	assert_ptr_equal(pick(&wish, 0), bad); /* better than nobody */
	assert_true(choice_failures(bad, 10 * CHOICE_FAILURE_HALF_LIFE_MS) < 0.01);
}

static void
test_excluded_nodes_are_not_picked_again(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *tried[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		put(i, NULL, 8, 0, 20);
	for (size_t n = 0; n < 3; n++) {
		tried[n] = choice_pick(&table, &wish, tried, n, 0, &dice);
		assert_non_null(tried[n]);
		for (size_t i = 0; i < n; i++)
			assert_ptr_not_equal(tried[n], tried[i]);
	}
	assert_null(choice_pick(&table, &wish, tried, 3, 0, &dice));
}

static void
test_latency_counts_the_clients_way_to_the_relay(void **state)
{
	struct routing_wish wish = { .max_latency_ms = 100 };

	(void)state;
	put(1, NULL, 8, 0, 60);
	assert_non_null(pick(&wish, 0));
	strcpy(wish.latencies[0].relay_id, "near");
	wish.latencies[0].latency_ms = 50;
	wish.latency_count = 1;
	assert_null(pick(&wish, 0));
	assert_false(choice_is_possible(&table, &wish));
	wish.max_latency_ms = 110;
	assert_non_null(pick(&wish, 0));
}

static void
test_the_shortest_way_comes_first_and_a_draining_relay_last(void **state)
{
	const struct table_leg *legs[TABLE_LEGS_MAX];
	const struct routing_wish wish = { 0 };
	struct table_node *node;

	(void)state;
	put(1, NULL, 8, 0, 30);
	sample_attach(&table, far_relay, 1, 1, 80);
	node = sample_find(&table, 1);
	assert_int_equal(choice_legs(node, &wish, legs), 2);
	assert_ptr_equal(legs[0]->relay, near_relay);
	near_relay->draining = true;
	assert_int_equal(choice_legs(node, &wish, legs), 2);
	assert_ptr_equal(legs[0]->relay, far_relay);
	table_relay_set_alive(&table, far_relay, false);
	assert_int_equal(choice_legs(node, &wish, legs), 1);
	assert_ptr_equal(legs[0]->relay, near_relay);
}

/* 404 is for what waiting will not change, 503 for the rest. */
static void
test_what_is_impossible_is_told_from_what_is_busy(void **state)
{
	struct routing_wish wish = { 0 };

	(void)state;
	assert_true(choice_is_possible(&table, &wish));
	put(1, "DE", 8, 100, 0); /* known, attached nowhere */
	memcpy(wish.country, "DE", 3);
	assert_null(pick(&wish, 0));
	assert_true(choice_is_possible(&table, &wish));
	memcpy(wish.country, "FR", 3);
	assert_false(choice_is_possible(&table, &wish));
	memset(&wish, 0, sizeof(wish));
	wish.has_target = true;
	sample_id(1, wish.target);
	assert_true(choice_is_possible(&table, &wish));
	sample_id(2, wish.target);
	assert_false(choice_is_possible(&table, &wish));
	memset(&wish, 0, sizeof(wish));
	wish.min_bandwidth_mbits = 101;
	assert_false(choice_is_possible(&table, &wish));
}

static void
test_a_target_is_picked_or_nobody(void **state)
{
	struct routing_wish wish = { .has_target = true };

	(void)state;
	put(1, NULL, 8, 0, 20);
	put(2, NULL, 8, 0, 0);
	sample_id(1, wish.target);
	assert_ptr_equal(pick(&wish, 0), sample_find(&table, 1));
	sample_id(2, wish.target);
	assert_null(pick(&wish, 0));
}

#define ON_A_TABLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_TABLE(test_only_nodes_that_fit_are_picked),
		ON_A_TABLE(test_the_one_node_that_fits_is_found_in_a_large_fleet),
		ON_A_TABLE(test_sessions_spread_over_the_fleet_by_free_capacity),
		ON_A_TABLE(test_a_full_node_is_not_picked_and_says_so_for_a_while),
		ON_A_TABLE(test_a_failing_node_is_asked_last_and_forgiven_T04),
		ON_A_TABLE(test_excluded_nodes_are_not_picked_again),
		ON_A_TABLE(test_latency_counts_the_clients_way_to_the_relay),
		ON_A_TABLE(test_the_shortest_way_comes_first_and_a_draining_relay_last),
		ON_A_TABLE(test_what_is_impossible_is_told_from_what_is_busy),
		ON_A_TABLE(test_a_target_is_picked_or_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

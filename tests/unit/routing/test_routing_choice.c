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

/* Nodes are drawn before they are needed; many leave meanwhile, and others stand in their places.
 */
static void
test_who_left_after_it_was_drawn_is_not_picked(void **state)
{
	const struct routing_wish wish = { 0 }, german = { .country = "DE" };

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 100; i++)
			put(i, i % 2 == 0 ? "DE" : "FR", 8, 0, 20);
		assert_non_null(pick(&wish, 0));
		assert_non_null(pick(&german, 0));
		for (uint32_t i = 0; i < 100; i++) {
			uint8_t id[UUID_BYTES];

			sample_id(i, id);
			if (i != 7)
				table_node_remove(&table, id);
			if (i != 7)
				table_leg_detach(&table, near_relay, id, 1);
		}
		assert_ptr_equal(pick(&wish, 0), sample_find(&table, 7));
		assert_null(pick(&german, 0));
		put(3, "FR", 8, 0, 20); /* in the memory of one that was German */
		assert_null(pick(&german, 0));
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

/* T04: it takes every session, so that no success at opening may count for it. */
static void
test_a_node_that_left_three_sessions_unanswered_is_asked_last_T04(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *deaf, *good;

	(void)state;
	put(1, NULL, 1000, 0, 20);
	put(2, NULL, 1000, 0, 20);
	deaf = sample_find(&table, 1);
	good = sample_find(&table, 2);
	choice_note_full(good, 0);
	assert_false(choice_note_deaf(deaf, 0));
	assert_false(choice_note_deaf(deaf, 10 * 1000));
	assert_true(choice_note_deaf(deaf, 20 * 1000));
	choice_note_success(deaf);
	assert_ptr_equal(pick(&wish, 20), deaf); /* better than nobody */
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(pick(&wish, 20 * 1000), good);
	choice_note_full(good, 20 * 1000);
	put(3, NULL, 1000, 0, 1400); /* as bad a choice as there is, but one that answers */
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(pick(&wish, 20 * 1000), sample_find(&table, 3));
}

static void
test_a_node_that_was_heard_or_long_ago_deaf_is_asked_again_T04(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *node, *full;
	int64_t later_ms = 3 * (int64_t)CHOICE_DEAF_HALF_LIFE_MS;

	(void)state;
	put(1, NULL, 1000, 0, 20);
	put(2, NULL, 1000, 0, 1400);
	node = sample_find(&table, 1);
	full = sample_find(&table, 2);
	for (int i = 0; i < 3; i++)
		(void)choice_note_deaf(node, 0);
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(pick(&wish, 0), full);
	choice_note_heard(node);
	for (int i = 0, n = 0; n == 0; i++) {
		assert_true(i < 200);
		n += pick(&wish, 0) == node;
	}
	for (int i = 0; i < 3; i++)
		(void)choice_note_deaf(node, 0);
	for (int i = 0, n = 0; n == 0; i++) {
		assert_true(i < 200);
		n += pick(&wish, later_ms) == node;
	}
}

static void
test_the_node_that_failed_a_client_is_not_its_next_T04(void **state)
{
	struct routing_wish wish = { .has_failed = true };
	struct table_node *failed;

	(void)state;
	put(1, NULL, 1000, 0, 20);
	failed = sample_find(&table, 1);
	memcpy(wish.failed, failed->id, UUID_BYTES);
	assert_null(pick(&wish, 0));
	assert_false(choice_keeps(failed, &wish));
	wish.has_target = true;
	memcpy(wish.target, failed->id, UUID_BYTES);
	assert_null(pick(&wish, 0));
	wish.has_target = false;
	put(2, NULL, 1, 0, 1400);
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(pick(&wish, 0), sample_find(&table, 2));
	assert_true(choice_keeps(sample_find(&table, 2), &wish));
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
test_a_client_enters_where_its_way_is_shortest_and_never_where_it_drains(void **state)
{
	const struct table_relay *entries[CHOICE_ENTRIES_MAX];
	struct routing_wish wish = { 0 };
	struct session_record record = { 0 };
	const struct table_node *node;

	(void)state;
	put(1, NULL, 8, 0, 30);
	node = sample_find(&table, 1);
	/* Nothing is measured: the node's own relay, then the other. */
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 2);
	assert_ptr_equal(entries[0], near_relay);
	assert_int_equal(choice_entries(&table, node, &wish, false, entries), 1);
	strcpy(wish.latencies[0].relay_id, "near");
	wish.latencies[0].latency_ms = 80;
	strcpy(wish.latencies[1].relay_id, "far");
	wish.latencies[1].latency_ms = 10;
	wish.latency_count = 2;
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 2);
	assert_ptr_equal(entries[0], far_relay);
	choice_estimate(node, far_relay, &wish, &record);
	assert_true(record.latency_ms == 40);
	far_relay->load = 0.9; /* a full relay is as good as 90 ms further */
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 2);
	assert_ptr_equal(entries[0], near_relay);
	near_relay->draining = true;
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 2);
	assert_ptr_equal(entries[0], far_relay);
	assert_ptr_equal(entries[1], near_relay);
	far_relay->draining = true;
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 1);
	assert_ptr_equal(entries[0], near_relay);
	table_relay_set_alive(&table, near_relay, false);
	assert_int_equal(choice_entries(&table, node, &wish, true, entries), 0);
}

static void
test_a_node_behind_a_draining_or_full_relay_is_asked_last(void **state)
{
	const struct routing_wish wish = { 0 };
	struct table_node *other;

	(void)state;
	put(1, NULL, 1000, 0, 5);
	put(2, NULL, 1000, 0, 0);
	sample_attach(&table, far_relay, 2, 1, 200);
	other = sample_find(&table, 2);
	near_relay->draining = true;
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(pick(&wish, 0), other);
	near_relay->draining = false;
	near_relay->load = 1;
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(pick(&wish, 0), other);
	choice_note_full(other, 0);
	assert_ptr_equal(pick(&wish, 0), sample_find(&table, 1));
}

/* Twice the capacity, twice the sessions. */
static void
test_sessions_spread_by_capacity(void **state)
{
	enum { NODES = 100, SESSIONS = 100 * (10 + 40) / 2 / 2 };
	const struct routing_wish wish = { 0 };
	uint32_t small = 0, large = 0;

	(void)state;
	for (uint32_t i = 0; i < NODES; i++)
		put(i, NULL, i % 2 == 0 ? 10 : 40, 0, 20);
	for (int i = 0; i < SESSIONS; i++)
		assert_int_equal(table_sessions_add(&table, pick(&wish, 0)->id, 1), 0);
	for (uint32_t i = 0; i < NODES; i++)
		*(i % 2 == 0 ? &small : &large) += sample_find(&table, i)->sessions;
	/* All are half full: 250 and 1000. */
	assert_in_range(small, 225, 275);
	assert_in_range(large, 975, 1025);
}

static void
test_a_new_node_gets_a_small_share_whatever_it_says_T02(void **state)
{
	enum { NODES = 20, DRAWS = 20000 };
	const struct routing_wish wish = { 0 };
	uint32_t of_new = 0;

	(void)state;
	table.wall_ms = INT64_C(2) * TABLE_NEW_MS;
	for (uint32_t i = 0; i < NODES; i++)
		sample_node_put(&table, (struct sample_node){
						.number = i,
						.version = 1,
						.max_connections = i == 0 ? 100000 : 64,
						.registered_at = i == 0 ? "1970-01-02T18:00:00Z"
									: "1970-01-01T00:00:01Z" });
	for (uint32_t i = 0; i < NODES; i++)
		sample_attach(&table, near_relay, i, 1, 20);
	for (int i = 0; i < DRAWS; i++)
		of_new += pick(&wish, 0) == sample_find(&table, 0);
	assert_in_range(of_new, 1, DRAWS / NODES); /* less than its equals */
	table.wall_ms = INT64_C(3) * TABLE_NEW_MS;
	sample_attach(&table, near_relay, 0, 1, 20); /* the next listing weighs it anew */
	of_new = 0;
	for (int i = 0; i < DRAWS; i++)
		of_new += pick(&wish, 0) == sample_find(&table, 0);
	assert_true(of_new > DRAWS / 2);
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
		ON_A_TABLE(test_who_left_after_it_was_drawn_is_not_picked),
		ON_A_TABLE(test_the_one_node_that_fits_is_found_in_a_large_fleet),
		ON_A_TABLE(test_sessions_spread_over_the_fleet_by_free_capacity),
		ON_A_TABLE(test_a_full_node_is_not_picked_and_says_so_for_a_while),
		ON_A_TABLE(test_a_failing_node_is_asked_last_and_forgiven_T04),
		ON_A_TABLE(test_a_node_that_left_three_sessions_unanswered_is_asked_last_T04),
		ON_A_TABLE(test_a_node_that_was_heard_or_long_ago_deaf_is_asked_again_T04),
		ON_A_TABLE(test_the_node_that_failed_a_client_is_not_its_next_T04),
		ON_A_TABLE(test_excluded_nodes_are_not_picked_again),
		ON_A_TABLE(test_latency_counts_the_clients_way_to_the_relay),
		ON_A_TABLE(
			test_a_client_enters_where_its_way_is_shortest_and_never_where_it_drains),
		ON_A_TABLE(test_a_node_behind_a_draining_or_full_relay_is_asked_last),
		ON_A_TABLE(test_sessions_spread_by_capacity),
		ON_A_TABLE(test_a_new_node_gets_a_small_share_whatever_it_says_T02),
		ON_A_TABLE(test_what_is_impossible_is_told_from_what_is_busy),
		ON_A_TABLE(test_a_target_is_picked_or_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

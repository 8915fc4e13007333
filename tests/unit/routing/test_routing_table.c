/* routing_table: what discovery and relays say, in any order, on simulated fleets. */
#include "table_sample.h"

#include <math.h>

static struct table table;

static int
setup(void **state)
{
	(void)state;
	return table_init(&table);
}

static int
teardown(void **state)
{
	(void)state;
	table_fini(&table);
	return 0;
}

static void
detach(struct table_relay *relay, uint32_t number, uint64_t generation)
{
	uint8_t id[UUID_BYTES];

	sample_id(number, id);
	table_leg_detach(&table, relay, id, generation);
}

static void
test_a_node_can_be_chosen_once_it_is_known_online_and_attached(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 1 });
	assert_int_equal(table.all.count, 0);
	sample_attach(&table, relay, 1, 1, 10);
	assert_int_equal(table.all.count, 1);
	/* The other way round: the leg is told of first. */
	sample_attach(&table, relay, 2, 1, 10);
	assert_int_equal(table.all.count, 1);
	sample_node_put(&table, (struct sample_node){ .number = 2, .version = 1 });
	assert_int_equal(table.all.count, 2);
	sample_node_put(&table,
			(struct sample_node){ .number = 2, .version = 2, .status = "offline" });
	assert_int_equal(table.all.count, 1);
}

static void
test_a_leg_of_an_unknown_node_leaves_nothing_behind(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	sample_attach(&table, relay, 1, 1, 0);
	assert_non_null(sample_find(&table, 1));
	detach(relay, 1, 1);
	assert_null(sample_find(&table, 1));
	assert_int_equal(table.nodes.count, 0);
}

/* P17: the close of an old leg must not take the new one away. */
static void
test_detaching_an_old_generation_keeps_the_new_leg_P17(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 1 });
	sample_attach(&table, relay, 1, 7, 10);
	sample_attach(&table, relay, 1, 8, 0);
	detach(relay, 1, 7);
	assert_int_equal(sample_find(&table, 1)->leg_count, 1);
	assert_true(sample_find(&table, 1)->legs[0].generation == 8);
	sample_attach(&table, relay, 1, 7, 10); /* late news */
	assert_true(sample_find(&table, 1)->legs[0].generation == 8);
	detach(relay, 1, 8);
	assert_int_equal(sample_find(&table, 1)->leg_count, 0);
}

/* P18: a relay speaks of its own legs; the same nodes' legs at the other one stay. */
static void
test_a_listing_drops_legs_that_are_gone_and_takes_a_restarted_relay(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");
	struct table_relay *other = sample_relay_put(&table, "r2");

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		sample_node_put(&table, (struct sample_node){ .number = i, .version = 1 });
		sample_attach(&table, relay, i, 100, 0);
		sample_attach(&table, other, i, 5, 0);
	}
	table_listing_begin(relay);
	sample_attach(&table, relay, 1, 2, 0);	 /* anew, with lower generations */
	sample_attach(&table, relay, 3, 101, 0); /* an event while the listing runs */
	table_listing_end(&table, relay);
	assert_int_equal(sample_find(&table, 1)->leg_count, 2);
	assert_int_equal(sample_find(&table, 2)->leg_count, 1);
	assert_ptr_equal(sample_find(&table, 2)->legs[0].relay, other);
	assert_int_equal(sample_find(&table, 3)->leg_count, 2);
}

static void
test_nodes_of_a_dead_relay_are_not_chosen_until_it_is_back(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 1 });
	sample_attach(&table, relay, 1, 1, 0);
	table_relay_set_alive(&table, relay, false);
	assert_int_equal(table.all.count, 0);
	assert_int_equal(sample_find(&table, 1)->leg_count, 1);
	table_relay_set_alive(&table, relay, true);
	assert_int_equal(table.all.count, 1);
	table_relay_remove(&table, relay);
	assert_int_equal(table.all.count, 0);
	assert_int_equal(sample_find(&table, 1)->leg_count, 0);
}

static void
test_old_news_of_a_node_is_passed_over_but_a_snapshot_is_not(void **state)
{
	(void)state;
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 9, .country = "DE" });
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 8, .country = "FR" });
	assert_string_equal(sample_find(&table, 1)->country, "DE");
	table_snapshot_begin(&table);
	sample_node_put(&table, (struct sample_node){ .number = 1,
						      .version = 3,
						      .country = "FR",
						      .from_snapshot = true });
	assert_string_equal(sample_find(&table, 1)->country, "FR");
	/* An event overtakes a page. */
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 5, .country = "US" });
	sample_node_put(&table, (struct sample_node){ .number = 1,
						      .version = 4,
						      .country = "FR",
						      .from_snapshot = true });
	assert_string_equal(sample_find(&table, 1)->country, "US");
}

static void
test_a_snapshot_removes_who_is_not_in_it(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		sample_node_put(&table, (struct sample_node){ .number = i, .version = 1 });
	sample_attach(&table, relay, 4999, 1, 0);
	table_snapshot_begin(&table);
	for (uint32_t i = 0; i < 2000; i++)
		sample_node_put(&table, (struct sample_node){
						.number = i, .version = 1, .from_snapshot = true });
	table_snapshot_end(&table);
	assert_int_equal(table.known, 2000);
	assert_int_equal(table.nodes.count, 2001); /* one is held by its leg */
	assert_int_equal(table.all.count, 0);
}

/* B54: pages that come twice, because nodes were added before their place or an answer was
 * repeated. */
static void
test_a_page_that_comes_twice_counts_once_B54(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		sample_attach(&table, relay, i, 1, 0);
	table_snapshot_begin(&table);
	for (uint32_t i = 0; i < 100; i++)
		sample_node_put(&table, (struct sample_node){ .number = i,
							      .version = 1,
							      .country = "DE",
							      .from_snapshot = true });
	for (uint32_t i = 50; i < 100; i++)
		sample_node_put(&table, (struct sample_node){ .number = i,
							      .version = 1,
							      .country = "DE",
							      .from_snapshot = true });
	table_snapshot_end(&table);
	assert_int_equal(table.known, 100);
	assert_int_equal(table.nodes.count, 100);
	assert_int_equal(table.all.count, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(sample_find(&table, i)->leg_count, 1);
}

static void
test_pools_follow_country_and_region(void **state)
{
	struct routing_wish de = { .country = "DE" }, berlin = { .region = "Berlin" };
	struct routing_wish fr = { .country = "FR" }, paris = { .region = "Paris" };
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		sample_node_put(&table, (struct sample_node){ .number = i,
							      .version = 1,
							      .country = i < 30 ? "DE" : NULL,
							      .region = i < 10 ? "Berlin" : NULL });
		sample_attach(&table, relay, i, 1, 0);
	}
	assert_int_equal(table_pool_of(&table, &de)->count, 30);
	assert_int_equal(table_pool_of(&table, &berlin)->count, 10);
	assert_null(table_pool_of(&table, &fr));
	assert_null(table_pool_of(&table, &paris));
	for (uint32_t i = 0; i < 10; i++) /* they all move */
		sample_node_put(&table, (struct sample_node){ .number = i,
							      .version = 2,
							      .country = "FR",
							      .region = "Paris" });
	assert_int_equal(table_pool_of(&table, &de)->count, 20);
	assert_int_equal(table_pool_of(&table, &paris)->count, 10);
	assert_null(table_pool_of(&table, &berlin));
	assert_int_equal(table.regions.count,
			 2); /* Paris and Paris in France: none that is empty */
	memcpy(paris.country, "FR", 3);
	assert_int_equal(table_pool_of(&table, &paris)->count, 10);
	memcpy(paris.country, "US", 3);
	assert_null(table_pool_of(&table, &paris));
	assert_int_equal(table.all.count, 100);
}

/* T23: what a relay says of its load is a hint with bounds, and not for ever. */
static void
test_a_relays_load_is_bounded_and_ages_T23(void **state)
{
	struct table_relay *relay = sample_relay_put(&table, "r1");

	(void)state;
	table_relay_set_load(relay, 0.5, 1000);
	table_relay_set_load(relay, -1, 2000);
	table_relay_set_load(relay, 1e9, 2000);
	table_relay_set_load(relay, NAN, 2000);
	assert_true(relay->load == 0.5);
	table_relay_age(relay, 1000 + TABLE_LOAD_MS - 1);
	assert_true(relay->load == 0.5);
	table_relay_age(relay, 1000 + TABLE_LOAD_MS);
	assert_true(relay->load == 0);
}

static void
test_sessions_of_a_node_that_is_not_known_yet_are_counted(void **state)
{
	uint8_t id[UUID_BYTES];

	(void)state;
	sample_id(1, id);
	assert_int_equal(table_sessions_add(&table, id, 1), 0);
	sample_node_put(&table, (struct sample_node){ .number = 1, .version = 1 });
	assert_int_equal(sample_find(&table, 1)->sessions, 1);
	table_node_remove(&table, id);
	assert_non_null(sample_find(&table, 1));
	assert_int_equal(table_sessions_add(&table, id, -1), 0);
	assert_null(sample_find(&table, 1));
}

#define ON_A_TABLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_TABLE(test_a_node_can_be_chosen_once_it_is_known_online_and_attached),
		ON_A_TABLE(test_a_leg_of_an_unknown_node_leaves_nothing_behind),
		ON_A_TABLE(test_detaching_an_old_generation_keeps_the_new_leg_P17),
		ON_A_TABLE(test_a_listing_drops_legs_that_are_gone_and_takes_a_restarted_relay),
		ON_A_TABLE(test_nodes_of_a_dead_relay_are_not_chosen_until_it_is_back),
		ON_A_TABLE(test_old_news_of_a_node_is_passed_over_but_a_snapshot_is_not),
		ON_A_TABLE(test_a_snapshot_removes_who_is_not_in_it),
		ON_A_TABLE(test_a_page_that_comes_twice_counts_once_B54),
		ON_A_TABLE(test_pools_follow_country_and_region),
		ON_A_TABLE(test_a_relays_load_is_bounded_and_ages_T23),
		ON_A_TABLE(test_sessions_of_a_node_that_is_not_known_yet_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* discovery_relays: announcements, silence and the choice for nodes. */
#include "discovery/discovery_relays.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static struct relays relays;
static const char *peer = "relay-1";

static int
teardown(void **state)
{
	(void)state;
	discovery_relays_fini(&relays);
	return 0;
}

static int
announce(const char *id, const char *group, double load, bool draining, int64_t now_ms,
	 bool *ret_changed)
{
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;

	relay.id = (char *)(uintptr_t)id;
	relay.group = (char *)(uintptr_t)group;
	relay.relay_endpoint = "wss://relay.example";
	relay.has_load = 1;
	relay.load = load;
	relay.has_draining = 1;
	relay.draining = draining;
	return discovery_relays_announce(&relays, &relay, peer, now_ms, ret_changed);
}

static void
test_a_repeated_announcement_is_no_change_but_a_new_fact_is(void **state)
{
	bool changed = false;

	(void)state;
	assert_int_equal(announce("a", "default", 0, false, 0, &changed), 0);
	assert_true(changed);
	assert_int_equal(announce("a", "default", 0.7, false, 5000, &changed), 0);
	assert_false(changed);
	assert_int_equal(announce("a", "default", 0.7, true, 10000, &changed), 0);
	assert_true(changed);
	assert_int_equal(relays.count, 1);
}

static void
test_a_silent_relay_is_forgotten_and_one_that_speaks_is_not(void **state)
{
	Boson__Common__Relay *gone;
	bool changed;

	(void)state;
	(void)announce("a", "default", 0, false, 0, &changed);
	(void)announce("b", "default", 0, false, 0, &changed);
	(void)announce("b", "default", 0, false, 10000, &changed);
	assert_null(discovery_relays_expire(&relays, RELAYS_SILENCE_MS - 1));
	gone = discovery_relays_expire(&relays, RELAYS_SILENCE_MS);
	assert_non_null(gone);
	assert_string_equal(gone->id, "a");
	boson__common__relay__free_unpacked(gone, NULL);
	assert_null(discovery_relays_expire(&relays, RELAYS_SILENCE_MS));
	assert_int_equal(relays.count, 1);
}

static void
test_nodes_get_the_least_loaded_of_their_group_that_do_not_drain(void **state)
{
	const Boson__Common__Relay *picked[2];
	bool changed;

	(void)state;
	(void)announce("busy", "default", 0.9, false, 0, &changed);
	(void)announce("draining", "default", 0, true, 0, &changed);
	(void)announce("foreign", "other", 0, false, 0, &changed);
	(void)announce("idle", "default", 0.1, false, 0, &changed);
	(void)announce("half", "default", 0.5, false, 0, &changed);
	assert_int_equal(discovery_relays_pick(&relays, "default", picked, 2), 2);
	assert_string_equal(picked[0]->id, "idle");
	assert_string_equal(picked[1]->id, "half");
	assert_int_equal(discovery_relays_pick(&relays, "nobody", picked, 2), 0);
}

static void
test_the_list_of_relays_has_a_limit(void **state)
{
	char id[32];
	bool changed;

	(void)state;
	for (int i = 0; i < RELAYS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "relay-%d", i);
		assert_int_equal(announce(id, "default", 0, false, 0, &changed), 0);
	}
	assert_int_equal(announce("one-more", "default", 0, false, 0, &changed), -ENOSPC);
	assert_int_equal(announce("relay-7", "default", 0, false, 0, &changed), 0);
}

static void
test_relay_id_is_its_first_peers_until_that_falls_silent_T22(void **state)
{
	Boson__Common__Relay *gone;
	bool changed;

	(void)state;
	assert_int_equal(announce("a", "default", 0, false, 0, &changed), 0);
	peer = "relay-2";
	assert_int_equal(announce("a", "default", 0, false, RELAYS_SILENCE_MS - 1, &changed),
			 -EEXIST);
	assert_string_equal(relays.entries[0].peer, "relay-1");
	gone = discovery_relays_expire(&relays, RELAYS_SILENCE_MS);
	assert_non_null(gone);
	boson__common__relay__free_unpacked(gone, NULL);
	assert_int_equal(announce("a", "default", 0, false, RELAYS_SILENCE_MS, &changed), 0);
	peer = "relay-1";
}

static void
test_relays_are_listed_in_order_from_a_cursor_on_and_without_those_that_drain(void **state)
{
	const Boson__Common__Relay *found[2];
	bool changed;

	(void)state;
	(void)announce("c", "default", 0.3, false, 0, &changed);
	(void)announce("a", "default", 0, false, 0, &changed);
	(void)announce("d", "other", 0, false, 0, &changed);
	(void)announce("b", "default", 0, true, 0, &changed);
	assert_int_equal(discovery_relays_after(&relays, NULL, false, found, 2), 2);
	assert_string_equal(found[0]->id, "a");
	assert_string_equal(found[1]->id, "c");
	assert_int_equal(discovery_relays_after(&relays, "c", false, found, 2), 1);
	assert_string_equal(found[0]->id, "d");
	assert_int_equal(discovery_relays_after(&relays, "d", false, found, 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			test_a_repeated_announcement_is_no_change_but_a_new_fact_is, teardown),
		cmocka_unit_test_teardown(
			test_a_silent_relay_is_forgotten_and_one_that_speaks_is_not, teardown),
		cmocka_unit_test_teardown(
			test_nodes_get_the_least_loaded_of_their_group_that_do_not_drain, teardown),
		cmocka_unit_test_teardown(test_the_list_of_relays_has_a_limit, teardown),
		cmocka_unit_test_teardown(
			test_relay_id_is_its_first_peers_until_that_falls_silent_T22, teardown),
		cmocka_unit_test_teardown(
			test_relays_are_listed_in_order_from_a_cursor_on_and_without_those_that_drain,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

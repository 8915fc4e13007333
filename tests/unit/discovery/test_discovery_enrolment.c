/*
 * discovery_enrolment_store and registry_rekey: who waits, how many may, and what a change of keys
 * does to the registry.
 */
#include "discovery/discovery_enrolment_store.h"
#include "discovery/discovery_registry.h"
#include "discovery/discovery_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1767225600000
#define DAY (INT64_C(24) * 3600 * 1000)

static struct store *store;

static int
setup(void **state)
{
	char reason[256];

	(void)state;
	return discovery_store_open("sqlite::memory:", &store, reason, sizeof(reason));
}

static int
teardown(void **state)
{
	(void)state;
	store_close(&store);
	return 0;
}

static struct enrolment
make(unsigned number, int64_t asked_ms)
{
	struct enrolment made = { .number = number + 1, .asked_ms = asked_ms };

	snprintf(made.node_id, sizeof(made.node_id), "0f1e2d3c-4b5a-4697-8877-%012x", number);
	strcpy(made.public_key, "eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo=");
	strcpy(made.address, "192.0.2.1");
	return made;
}

static void
test_what_is_added_is_found_decided_and_removed(void **state)
{
	struct enrolment asked = make(7, NOW), found;

	(void)state;
	assert_int_equal(enrolment_find(store, asked.node_id, &found), -ENOENT);
	assert_int_equal(enrolment_add(store, &asked), 0);
	assert_int_equal(enrolment_add(store, &asked), -EEXIST);
	assert_int_equal(enrolment_find(store, asked.node_id, &found), 0);
	assert_int_equal(found.state, ENROLMENT_PENDING);
	assert_string_equal(found.public_key, asked.public_key);
	assert_string_equal(found.address, "192.0.2.1");
	assert_true(found.asked_ms == NOW && found.last_asked_ms == NOW && found.decided_ms == 0);
	assert_int_equal(enrolment_asked(store, asked.node_id, NOW + 1), 0);
	assert_int_equal(enrolment_decide(store, asked.node_id, ENROLMENT_REFUSED, NOW + 2), 0);
	assert_int_equal(enrolment_find(store, asked.node_id, &found), 0);
	assert_int_equal(found.state, ENROLMENT_REFUSED);
	assert_true(found.last_asked_ms == NOW + 1 && found.decided_ms == NOW + 2);
	assert_int_equal(enrolment_remove(store, asked.node_id), 0);
	assert_int_equal(enrolment_find(store, asked.node_id, &found), -ENOENT);
	assert_int_equal(enrolment_decide(store, asked.node_id, ENROLMENT_APPROVED, NOW), -ENOENT);
}

/* A flood of strangers ends somewhere, and who gave up makes room (T02). */
static void
test_only_so_many_may_wait_and_the_silent_make_room(void **state)
{
	struct enrolment asked, found;

	(void)state;
	assert_int_equal(store_begin(store), 0);
	for (unsigned i = 0; i < ENROLMENTS_MAX; i++) {
		asked = make(i, i < 10 ? NOW - 8 * DAY : NOW);
		assert_int_equal(enrolment_add(store, &asked), 0);
	}
	assert_int_equal(store_commit(store), 0);
	asked = make(ENROLMENTS_MAX, NOW);
	assert_int_equal(enrolment_add(store, &asked), 0); /* ten had been silent for a week */
	assert_int_equal(enrolment_find(store, make(3, 0).node_id, &found), -ENOENT);
	assert_int_equal(enrolment_find(store, make(10, 0).node_id, &found), 0);
	for (unsigned i = 1; i < 10; i++) {
		asked = make(ENROLMENTS_MAX + i, NOW);
		assert_int_equal(enrolment_add(store, &asked), 0);
	}
	asked = make(ENROLMENTS_MAX + 10, NOW);
	assert_int_equal(enrolment_add(store, &asked), -ENOSPC);
}

static void
test_a_page_is_of_one_state_and_in_order(void **state)
{
	struct enrolment rows[4];

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct enrolment asked = make(i, NOW);

		assert_int_equal(enrolment_add(store, &asked), 0);
		if (i % 2 == 1)
			assert_int_equal(
				enrolment_decide(store, asked.node_id, ENROLMENT_APPROVED, NOW), 0);
	}
	assert_int_equal(enrolment_list(store, ENROLMENT_PENDING, 0, rows, 2), 2);
	assert_true(rows[0].number == 1 && rows[1].number == 3);
	assert_int_equal(enrolment_list(store, ENROLMENT_PENDING, 3, rows, 4), 1);
	assert_true(rows[0].number == 5);
	assert_int_equal(enrolment_list(store, ENROLMENT_APPROVED, 0, rows, 4), 3);
	assert_int_equal(enrolment_list(store, ENROLMENT_REFUSED, 0, rows, 4), 0);
}

/* The old key is free, the new one is the node's, and nobody else's. */
static void
test_a_node_is_found_by_its_new_key_alone(void **state)
{
	const uint8_t ids[2][UUID_BYTES] = { { 1 }, { 2 } };
	const struct key keys[3] = { { { 1 } }, { { 2 } }, { { 3 } } };
	struct registry registry;
	struct registry_node *nodes[2];

	(void)state;
	assert_int_equal(registry_init(&registry, 90000, 1), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			registry_put(&registry, ids[i], &keys[i],
				     boson__discovery__node__unpack(NULL, 0, (const uint8_t *)""),
				     NOW, &nodes[i]),
			0);
	uint64_t version = nodes[0]->version;
	assert_int_equal(registry_rekey(&registry, nodes[0], &keys[1]), -EEXIST);
	assert_ptr_equal(registry_find_key(&registry, &keys[0]), nodes[0]);
	assert_int_equal(registry_rekey(&registry, nodes[0], &keys[2]), 0);
	assert_true(nodes[0]->version > version);
	assert_null(registry_find_key(&registry, &keys[0]));
	assert_ptr_equal(registry_find_key(&registry, &keys[2]), nodes[0]);
	assert_int_equal(registry_binding(&registry, ids[0], &keys[0]), REGISTRY_ID_TAKEN);
	assert_int_equal(registry_binding(&registry, ids[0], &keys[2]), REGISTRY_BOUND);
	assert_int_equal(registry_rekey(&registry, nodes[0], &keys[2]), 0);
	assert_int_equal(registry_rekey(&registry, nodes[1], &keys[0]), 0);
	registry_fini(&registry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_added_is_found_decided_and_removed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_so_many_may_wait_and_the_silent_make_room,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_page_is_of_one_state_and_in_order, setup,
						teardown),
		cmocka_unit_test(test_a_node_is_found_by_its_new_key_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

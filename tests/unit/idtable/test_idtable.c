/* idtable: what is added is found, and only that; the hash is SipHash-2-4. */
#include "idtable/idtable.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

struct thing {
	uint32_t value;
	struct idtable_link link;
	uint8_t id[16];
	bool seen;
};

static void
thing_init(struct thing *thing, uint32_t value)
{
	memset(thing, 0, sizeof(*thing));
	thing->value = value;
	memcpy(thing->id + 5, &value, sizeof(value));
}

static void
table_init(struct idtable *table)
{
	assert_int_equal(
		idtable_init(table, offsetof(struct thing, link), offsetof(struct thing, id), 16),
		0);
}

/* The first vectors of the paper's reference: key 00..0f, input 00, 00 01, ... */
static void
test_hash_gives_the_published_vectors(void **state)
{
	static const uint64_t expected[] = { 0x726fdb47dd0e0e31, 0x74f839c593dc67fd,
					     0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d };
	const uint64_t secret[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t input[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(input); i++)
		input[i] = i;
	for (size_t n = 0; n < 4; n++)
		assert_true(idtable_siphash(secret, input, n) == expected[n]);
	assert_true(idtable_siphash(secret, input, 15) == 0xa129ca6149be45e5);
}

static void
test_all_of_many_things_are_found_while_the_table_grows(void **state)
{
	enum { THINGS = 10000 };
	struct thing *things = calloc(THINGS, sizeof(*things));
	struct idtable table;
	struct thing stranger;

	(void)state;
	table_init(&table);
	for (uint32_t i = 0; i < THINGS; i++) {
		thing_init(&things[i], i);
		assert_int_equal(idtable_add(&table, &things[i]), 0);
		assert_ptr_equal(idtable_find(&table, things[i / 2].id), &things[i / 2]);
	}
	assert_int_equal(table.count, THINGS);
	assert_true(table.bucket_count >= THINGS / 2);
	thing_init(&stranger, THINGS);
	assert_null(idtable_find(&table, stranger.id));
	idtable_fini(&table);
	free(things);
}

static void
test_a_second_thing_with_the_same_key_is_refused(void **state)
{
	struct thing first, second;
	struct idtable table;

	(void)state;
	table_init(&table);
	thing_init(&first, 7);
	thing_init(&second, 7);
	assert_int_equal(idtable_add(&table, &first), 0);
	assert_int_equal(idtable_add(&table, &second), -EEXIST);
	assert_ptr_equal(idtable_find(&table, second.id), &first);
	idtable_fini(&table);
}

static void
test_what_was_removed_is_gone_and_the_rest_stays(void **state)
{
	enum { THINGS = 500 };
	static struct thing things[THINGS];
	struct idtable table;

	(void)state;
	table_init(&table);
	for (uint32_t i = 0; i < THINGS; i++) {
		thing_init(&things[i], i);
		assert_int_equal(idtable_add(&table, &things[i]), 0);
	}
	for (uint32_t i = 0; i < THINGS; i += 3)
		idtable_remove(&table, &things[i]);
	for (uint32_t i = 0; i < THINGS; i++)
		assert_ptr_equal(idtable_find(&table, things[i].id),
				 i % 3 == 0 ? NULL : &things[i]);
	idtable_fini(&table);
}

static void
test_a_walk_meets_each_thing_once(void **state)
{
	enum { THINGS = 300 };
	static struct thing things[THINGS];
	struct idtable table;
	size_t met = 0;

	(void)state;
	table_init(&table);
	assert_null(idtable_next(&table, NULL));
	for (uint32_t i = 0; i < THINGS; i++) {
		thing_init(&things[i], i);
		assert_int_equal(idtable_add(&table, &things[i]), 0);
	}
	for (struct thing *thing = NULL; (thing = idtable_next(&table, thing)) != NULL; met++) {
		assert_false(thing->seen);
		thing->seen = true;
	}
	assert_int_equal(met, THINGS);
	idtable_fini(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_gives_the_published_vectors),
		cmocka_unit_test(test_all_of_many_things_are_found_while_the_table_grows),
		cmocka_unit_test(test_a_second_thing_with_the_same_key_is_refused),
		cmocka_unit_test(test_what_was_removed_is_gone_and_the_rest_stays),
		cmocka_unit_test(test_a_walk_meets_each_thing_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The allocator of unpacked messages has a cap and gives everything back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus_arena.h"

#include <string.h>

static void *
take(struct bus_arena *arena, size_t n)
{
	return arena->allocator.alloc(arena->allocator.allocator_data, n);
}

static void
test_memory_is_aligned_and_does_not_overlap(void **state)
{
	struct bus_arena arena;
	uint8_t *blocks[1000];

	(void)state;
	assert_int_equal(bus_arena_init(&arena), 0);
	for (size_t i = 0; i < 1000; i++) {
		blocks[i] = take(&arena, i % 97 + 1);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % sizeof(max_align_t) % 16, 0);
		memset(blocks[i], (int)(i & 0xff), i % 97 + 1);
	}
	for (size_t i = 0; i < 1000; i++) {
		for (size_t j = 0; j < i % 97 + 1; j++)
			assert_int_equal(blocks[i][j], i & 0xff);
	}
	bus_arena_fini(&arena);
}

static void
test_cap_holds_and_reset_makes_room_again(void **state)
{
	struct bus_arena arena;
	size_t taken = 0;

	(void)state;
	assert_int_equal(bus_arena_init(&arena), 0);
	while (take(&arena, 10000))
		taken += 10000;
	assert_true(taken <= BUS_ARENA_MAX_BYTES + BUS_ARENA_FIRST_BYTES);
	assert_true(taken >= BUS_ARENA_MAX_BYTES / 2);
	assert_null(take(&arena, SIZE_MAX));
	bus_arena_reset(&arena);
	assert_non_null(take(&arena, 10000));
	bus_arena_fini(&arena);
	bus_arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_aligned_and_does_not_overlap),
		cmocka_unit_test(test_cap_holds_and_reset_makes_room_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The admission model: who is admitted, and which addresses are given out. T31 (one address a
 * peer), T47 (ids).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admission_rig.h"

#include <errno.h>
#include <string.h>

static void
test_the_first_session_gets_the_address_after_the_nodes(void **state)
{
	struct admission *a = ordinary();

	(void)state;
	expect_addresses(a, ADMISSION_NUMBER_NODE, "10.90.0.1", "fd48:6967:6773::1");
	assert_int_equal(admit(a, 1, 1).number, 2);
	expect_addresses(a, 2, "10.90.0.2", "fd48:6967:6773::2");
	expect_addresses(a, 300, "10.90.1.44", "fd48:6967:6773::12c");
	admission_free(&a);
}

static void
test_each_session_has_an_address_of_its_own_and_the_lowest_is_used_again(void **state)
{
	struct admission *a = ordinary();
	struct admission_session ended;

	(void)state;
	for (unsigned n = 1; n <= 10; n++)
		assert_int_equal(admit(a, n, n).number, n + 1);
	assert_true(admission_end(a, ask(4, 4).id, &ended));
	assert_int_equal(ended.number, 5);
	assert_true(admission_end(a, ask(7, 7).id, &ended));
	assert_int_equal(admission_count(a), 8);
	assert_int_equal(admit(a, 20, 20).number, 5);
	assert_int_equal(admit(a, 21, 21).number, 8);
	assert_int_equal(admit(a, 22, 22).number, 12);
	admission_free(&a);
}

/* B46: the same request twice has one effect and one answer. */
static void
test_b46_the_same_session_again_gets_the_same_addresses(void **state)
{
	struct admission *a = ordinary();
	struct admission_session first = admit(a, 1, 1), asked = ask(1, 1), again, replaced;

	(void)state;
	admit(a, 2, 2);
	assert_int_equal(admit_at(a, &asked, NOW_MS, &again, &replaced), ADMISSION_RENEWED);
	assert_int_equal(again.number, first.number);
	assert_int_equal(replaced.number, 0);
	assert_int_equal(admission_count(a), 2);
	admission_free(&a);
}

/* T05: knowing a session's id is not enough to get its addresses. */
static void
test_t05_a_session_with_another_key_is_refused_and_unharmed(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked = ask(1, 2);

	(void)state;
	admit(a, 1, 1);
	asked.expires_at_ms = NOW_MS + 5 * HOUR_MS;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_OTHER_KEY);
	assert_int_equal(admission_count(a), 1);
	assert_int_equal(admission_at(a, 0)->expires_at_ms, NOW_MS + HOUR_MS);
	assert_int_equal(admission_at(a, 0)->client_key.bytes[31], 1);
	admission_free(&a);
}

static void
test_a_newer_session_of_a_key_replaces_the_older_one(void **state)
{
	struct admission *a = ordinary();
	struct admission_session older = admit(a, 1, 1), asked = ask(2, 1), made, replaced, ended;

	(void)state;
	assert_int_equal(admit_at(a, &asked, NOW_MS, &made, &replaced), ADMISSION_ADMITTED);
	assert_int_equal(replaced.number, older.number);
	assert_memory_equal(replaced.id, older.id, UUID_BYTES);
	assert_int_not_equal(made.number, older.number);
	assert_int_equal(admission_count(a), 1);
	assert_false(admission_end(a, older.id, &ended));
	assert_true(admission_end(a, made.id, &ended));
	admission_free(&a);
}

static void
test_on_a_full_node_a_key_may_still_replace_its_own_session(void **state)
{
	struct admission *a = admission_with("10.90.0.0", 16, 2);
	struct admission_session asked = ask(3, 1), made, replaced;

	(void)state;
	admit(a, 1, 1);
	admit(a, 2, 2);
	assert_int_equal(admit_at(a, &asked, NOW_MS, &made, &replaced), ADMISSION_ADMITTED);
	assert_int_equal(replaced.number, 2);
	assert_int_equal(made.number, 2);
	assert_int_equal(admission_count(a), 2);
	admission_free(&a);
}

static void
test_a_full_node_refuses_until_a_session_ends(void **state)
{
	struct admission *a = admission_with("10.90.0.0", 16, 3);
	struct admission_session asked = ask(9, 9), ended;

	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		admit(a, n, n);
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_FULL);
	assert_non_null(admission_reason(ADMISSION_FULL));
	asked = ask(2, 2);
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_RENEWED);
	assert_true(admission_end(a, ask(1, 1).id, &ended));
	admit(a, 9, 9);
	admission_free(&a);
}

/* Neither the network's, nor the node's, nor the broadcast address is ever given out. */
static void
test_the_pool_ends_before_its_broadcast_address(void **state)
{
	struct admission *a = admission_with("192.168.77.64", 29, 64);
	struct admission_session asked = ask(9, 9);

	(void)state;
	for (unsigned n = 1; n <= 5; n++)
		admit(a, n, n);
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_FULL);
	expect_addresses(a, 1, "192.168.77.65", "fd48:6967:6773::1");
	expect_addresses(a, 6, "192.168.77.70", "fd48:6967:6773::6");
	for (size_t i = 0; i < admission_count(a); i++) {
		assert_true(admission_at(a, i)->number >= 2);
		assert_true(admission_at(a, i)->number <= 6);
	}
	admission_free(&a);
}

static void
test_the_nodes_own_key_and_the_zero_key_are_no_clients(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked = ask(1, 1);

	(void)state;
	memset(asked.client_key.bytes, 0, KEY_BYTES);
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_BAD_KEY);
	memset(asked.client_key.bytes, 0xee, KEY_BYTES);
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_BAD_KEY);
	assert_int_equal(admission_count(a), 0);
	admission_free(&a);
}

static void
test_ending_what_is_not_there_changes_nothing(void **state)
{
	struct admission *a = ordinary();
	struct admission_session ended;

	(void)state;
	admit(a, 1, 1);
	assert_false(admission_end(a, ask(2, 2).id, &ended));
	assert_int_equal(admission_count(a), 1);
	admission_free(&a);
}

static void
test_a_restored_session_keeps_its_addresses(void **state)
{
	struct admission *a = ordinary();
	struct admission_session stored = ask(1, 1);

	(void)state;
	stored.number = 7;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.7", "fd48:6967:6773::7"), 0);
	assert_int_equal(admit(a, 2, 2).number, 2);
	assert_int_equal(admission_at(a, 0)->number, 7);
	admission_clear(a);
	assert_int_equal(admission_count(a), 0);
	admission_free(&a);
}

static void
test_a_session_of_another_pool_or_against_another_is_not_restored(void **state)
{
	struct admission *a = ordinary();
	struct admission_session stored = ask(1, 1);

	(void)state;
	stored.number = 7;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.91.0.7", "fd48:6967:6773::7"), -EINVAL);
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.7", "fd49::7"), -EINVAL);
	for (uint32_t number = 0; number <= 1; number++) {
		stored.number = number;
		assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.1", "fd48:6967:6773::1"),
				 -EINVAL);
	}
	stored.number = 65535;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.255.255", "fd48:6967:6773::ffff"),
			 -EINVAL);
	stored.number = 65534;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.255.254", "fd48:6967:6773::fffe"),
			 0);
	/* The same id, key or number once more. */
	stored = ask(1, 2);
	stored.number = 8;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.8", "fd48:6967:6773::8"), -EINVAL);
	stored = ask(2, 1);
	stored.number = 8;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.8", "fd48:6967:6773::8"), -EINVAL);
	stored = ask(3, 3);
	stored.number = 65534;
	assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.255.254", "fd48:6967:6773::fffe"),
			 -EINVAL);
	admission_free(&a);
}

static void
test_pools_and_sizes_out_of_range_are_refused(void **state)
{
	struct admission_options options = options_with("10.90.0.0", 16, 64);
	struct admission *a = NULL;

	(void)state;
	options.pool.bits4 = 30;
	assert_int_equal(admission_new(&options, &a), -EINVAL);
	options.pool.bits4 = 7;
	assert_int_equal(admission_new(&options, &a), -EINVAL);
	options.pool.bits4 = 16;
	options.pool.bits6 = 113;
	assert_int_equal(admission_new(&options, &a), -EINVAL);
	options.pool.bits6 = 64;
	options.sessions_max = ADMISSION_SESSIONS_MAX + 1;
	assert_int_equal(admission_new(&options, &a), -EINVAL);
	options.sessions_max = 0;
	assert_int_equal(admission_new(&options, &a), -EINVAL);
}

/* A long mixed history, compared with what must hold after each step. */
static void
test_whatever_happens_no_two_sessions_share_an_address_or_a_key(void **state)
{
	struct admission *a = admission_with("10.90.0.0", 26, 40);
	uint32_t random = 12345;
	int64_t now_ms = NOW_MS;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		struct admission_session asked, made, other;

		random = random * 1664525 + 1013904223;
		asked = ask((random >> 8) % 80, (random >> 16) % 60);
		asked.expires_at_ms = now_ms + (int64_t)(random >> 20) * 10;
		now_ms += 50;
		if (random % 5 == 0)
			admission_end(a, asked.id, &other);
		else if (random % 5 == 1)
			expire_at(a, now_ms, &other);
		else
			admit_at(a, &asked, now_ms, &made, &other);
		assert_true(admission_count(a) <= 40);
		for (size_t i = 0; i < admission_count(a); i++) {
			const struct admission_session *x = admission_at(a, i);

			assert_true(x->number >= 2 && x->number <= 62);
			for (size_t j = 0; j < i; j++) {
				const struct admission_session *y = admission_at(a, j);

				assert_true(x->number != y->number);
				assert_false(key_is_equal(&x->client_key, &y->client_key));
				assert_memory_not_equal(x->id, y->id, UUID_BYTES);
			}
		}
	}
	admission_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_session_gets_the_address_after_the_nodes),
		cmocka_unit_test(
			test_each_session_has_an_address_of_its_own_and_the_lowest_is_used_again),
		cmocka_unit_test(test_b46_the_same_session_again_gets_the_same_addresses),
		cmocka_unit_test(test_t05_a_session_with_another_key_is_refused_and_unharmed),
		cmocka_unit_test(test_a_newer_session_of_a_key_replaces_the_older_one),
		cmocka_unit_test(test_on_a_full_node_a_key_may_still_replace_its_own_session),
		cmocka_unit_test(test_a_full_node_refuses_until_a_session_ends),
		cmocka_unit_test(test_the_pool_ends_before_its_broadcast_address),
		cmocka_unit_test(test_the_nodes_own_key_and_the_zero_key_are_no_clients),
		cmocka_unit_test(test_ending_what_is_not_there_changes_nothing),
		cmocka_unit_test(test_a_restored_session_keeps_its_addresses),
		cmocka_unit_test(test_a_session_of_another_pool_or_against_another_is_not_restored),
		cmocka_unit_test(test_pools_and_sizes_out_of_range_are_refused),
		cmocka_unit_test(test_whatever_happens_no_two_sessions_share_an_address_or_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

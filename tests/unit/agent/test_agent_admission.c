/*
 * The admission model: who is admitted, which addresses are given out, and when they are free
 * again. T31 (one address a peer), T47 (ids), T48 (clocks that differ).
 */
#include "agent/agent_admission.h"
#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS	INT64_C(1700000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS	(24 * HOUR_MS)

/* What the steady clock shows at NOW_MS of the wall clock. */
#define STEADY_MS INT64_C(5000000)

/* The moment of both clocks while nobody sets the wall clock. */
static struct admission_clock
at(int64_t wall_ms)
{
	return (struct admission_clock){ wall_ms, wall_ms - NOW_MS + STEADY_MS };
}

static enum admission_verdict
admit_at(struct admission *admission, const struct admission_session *asked, int64_t now_ms,
	 struct admission_session *ret_session, struct admission_session *ret_replaced)
{
	const struct admission_clock now = at(now_ms);

	return admission_admit(admission, asked, &now, ret_session, ret_replaced);
}

static bool
expire_at(struct admission *admission, int64_t now_ms, struct admission_session *ret_ended)
{
	return admission_expire(admission, at(now_ms).steady_ms, ret_ended);
}

static int
restore_at(struct admission *admission, const struct admission_session *stored, int64_t now_ms,
	   const char *address4, const char *address6)
{
	const struct admission_clock now = at(now_ms);

	return admission_restore(admission, stored, address4, address6, &now);
}

static struct admission_options
options_with(const char *base4, unsigned bits4, unsigned sessions_max)
{
	struct admission_options options = { .sessions_max = sessions_max,
					     .lifetime_max_ms = 24 * HOUR_MS };

	assert_int_equal(address_parse(base4, &options.pool.base4), 0);
	assert_int_equal(address_parse("fd48:6967:6773::", &options.pool.base6), 0);
	options.pool.bits4 = bits4;
	options.pool.bits6 = 64;
	memset(options.node_key.bytes, 0xee, KEY_BYTES);
	return options;
}

static struct admission *
admission_with(const char *base4, unsigned bits4, unsigned sessions_max)
{
	struct admission_options options = options_with(base4, bits4, sessions_max);
	struct admission *admission;

	assert_int_equal(admission_new(&options, &admission), 0);
	return admission;
}

static struct admission *
ordinary(void)
{
	return admission_with("10.90.0.0", 16, 64);
}

/* Session n of client key k, for an hour. */
static struct admission_session
ask(unsigned n, unsigned k)
{
	struct admission_session asked = { .expires_at_ms = NOW_MS + HOUR_MS };

	asked.id[0] = 1;
	asked.id[14] = (uint8_t)(n >> 8);
	asked.id[15] = (uint8_t)n;
	asked.client_key.bytes[0] = 1;
	asked.client_key.bytes[30] = (uint8_t)(k >> 8);
	asked.client_key.bytes[31] = (uint8_t)k;
	return asked;
}

static struct admission_session
admit(struct admission *admission, unsigned n, unsigned k)
{
	struct admission_session asked = ask(n, k), made, replaced;

	assert_int_equal(admit_at(admission, &asked, NOW_MS, &made, &replaced), ADMISSION_ADMITTED);
	assert_int_equal(replaced.number, 0);
	return made;
}

static enum admission_verdict
verdict_of(struct admission *admission, const struct admission_session *asked, int64_t now_ms)
{
	struct admission_session made, replaced;

	return admit_at(admission, asked, now_ms, &made, &replaced);
}

static void
expect_addresses(const struct admission *admission, uint32_t number, const char *expected4,
		 const char *expected6)
{
	char text[ADMISSION_ADDRESS_BYTES];

	admission_address4(admission, number, text);
	assert_string_equal(text, expected4);
	admission_address6(admission, number, text);
	assert_string_equal(text, expected6);
}

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

static void
test_a_session_is_renewed_to_the_later_expiry(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked = ask(1, 1), made, replaced;

	(void)state;
	admit(a, 1, 1);
	asked.expires_at_ms = NOW_MS + 2 * HOUR_MS;
	assert_int_equal(admit_at(a, &asked, NOW_MS, &made, &replaced), ADMISSION_RENEWED);
	assert_int_equal(made.expires_at_ms, NOW_MS + 2 * HOUR_MS);
	asked.expires_at_ms = NOW_MS + HOUR_MS;
	assert_int_equal(admit_at(a, &asked, NOW_MS, &made, &replaced), ADMISSION_RENEWED);
	assert_int_equal(made.expires_at_ms, NOW_MS + 2 * HOUR_MS);
	assert_int_equal(admission_at(a, 0)->expires_at_ms, NOW_MS + 2 * HOUR_MS);
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
test_an_expired_session_is_refused_beyond_the_leeway(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked = ask(1, 1);

	(void)state;
	asked.expires_at_ms = NOW_MS - ADMISSION_LEEWAY_MS;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_EXPIRED);
	asked.expires_at_ms = NOW_MS - ADMISSION_LEEWAY_MS + 1;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_ADMITTED);
	admission_free(&a);
}

static void
test_a_session_that_is_too_long_is_refused(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked = ask(1, 1);

	(void)state;
	asked.expires_at_ms = NOW_MS + 24 * HOUR_MS + ADMISSION_LEEWAY_MS + 1;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_TOO_LONG);
	asked.expires_at_ms = INT64_MAX;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_TOO_LONG);
	assert_int_equal(verdict_of(a, &asked, 0), ADMISSION_TOO_LONG);
	asked.expires_at_ms = INT64_MIN;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_EXPIRED);
	asked.expires_at_ms = NOW_MS + 24 * HOUR_MS + ADMISSION_LEEWAY_MS;
	assert_int_equal(verdict_of(a, &asked, NOW_MS), ADMISSION_ADMITTED);
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
test_expired_sessions_are_taken_out_one_by_one(void **state)
{
	struct admission *a = ordinary();
	struct admission_session asked, made, replaced, ended;
	unsigned out = 0;

	(void)state;
	for (unsigned n = 1; n <= 6; n++) {
		asked = ask(n, n);
		asked.expires_at_ms = NOW_MS + (n % 2 ? 1000 : HOUR_MS);
		assert_int_equal(admit_at(a, &asked, NOW_MS, &made, &replaced), ADMISSION_ADMITTED);
	}
	assert_false(expire_at(a, NOW_MS + 1000 + ADMISSION_LEEWAY_MS - 1, &ended));
	while (expire_at(a, NOW_MS + 1000 + ADMISSION_LEEWAY_MS, &ended)) {
		assert_int_equal(ended.id[15] % 2, 1);
		out++;
	}
	assert_int_equal(out, 3);
	assert_int_equal(admission_count(a), 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(admission_at(a, i)->id[15] % 2, 0);
	assert_null(admission_at(a, 3));
	admission_free(&a);
}

/* The same moment by the steady clock, with a wall clock that was set. */
static struct admission_clock
jumped(int64_t now_ms, int64_t by_ms)
{
	struct admission_clock now = at(now_ms);

	now.wall_ms += by_ms;
	return now;
}

static void
test_t48_a_session_is_renewed_whatever_the_wall_clock_says(void **state)
{
	static const int64_t jumps_ms[] = { 300 * DAY_MS, -300 * DAY_MS };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct admission_clock now = jumped(NOW_MS + 1000, jumps_ms[i]);
		struct admission_session asked = ask(1, 1), made, replaced, ended;
		struct admission *a = ordinary();

		admit(a, 1, 1);
		asked.expires_at_ms = NOW_MS + 2 * HOUR_MS;
		assert_int_equal(admission_admit(a, &asked, &now, &made, &replaced),
				 ADMISSION_RENEWED);
		assert_int_equal(admission_left_ms(&made, now.steady_ms),
				 2 * HOUR_MS - 1000 + ADMISSION_LEEWAY_MS);
		assert_false(expire_at(a, NOW_MS + 2 * HOUR_MS, &ended));
		asked.expires_at_ms = NOW_MS + 1000 + DAY_MS + ADMISSION_LEEWAY_MS + 1;
		assert_int_equal(admission_admit(a, &asked, &now, &made, &replaced),
				 ADMISSION_TOO_LONG);
		asked.expires_at_ms = INT64_MAX;
		assert_int_equal(admission_admit(a, &asked, &now, &made, &replaced),
				 ADMISSION_TOO_LONG);
		assert_true(expire_at(a, NOW_MS + 2 * HOUR_MS + ADMISSION_LEEWAY_MS, &ended));
		admission_free(&a);
	}
}

/* A write failed, and the model is read anew: sessions end when they would have ended. */
static void
test_t48_what_is_put_back_ends_when_it_would_have(void **state)
{
	struct admission_clock now = jumped(NOW_MS + 1000, 300 * DAY_MS);
	struct admission_session stored = ask(1, 1), asked = ask(1, 1), made, replaced;
	struct admission *a = ordinary();

	(void)state;
	stored.number = admit(a, 1, 1).number;
	/* A renewal that was not written. */
	asked.expires_at_ms += HOUR_MS;
	assert_int_equal(admission_admit(a, &asked, &now, &made, &replaced), ADMISSION_RENEWED);
	/* And once more, after a reading that came to nothing. */
	for (int i = 0; i < 2; i++)
		admission_clear(a);
	assert_int_equal(admission_restore(a, &stored, "10.90.0.2", "fd48:6967:6773::2", &now), 0);
	assert_int_equal(admission_left_ms(admission_at(a, 0), now.steady_ms),
			 HOUR_MS - 1000 + ADMISSION_LEEWAY_MS);
	/* Ended, but that was not written. */
	assert_true(admission_end(a, stored.id, &made));
	assert_int_equal(admission_restore(a, &stored, "10.90.0.2", "fd48:6967:6773::2", &now), 0);
	assert_int_equal(admission_left_ms(admission_at(a, 0), now.steady_ms),
			 HOUR_MS - 1000 + ADMISSION_LEEWAY_MS);
	admission_free(&a);
}

static void
test_t48_at_start_a_session_gets_no_more_than_any_session(void **state)
{
	static const int64_t expiries_ms[] = { INT64_MAX, NOW_MS + 400 * DAY_MS, NOW_MS + HOUR_MS,
					       NOW_MS,	  NOW_MS - DAY_MS,	 INT64_MIN };
	static const int64_t expected_ms[] = { DAY_MS + 2 * ADMISSION_LEEWAY_MS,
					       DAY_MS + 2 * ADMISSION_LEEWAY_MS,
					       HOUR_MS + ADMISSION_LEEWAY_MS,
					       ADMISSION_LEEWAY_MS,
					       0,
					       0 };

	(void)state;
	for (size_t i = 0; i < sizeof(expiries_ms) / sizeof(expiries_ms[0]); i++) {
		struct admission_session stored = ask(1, 1);
		struct admission *a = ordinary();

		stored.number = 2;
		stored.expires_at_ms = expiries_ms[i];
		assert_int_equal(restore_at(a, &stored, NOW_MS, "10.90.0.2", "fd48:6967:6773::2"),
				 0);
		assert_int_equal(admission_left_ms(admission_at(a, 0), STEADY_MS), expected_ms[i]);
		admission_free(&a);
	}
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
		cmocka_unit_test(test_a_session_is_renewed_to_the_later_expiry),
		cmocka_unit_test(test_t05_a_session_with_another_key_is_refused_and_unharmed),
		cmocka_unit_test(test_a_newer_session_of_a_key_replaces_the_older_one),
		cmocka_unit_test(test_on_a_full_node_a_key_may_still_replace_its_own_session),
		cmocka_unit_test(test_a_full_node_refuses_until_a_session_ends),
		cmocka_unit_test(test_the_pool_ends_before_its_broadcast_address),
		cmocka_unit_test(test_an_expired_session_is_refused_beyond_the_leeway),
		cmocka_unit_test(test_a_session_that_is_too_long_is_refused),
		cmocka_unit_test(test_the_nodes_own_key_and_the_zero_key_are_no_clients),
		cmocka_unit_test(test_expired_sessions_are_taken_out_one_by_one),
		cmocka_unit_test(test_t48_a_session_is_renewed_whatever_the_wall_clock_says),
		cmocka_unit_test(test_t48_what_is_put_back_ends_when_it_would_have),
		cmocka_unit_test(test_t48_at_start_a_session_gets_no_more_than_any_session),
		cmocka_unit_test(test_ending_what_is_not_there_changes_nothing),
		cmocka_unit_test(test_a_restored_session_keeps_its_addresses),
		cmocka_unit_test(test_a_session_of_another_pool_or_against_another_is_not_restored),
		cmocka_unit_test(test_pools_and_sizes_out_of_range_are_refused),
		cmocka_unit_test(test_whatever_happens_no_two_sessions_share_an_address_or_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

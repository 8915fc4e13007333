/*
 * When an admitted session ends, and its address is free again: expiry, renewal, clocks that differ
 * (T48).
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_is_renewed_to_the_later_expiry),
		cmocka_unit_test(test_an_expired_session_is_refused_beyond_the_leeway),
		cmocka_unit_test(test_a_session_that_is_too_long_is_refused),
		cmocka_unit_test(test_expired_sessions_are_taken_out_one_by_one),
		cmocka_unit_test(test_t48_a_session_is_renewed_whatever_the_wall_clock_says),
		cmocka_unit_test(test_t48_what_is_put_back_ends_when_it_would_have),
		cmocka_unit_test(test_t48_at_start_a_session_gets_no_more_than_any_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

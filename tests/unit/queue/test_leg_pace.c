/*
 * leg_pace over simulated time.
 */
#include "queue/leg_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SEC_US = 1000 * 1000, PACKET_BYTES = 1448 };

/* Who looks so often and sends whenever there is room; the most that went in one look. */
static uint64_t
send_for(struct leg_pace *pace, int64_t from_us, int64_t us, int64_t every_us, uint64_t *ret_most)
{
	uint64_t sent = 0;

	*ret_most = 0;
	for (int64_t at_us = from_us; at_us < from_us + us; at_us += every_us) {
		uint64_t now = 0;

		while (leg_pace_room(pace, at_us) > 0) {
			leg_pace_sent(pace, PACKET_BYTES);
			now += PACKET_BYTES;
		}
		sent += now;
		if (now > *ret_most)
			*ret_most = now;
	}
	return sent;
}

static void
test_what_goes_keeps_to_the_rate_however_often_one_looks(void **state)
{
	static const uint64_t rates[] = { 10 * 1000, 64 * 1000, 2500 * 1000, 125 * 1000 * 1000 };
	static const int64_t every_us[] = { 1, 7, 999 };
	uint64_t most;

	(void)state;
	for (unsigned r = 0; r < 4; r++)
		for (unsigned e = 0; e < 3; e++) {
			struct leg_pace pace = { .rate = rates[r] };
			uint64_t sent = send_for(&pace, SEC_US, 2 * SEC_US, every_us[e], &most);

			assert_in_range(sent, rates[r] * 2 * 98 / 100,
					rates[r] * 2 * 102 / 100 + 3 * PACKET_BYTES);
		}
}

static void
test_after_a_pause_no_more_goes_at_once_than_ever(void **state)
{
	struct leg_pace pace = { .rate = 2500 * 1000 };
	uint64_t most;

	(void)state;
	send_for(&pace, 0, SEC_US, 500, &most);
	send_for(&pace, 2 * SEC_US, SEC_US, 500, &most);
	assert_true(most <= LEG_PACE_LEAST_BYTES + PACKET_BYTES);
}

static void
test_without_a_rate_all_may_go(void **state)
{
	struct leg_pace pace = { 0 };

	(void)state;
	leg_pace_sent(&pace, 1000 * 1000);
	assert_int_equal(leg_pace_room(&pace, 1), SIZE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes_keeps_to_the_rate_however_often_one_looks),
		cmocka_unit_test(test_after_a_pause_no_more_goes_at_once_than_ever),
		cmocka_unit_test(test_without_a_rate_all_may_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

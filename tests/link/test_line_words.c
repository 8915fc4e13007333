/*
 * Conditions as people write them, and what is refused.
 */
#include "line_words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct line_conditions
read_good(const char *words)
{
	char error[LINE_WORDS_ERROR_BYTES];
	struct line_conditions conditions;

	assert_int_equal(line_words_read(words, &conditions, error), 0);
	return conditions;
}

static void
test_every_condition_is_understood(void **state)
{
	struct line_conditions c =
		read_good("rate=20mbit,queue=64kb,delay=10ms,jitter=500us,loss=1.5%,"
			  "duplicate=5%,reorder=10%,reorder-by=2s,mtu=1280");

	(void)state;
	assert_int_equal(c.rate_bit_s, 20000000);
	assert_int_equal(c.queue_bytes, 64000);
	assert_int_equal(c.delay_ns, 10000000);
	assert_int_equal(c.jitter_ns, 500000);
	assert_int_equal(c.loss_share, 15000);
	assert_int_equal(c.double_share, 50000);
	assert_int_equal(c.overtake_share, 100000);
	assert_int_equal(c.overtaken_by_ns, 2000000000);
	assert_int_equal(c.mtu_bytes, 1280);
}

static void
test_nothing_said_is_a_perfect_line(void **state)
{
	struct line_conditions c = read_good("");

	(void)state;
	assert_int_equal(c.rate_bit_s, 0);
	assert_int_equal(c.delay_ns, 0);
	assert_int_equal(c.loss_share, 0);
}

static void
test_a_queue_of_time_follows_the_rate_wherever_it_stands(void **state)
{
	(void)state;
	assert_int_equal(read_good("queue=300ms,rate=20mbit").queue_bytes, 750000);
	assert_int_equal(read_good("rate=20mbit,queue=300ms").queue_bytes, 750000);
	assert_int_equal(read_good("rate=8mbit").queue_bytes, 100000);
}

static void
test_the_last_of_a_name_counts(void **state)
{
	(void)state;
	assert_int_equal(read_good("rate=1mbit,rate=2mbit,,").rate_bit_s, 2000000);
	assert_int_equal(read_good("rate=8mbit,queue=1s,queue=9b").queue_bytes, 9);
	assert_int_equal(read_good("rate=8mbit,queue=9b,queue=1s").queue_bytes, 1000000);
}

static void
test_what_makes_no_sense_is_refused_with_its_name(void **state)
{
	static const char *const words[] = {
		"delay",
		"delay=",
		"delay=10",
		"delay=-1ms",
		"delay=11s",
		"delay= 1ms",
		"delay=nans",
		"delay=1mss",
		"delay=0x1p99ms",
		"loss=101%",
		"loss=5",
		"rate=1bit",
		"rate=11gbit",
		"rate=20mb",
		"queue=1ms",
		"colour=blue",
		"mtu=67",
		"mtu=9001",
		"reorder-by=0ms",
		"rate=1mbit,queue=0b",
		"rate=1mbit,queue=11s",
		"rate=1mbit,queue=65mb",
		"=",
		"delay==1ms",
		"delay=1000000000000000000000000000000000000000000000000000000000000000ms",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char error[LINE_WORDS_ERROR_BYTES] = "";
		struct line_conditions conditions;

		if (line_words_read(words[i], &conditions, error) != -EINVAL)
			fail_msg("accepted: %s", words[i]);
		assert_int_not_equal(strlen(error), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_condition_is_understood),
		cmocka_unit_test(test_nothing_said_is_a_perfect_line),
		cmocka_unit_test(test_a_queue_of_time_follows_the_rate_wherever_it_stands),
		cmocka_unit_test(test_the_last_of_a_name_counts),
		cmocka_unit_test(test_what_makes_no_sense_is_refused_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* metrics_census: counts whose labels stay few, whatever nodes say of themselves (T42, P26). */
#include "metrics/metrics_census.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct census census;

static uint64_t
nodes(size_t place)
{
	return census.countries[place].nodes[0] + census.countries[place].nodes[1] +
	       census.countries[place].nodes[2];
}

static void
test_nodes_are_counted_by_country_and_status(void **state)
{
	(void)state;
	census_init(&census);
	census_add(&census, "CH", "online");
	census_add(&census, "DE", "online");
	census_add(&census, "DE", "offline");
	census_add(&census, "DE", "degraded");
	census_add(&census, NULL, NULL);
	census_add(&census, "\"} 1\n", "online"); /* no country, and never a label */
	census_fold(&census);
	assert_int_equal(census.n, 4);
	assert_string_equal(census.countries[0].code, "DE");
	assert_int_equal(census.countries[0].nodes[0], 1);
	assert_int_equal(census.countries[0].nodes[1], 1);
	assert_int_equal(census.countries[0].nodes[2], 1);
	assert_string_equal(census.countries[1].code, "CH");
	assert_string_equal(census.countries[2].code, "none");
	assert_int_equal(census.countries[2].nodes[2], 1);
	assert_string_equal(census.countries[3].code, "other");
	assert_int_equal(nodes(3), 1);
}

static void
test_all_countries_there_could_be_stay_few_T42_P26(void **state)
{
	char code[3] = "";
	uint64_t sum = 0;

	(void)state;
	census_init(&census);
	for (code[0] = 'A'; code[0] <= 'Z'; code[0]++)
		for (code[1] = 'A'; code[1] <= 'Z'; code[1]++)
			census_add(&census, code, "online");
	for (int i = 0; i < 10; i++)
		census_add(&census, "CH", "online"); /* seen before the list was full */
	census_fold(&census);
	assert_int_equal(census.n, CENSUS_SHOWN_MAX + 1);
	assert_string_equal(census.countries[0].code, "CH");
	assert_string_equal(census.countries[CENSUS_SHOWN_MAX].code, "other");
	for (size_t i = 0; i < census.n; i++)
		sum += nodes(i);
	assert_int_equal(sum, 26 * 26 + 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes_are_counted_by_country_and_status),
		cmocka_unit_test(test_all_countries_there_could_be_stay_few_T42_P26),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

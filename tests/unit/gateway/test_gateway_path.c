/*
 * gateway_path: targets are taken apart strictly (R17, R19, R21, R45 and %00).
 */
#include "gateway/gateway_path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct gateway_path path;

static void
test_segments_and_parameters_are_decoded(void **state)
{
	(void)state;
	assert_int_equal(
		gateway_path_parse("/api/v1/nodes/a%20b?country=DE&q=x+y%2Bz&flag&&e=", &path), 0);
	assert_int_equal(path.segments_n, 4);
	assert_string_equal(path.segments[0], "api");
	assert_string_equal(path.segments[3], "a b");
	assert_int_equal(path.query_n, 4);
	assert_string_equal(path.query[0].value, "DE");
	assert_string_equal(path.query[1].value, "x y+z");
	assert_string_equal(path.query[2].name, "flag");
	assert_string_equal(path.query[2].value, "");
	assert_string_equal(path.query[3].value, "");
}

/* R19 */
static void
test_ways_around_the_tree_lead_nowhere(void **state)
{
	(void)state;
	const char *const targets[] = {
		"/api/v1/nodes/..%2f..%2fmetrics",
		"/api/v1/../health",
		"/api/v1/%2e%2e/health",
		"/api//v1/health",
		"/api/v1/health/",
		"/",
		"//evil/api",
		"/api/v1/a%5cb",
		"/a/b/c/d/e/f/g/h/i/j/k/l/m",
	};
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(gateway_path_parse(targets[i], &path), -ENOENT);
}

static void
test_malformed_targets_are_refused(void **state)
{
	(void)state;
	const char *const targets[] = { "",	   "*",		 "http://evil/x", "x",
					"/a%",	   "/a%4",	 "/a%zz",	  "/a%00b",
					"/?a=%00", "/a%0d%0ab",	 "/?a=%0a",	  "/a%7f",
					"/a%ff",   "/?a=%c0%af", "/?a=1&a=2",	  "/?a=1&%61=2",
					"/a#b",	   "/a b",	 "/a%ed%a0%80" };
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(gateway_path_parse(targets[i], &path), -EINVAL);
}

static void
test_a_bad_query_is_told_before_an_odd_path(void **state)
{
	(void)state;
	assert_int_equal(gateway_path_parse("/a//b?x=%00", &path), -EINVAL);
	assert_int_equal(gateway_path_parse("/a//b%00", &path), -EINVAL);
}

static void
test_the_33rd_parameter_is_refused(void **state)
{
	(void)state;
	char target[512] = "/a?";
	for (int i = 0; i < GATEWAY_QUERY_MAX; i++) {
		char parameter[] = { (char)('A' + i), '=', '1', '&', '\0' };
		strcat(target, parameter);
	}
	/* '[', '\\', '^' and '_' are among the names; all plain characters. */
	assert_int_equal(gateway_path_parse(target, &path), 0);
	strcat(target, "zz=1");
	assert_int_equal(gateway_path_parse(target, &path), -EINVAL);
}

/* R17 */
static void
test_a_target_over_8_kib_is_too_long(void **state)
{
	(void)state;
	char target[GATEWAY_URI_MAX_BYTES + 2];
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	target[GATEWAY_URI_MAX_BYTES + 1] = '\0';
	assert_int_equal(gateway_path_parse(target, &path), -ENAMETOOLONG);
	target[GATEWAY_URI_MAX_BYTES] = '\0';
	assert_int_equal(gateway_path_parse(target, &path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments_and_parameters_are_decoded),
		cmocka_unit_test(test_ways_around_the_tree_lead_nowhere),
		cmocka_unit_test(test_malformed_targets_are_refused),
		cmocka_unit_test(test_a_bad_query_is_told_before_an_odd_path),
		cmocka_unit_test(test_the_33rd_parameter_is_refused),
		cmocka_unit_test(test_a_target_over_8_kib_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

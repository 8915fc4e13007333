/*
 * gateway_limits: whose address counts (P10), and how often it may come (R89).
 */
#include "gateway/gateway_limits.h"

#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct in6_addr
address(const char *text)
{
	struct in6_addr parsed;
	assert_int_equal(address_parse(text, &parsed), 0);
	return parsed;
}

static void
assert_origin(const struct gateway_limits *limits, const char *peer, const char *forwarded,
	      const char *expected)
{
	struct in6_addr from = address(peer), origin;
	char text[INET6_ADDRSTRLEN];
	assert_int_equal(gateway_limits_origin(limits, &from, forwarded, &origin), 0);
	address_format(&origin, text);
	assert_string_equal(text, expected);
}

static void
test_forwarded_for_of_a_stranger_is_not_believed(void **state)
{
	(void)state;
	struct gateway_limits limits = { 0 };
	assert_origin(&limits, "192.0.2.1", "198.51.100.7", "192.0.2.1");
	const char *const cidrs[] = { "10.0.0.0/8", NULL };
	assert_int_equal(gateway_networks_add(&limits.proxies, cidrs), 0);
	assert_origin(&limits, "192.0.2.1", "198.51.100.7", "192.0.2.1");
	assert_origin(&limits, "11.0.0.1", "198.51.100.7", "11.0.0.1");
}

static void
test_a_trusted_proxy_tells_the_last_address_it_saw(void **state)
{
	(void)state;
	struct gateway_limits limits = { 0 };
	const char *const cidrs[] = { "10.0.0.0/9", "2001:db8:1::/48", NULL };
	assert_int_equal(gateway_networks_add(&limits.proxies, cidrs), 0);
	assert_origin(&limits, "10.1.2.3", NULL, "10.1.2.3");
	assert_origin(&limits, "10.1.2.3", "1.1.1.1, 198.51.100.7", "198.51.100.7");
	/* What stands before it was said by the client, and may be anything. */
	assert_origin(&limits, "10.1.2.3", "nonsense,198.51.100.7", "198.51.100.7");
	assert_origin(&limits, "10.1.2.3", "1.1.1.1,198.51.100.7 , 10.9.9.9", "198.51.100.7");
	assert_origin(&limits, "10.1.2.3", "10.5.5.5", "10.5.5.5");
	assert_origin(&limits, "10.200.2.3", "198.51.100.7", "10.200.2.3");
	assert_origin(&limits, "2001:db8:1::5", "[2001:db8:9::1]:443", "2001:db8:9::1");
	assert_origin(&limits, "2001:db8:1::5", "198.51.100.7:1234", "198.51.100.7");
	struct in6_addr proxy = address("10.1.2.3"), origin;
	assert_int_equal(gateway_limits_origin(&limits, &proxy, "a,", &origin), -EINVAL);
	assert_int_equal(gateway_limits_origin(&limits, &proxy, "evil.example", &origin), -EINVAL);
}

static void
test_a_bucket_is_emptied_and_fills_again(void **state)
{
	(void)state;
	struct gateway_limits limits = { .per_address = { [RATE_ENROLMENT] = 10 } };
	assert_int_equal(cache_open("memory:", 1024, &limits.cache), 0);
	struct in6_addr from = address("192.0.2.1"), other = address("192.0.2.2");
	for (int i = 0; i < 10; i++)
		assert_int_equal(gateway_limits_take_address(&limits, RATE_ENROLMENT, &from, 1000),
				 0);
	uint32_t wait_sec = gateway_limits_take_address(&limits, RATE_ENROLMENT, &from, 1000);
	assert_true(wait_sec >= 1 && wait_sec <= 6);
	assert_int_equal(gateway_limits_take_address(&limits, RATE_ENROLMENT, &other, 1000), 0);
	assert_int_equal(gateway_limits_take_address(&limits, RATE_ENROLMENT, &from, 7001), 0);
	cache_close(&limits.cache);
}

static void
test_an_ipv6_address_counts_with_its_network(void **state)
{
	(void)state;
	struct gateway_limits limits = { .per_address = { [RATE_GENERAL] = 1 } };
	assert_int_equal(cache_open("memory:", 1024, &limits.cache), 0);
	struct in6_addr one = address("2001:db8::1"), two = address("2001:db8::ffff:2"),
			far = address("2001:db8:0:1::1");
	assert_int_equal(gateway_limits_take_address(&limits, RATE_GENERAL, &one, 0), 0);
	assert_int_not_equal(gateway_limits_take_address(&limits, RATE_GENERAL, &two, 0), 0);
	assert_int_equal(gateway_limits_take_address(&limits, RATE_GENERAL, &far, 0), 0);
	cache_close(&limits.cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarded_for_of_a_stranger_is_not_believed),
		cmocka_unit_test(test_a_trusted_proxy_tells_the_last_address_it_saw),
		cmocka_unit_test(test_a_bucket_is_emptied_and_fills_again),
		cmocka_unit_test(test_an_ipv6_address_counts_with_its_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

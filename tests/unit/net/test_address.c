/*
 * T26, T27, R57: every special range of the IANA registries, at both edges and one beyond each.
 */
#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A range and what lies just outside it. NULL: nothing there. */
struct row {
	const char *before;
	enum address_class before_class;
	const char *first, *last;
	enum address_class class;
	const char *after;
	enum address_class after_class;
};

#define G ADDRESS_GLOBAL
#define R ADDRESS_RESERVED

static const struct row rows4[] = {
	{ NULL, G, "0.0.0.0", "0.255.255.255", R, "1.0.0.0", G },
	{ "9.255.255.255", G, "10.0.0.0", "10.255.255.255", ADDRESS_PRIVATE, "11.0.0.0", G },
	{ "100.63.255.255", G, "100.64.0.0", "100.127.255.255", ADDRESS_CGNAT, "100.128.0.0", G },
	{ "126.255.255.255", G, "127.0.0.0", "127.255.255.255", ADDRESS_LOOPBACK, "128.0.0.0", G },
	{ "169.253.255.255", G, "169.254.0.0", "169.254.255.255", ADDRESS_LINK_LOCAL, "169.255.0.0",
	  G },
	{ "172.15.255.255", G, "172.16.0.0", "172.31.255.255", ADDRESS_PRIVATE, "172.32.0.0", G },
	{ "191.255.255.255", G, "192.0.0.0", "192.0.0.255", R, "192.0.1.0", G },
	{ "192.0.1.255", G, "192.0.2.0", "192.0.2.255", R, "192.0.3.0", G },
	{ "192.31.195.255", G, "192.31.196.0", "192.31.196.255", R, "192.31.197.0", G },
	{ "192.52.192.255", G, "192.52.193.0", "192.52.193.255", R, "192.52.194.0", G },
	{ "192.88.98.255", G, "192.88.99.0", "192.88.99.255", R, "192.88.100.0", G },
	{ "192.167.255.255", G, "192.168.0.0", "192.168.255.255", ADDRESS_PRIVATE, "192.169.0.0",
	  G },
	{ "192.175.47.255", G, "192.175.48.0", "192.175.48.255", R, "192.175.49.0", G },
	{ "198.17.255.255", G, "198.18.0.0", "198.19.255.255", R, "198.20.0.0", G },
	{ "198.51.99.255", G, "198.51.100.0", "198.51.100.255", R, "198.51.101.0", G },
	{ "203.0.112.255", G, "203.0.113.0", "203.0.113.255", R, "203.0.114.0", G },
	{ "223.255.255.255", G, "224.0.0.0", "239.255.255.255", ADDRESS_MULTICAST, "240.0.0.0", R },
	{ "239.255.255.255", ADDRESS_MULTICAST, "240.0.0.0", "255.255.255.255", R, NULL, G },
};

static const struct row rows6[] = {
	{ NULL, G, "::", "::", R, "::1", ADDRESS_LOOPBACK },
	{ "::", R, "::1", "::1", ADDRESS_LOOPBACK, "::2", R /* 0.0.0.2 inside */ },
	{ "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", R,
	  "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", R, "64:ff9b:2::", R },
	{ "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", R, "100::", "100::ffff:ffff:ffff:ffff", R,
	  "100:0:0:1::", R },
	{ "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", R,
	  "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", R, "2001:200::", G },
	{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", G, "2001::", "2001:0:ffff::", R,
	  "2001:1::", R /* Teredo ends, protocol assignments go on */ },
	{ "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", G,
	  "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", R, "2001:db9::", G },
	{ "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", G,
	  "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", R, "2620:4f:8001::", G },
	{ "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", G,
	  "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", R, "3fff:1000::", G },
	{ "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", G,
	  "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", R, "fc00::", ADDRESS_PRIVATE },
	{ "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", R,
	  "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_PRIVATE, "fe00::", R },
	{ "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", R,
	  "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_LINK_LOCAL,
	  "fec0::", ADDRESS_PRIVATE },
	{ "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_LINK_LOCAL, "fec0::",
	  "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_PRIVATE, "ff00::", ADDRESS_MULTICAST },
	{ "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_PRIVATE,
	  "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDRESS_MULTICAST, NULL, G },
	/* The metadata service of a large cloud. */
	{ NULL, G, "fd00:ec2::254", "fd00:ec2::254", ADDRESS_PRIVATE, NULL, G },
};

static void
expect(const char *text, enum address_class class)
{
	struct in6_addr address;

	if (!text)
		return;
	assert_int_equal(address_parse(text, &address), 0);
	if (address_classify(&address) != class)
		fail_msg("%s is %s, not %s", text, address_class_name(address_classify(&address)),
			 address_class_name(class));
}

static void
expect_row(const struct row *row)
{
	expect(row->before, row->before_class);
	expect(row->first, row->class);
	expect(row->last, row->class);
	expect(row->after, row->after_class);
}

static void
test_t27_every_special_range_of_ipv4_ends_where_iana_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows4) / sizeof(rows4[0]); i++)
		expect_row(&rows4[i]);
}

static void
test_t27_every_special_range_of_ipv6_ends_where_iana_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows6) / sizeof(rows6[0]); i++)
		expect_row(&rows6[i]);
}

/* T26: the same edges, wrapped into IPv6 in each way that carries an IPv4 address. */
static void
test_t26_an_ipv4_address_inside_an_ipv6_one_is_classified_as_itself(void **state)
{
	static const struct {
		const char *format;
		unsigned at; /* where the four bytes stand */
	} wraps[] = { { "::ffff:0.0.0.0", 12 },
		      { "64:ff9b::", 12 },
		      { "2002::", 2 },
		      { "2002:0:0:ffff:ffff:ffff:ffff:ffff", 2 },
		      { "::", 12 } };

	(void)state;
	for (size_t w = 0; w < sizeof(wraps) / sizeof(wraps[0]); w++) {
		for (size_t i = 0; i < sizeof(rows4) / sizeof(rows4[0]); i++) {
			struct in6_addr wrapped, inner;

			assert_int_equal(address_parse(rows4[i].last, &inner), 0);
			assert_int_equal(address_parse(wraps[w].format, &wrapped), 0);
			for (int b = 0; b < 4; b++)
				wrapped.s6_addr[wraps[w].at + (unsigned)b] = inner.s6_addr[12 + b];
			assert_int_equal(address_classify(&wrapped), rows4[i].class);
		}
	}
	expect("::ffff:8.8.8.8", ADDRESS_GLOBAL);
	expect("64:ff9b::8.8.8.8", ADDRESS_GLOBAL);
	expect("64:ff9b::169.254.169.254", ADDRESS_LINK_LOCAL);
	expect("2002:7f00:1::", ADDRESS_LOOPBACK);
	expect("2002:808:808::", ADDRESS_GLOBAL);
}

static void
test_ordinary_addresses_are_global(void **state)
{
	(void)state;
	expect("8.8.8.8", ADDRESS_GLOBAL);
	expect("193.0.6.139", ADDRESS_GLOBAL);
	expect("2001:4860:4860::8888", ADDRESS_GLOBAL);
	expect("2a00:1450:4001::1", ADDRESS_GLOBAL);
}

static void
test_r57_what_is_not_an_address_is_not_parsed(void **state)
{
	static const char *const bad[] = {
		"",	    "1.2.3",	"1.2.3.4.5", "256.1.1.1",  "01.2.3.4",
		"1.2.3.4 ", " 1.2.3.4", "0x7f.1",    "localhost",  "::1%lo",
		"[::1]",    ":::",	"1.2.3.4/8", "2130706433",
	};
	struct in6_addr address;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_parse(bad[i], &address), -EINVAL);
}

static void
test_each_class_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = ADDRESS_GLOBAL; a <= ADDRESS_RESERVED; a++)
		for (int b = ADDRESS_GLOBAL; b < a; b++)
			assert_string_not_equal(address_class_name((enum address_class)a),
						address_class_name((enum address_class)b));
}

static void
test_a_port_is_digits_and_nothing_else(void **state)
{
	static const char *const bad[] = { "",	    "0",      "00000", "65536",
					   "99999", "000443", "+1",    " 443",
					   "443 ",  "-1",     "4a3",   "-18446744073709551173" };
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_parse_port(bad[i], strlen(bad[i]), &port), -EINVAL);
	assert_int_equal(port, 7);
	assert_int_equal(address_parse_port("65535", 5, &port), 0);
	assert_int_equal(port, 65535);
	assert_int_equal(address_parse_port("53?transport=tcp", 2, &port), 0);
	assert_int_equal(port, 53);
}

static void
test_a_network_is_an_address_and_bits_of_its_family(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/33",
		"fd00::/129",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		"10.0.0.0/0x8",
		"10.0.0.0/-1",
		"10.0.0.0/0008",
		"10.0.0/8",
		" 10.0.0.0/8",
		"10.0.0.0/8/8",
		"fd00::1%1/8",
		"[fd00::]/8",
		"/8",
		"10.0.0.0/4294967304",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa/8",
	};
	struct in6_addr address = { .s6_addr = { 7 } }, same = address;
	unsigned bits = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_parse_network(bad[i], &address, &bits) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(bits, 77);
	assert_memory_equal(&address, &same, sizeof(address));
	assert_int_equal(address_parse_network("10.0.0.0/32", &address, &bits), 0);
	assert_int_equal(bits, 32);
	assert_int_equal(address.s6_addr[12], 10);
	assert_int_equal(address_parse_network("fd00::/128", &address, &bits), 0);
	assert_int_equal(bits, 128);
	assert_int_equal(address.s6_addr[0], 0xfd);
	assert_int_equal(address_parse_network("0.0.0.0/0", &address, &bits), 0);
	assert_int_equal(bits, 0);
}

static void
test_an_endpoint_is_an_address_and_perhaps_a_port(void **state)
{
	static const char *const bad[] = {
		"",
		":53",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:+5",
		"192.0.2.1: 5",
		"192.0.2.1:5 ",
		"192.0.2.1:0x5",
		"192.0.2.1:65536",
		"192.0.2.1:18446744073709551669",
		"[::1",
		"[::1]53",
		"[::1]:",
		"[192.0.2.1]:5",
		"[]:5",
		"[::1]:5:5",
		"example.org:5",
		"192.0.2.1:5:5",
		"[fe80::1%1]:5",
		"[[::1]]:5",
		" 192.0.2.1:5",
	};
	struct in6_addr address, expected;
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_parse_endpoint(bad[i], &address, &port) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(port, 7);
	assert_int_equal(address_parse("2001:db8::1", &expected), 0);
	assert_int_equal(address_parse_endpoint("[2001:db8::1]:65535", &address, &port), 0);
	assert_memory_equal(&address, &expected, sizeof(address));
	assert_int_equal(port, 65535);
	assert_int_equal(address_parse_endpoint("2001:db8::1", &address, &port), 0);
	assert_memory_equal(&address, &expected, sizeof(address));
	assert_int_equal(port, 0);
	assert_int_equal(address_parse_endpoint("[2001:db8::1]", &address, &port), 0);
	assert_int_equal(port, 0);
	assert_int_equal(address_parse("192.0.2.1", &expected), 0);
	assert_int_equal(address_parse_endpoint("192.0.2.1:53", &address, &port), 0);
	assert_memory_equal(&address, &expected, sizeof(address));
	assert_int_equal(port, 53);
	assert_int_equal(address_parse_endpoint("192.0.2.1", &address, &port), 0);
	assert_int_equal(port, 0);
}

static void
test_an_address_is_written_as_it_is_read(void **state)
{
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1", "::", "0.0.0.0" };
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(address_parse(texts[i], &address), 0);
		address_format(&address, text);
		assert_string_equal(text, texts[i]);
	}
	assert_int_equal(address_parse("::ffff:192.0.2.1", &address), 0);
	address_format(&address, text);
	assert_string_equal(text, "192.0.2.1");
}

static void
test_a_socket_takes_either_family_and_a_port(void **state)
{
	static const char *const bad[] = {
		"", "192.0.2.256", "192.0.2.1:5", "[::1]", "::1%1", "a.b"
	};
	struct sockaddr_storage address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&address;
	struct in6_addr expected;

	(void)state;
	assert_int_equal(address_parse_socket("192.0.2.1", 65535, &address), 0);
	assert_int_equal(address.ss_family, AF_INET);
	assert_int_equal(ntohl(four->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(four->sin_port), 65535);
	assert_int_equal(address_socket_bytes(&address), sizeof *four);
	address_set_port(&address, 53);
	assert_int_equal(ntohs(four->sin_port), 53);

	assert_int_equal(address_parse_socket("2001:db8::1", 443, &address), 0);
	assert_int_equal(address.ss_family, AF_INET6);
	assert_int_equal(address_parse("2001:db8::1", &expected), 0);
	assert_memory_equal(&six->sin6_addr, &expected, sizeof expected);
	assert_int_equal(ntohs(six->sin6_port), 443);
	assert_int_equal(address_socket_bytes(&address), sizeof *six);
	address_set_port(&address, 0);
	assert_int_equal(six->sin6_port, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_parse_socket(bad[i], 1, &address) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_memory_equal(&six->sin6_addr, &expected, sizeof expected);
}

/* They are compared as bytes. */
static void
test_a_socket_address_has_zeros_where_nothing_is_said(void **state)
{
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_port = htons(53),
					  .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_storage expected = { 0 }, address;

	(void)state;
	memcpy(&expected, &four, sizeof four);
	memset(&address, 0x55, sizeof address);
	assert_int_equal(address_parse_socket("192.0.2.1", 53, &address), 0);
	assert_memory_equal(&address, &expected, sizeof address);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t27_every_special_range_of_ipv4_ends_where_iana_says),
		cmocka_unit_test(test_t27_every_special_range_of_ipv6_ends_where_iana_says),
		cmocka_unit_test(
			test_t26_an_ipv4_address_inside_an_ipv6_one_is_classified_as_itself),
		cmocka_unit_test(test_ordinary_addresses_are_global),
		cmocka_unit_test(test_r57_what_is_not_an_address_is_not_parsed),
		cmocka_unit_test(test_a_port_is_digits_and_nothing_else),
		cmocka_unit_test(test_a_network_is_an_address_and_bits_of_its_family),
		cmocka_unit_test(test_an_endpoint_is_an_address_and_perhaps_a_port),
		cmocka_unit_test(test_an_address_is_written_as_it_is_read),
		cmocka_unit_test(test_a_socket_takes_either_family_and_a_port),
		cmocka_unit_test(test_a_socket_address_has_zeros_where_nothing_is_said),
		cmocka_unit_test(test_each_class_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

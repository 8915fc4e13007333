/*
 * Each type of the schema: what it takes, what it refuses, and that the reason says how to do it
 * right. Ids (C25 ...) are rows of the list of bad inputs.
 */
#include "config/config_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char reason[CONFIG_REASON_BYTES];

static void
assert_number(enum config_type type, const char *text, int64_t expected)
{
	struct config_key key = { .section = "s", .name = "k", .type = type, .help = "h" };
	struct config_value value;

	if (config_value_parse(&key, text, &value, reason) < 0)
		fail_msg("'%s' %s", text, reason);
	assert_int_equal(value.number, expected);
	config_value_fini(&value);
}

static void
assert_taken(enum config_type type, const char *text)
{
	struct config_key key = { .section = "s", .name = "k", .type = type, .help = "h" };
	struct config_value value;

	if (config_value_parse(&key, text, &value, reason) < 0)
		fail_msg("'%s' %s", text, reason);
	assert_string_equal(value.text, text);
	config_value_fini(&value);
}

static void
assert_refused(enum config_type type, const char *text, const char *words)
{
	struct config_key key = { .section = "s", .name = "k", .type = type, .help = "h" };
	struct config_value value;

	if (config_value_parse(&key, text, &value, reason) == 0) {
		config_value_fini(&value);
		fail_msg("'%s' should be refused", text);
	}
	if (strstr(reason, words) == NULL)
		fail_msg("the reason for '%s' is '%s', not '%s'", text, reason, words);
}

static void
test_integers_are_decimal_and_bounded(void **state)
{
	(void)state;
	assert_number(CONFIG_INT, "0", 0);
	assert_number(CONFIG_INT, "-7", -7);
	assert_number(CONFIG_INT, "9223372036854775807", INT64_MAX);
	assert_number(CONFIG_INT, "-9223372036854775808", INT64_MIN);
	assert_refused(CONFIG_INT, "9223372036854775808", "an integer");
	assert_refused(CONFIG_INT, "--7", "an integer");
	assert_refused(CONFIG_INT, "-", "an integer");
	assert_refused(CONFIG_INT, "", "must not be empty");
}

static void
test_C31_durations_need_a_unit_and_a_sane_size(void **state)
{
	(void)state;
	assert_number(CONFIG_DURATION, "250ms", 250);
	assert_number(CONFIG_DURATION, "10s", 10 * 1000);
	assert_number(CONFIG_DURATION, "5m", 5 * 60 * 1000);
	assert_number(CONFIG_DURATION, "2h", 2 * 3600 * 1000);
	assert_number(CONFIG_DURATION, "7d", INT64_C(7) * 24 * 3600 * 1000);
	assert_refused(CONFIG_DURATION, "10", "with its unit");
	assert_refused(CONFIG_DURATION, "-5s", "with its unit");
	assert_refused(CONFIG_DURATION, "5 parsecs", "with its unit");
	assert_refused(CONFIG_DURATION, "9999999h", "with its unit");
	assert_refused(CONFIG_DURATION, "9223372036854775807d", "with its unit");
	assert_refused(CONFIG_DURATION, "s", "with its unit");
}

static void
test_sizes_take_binary_units_only(void **state)
{
	(void)state;
	assert_number(CONFIG_BYTES, "64KiB", 65536);
	assert_number(CONFIG_BYTES, "1MiB", 1048576);
	assert_number(CONFIG_BYTES, "4GiB", INT64_C(4) << 30);
	assert_number(CONFIG_BYTES, "512", 512);
	assert_refused(CONFIG_BYTES, "64KB", "a size");
	assert_refused(CONFIG_BYTES, "9223372036854775807GiB", "a size");
}

static void
test_C33_bool_is_one_of_six_words(void **state)
{
	(void)state;
	assert_number(CONFIG_BOOL, "yes", 1);
	assert_number(CONFIG_BOOL, "off", 0);
	assert_number(CONFIG_BOOL, "false", 0);
	assert_refused(CONFIG_BOOL, "maybe", "yes or no");
	assert_refused(CONFIG_BOOL, "Yes", "yes or no");
	assert_refused(CONFIG_BOOL, "1", "yes or no");
}

static void
test_C21_addresses_need_a_host_and_a_port(void **state)
{
	(void)state;
	assert_taken(CONFIG_ADDRESS, "0.0.0.0:443");
	assert_taken(CONFIG_ADDRESS, "[::1]:0");
	assert_taken(CONFIG_ADDRESS, "relay-1.example.org:65535");
	assert_refused(CONFIG_ADDRESS, "127.0.0.1", "host:port");
	assert_refused(CONFIG_ADDRESS, ":443", "host:port");
	assert_refused(CONFIG_ADDRESS, "::1:443", "host:port");
	assert_refused(CONFIG_ADDRESS, "[127.0.0.1]:443", "host:port");
	assert_refused(CONFIG_ADDRESS, "999.0.0.1:443", "host:port");
	assert_refused(CONFIG_ADDRESS, "a b:443", "host:port");
	assert_refused(CONFIG_ADDRESS, "h:65536", "host:port");
	assert_refused(CONFIG_ADDRESS, "h:-1", "host:port");
	assert_refused(CONFIG_ADDRESS, "h:80a", "host:port");
	assert_refused(CONFIG_ADDRESS, "h:1e3", "host:port");
	assert_refused(CONFIG_ADDRESS, "h:", "host:port");
}

static void
test_a_word_of_the_choices_may_stand_instead_of_an_address(void **state)
{
	static const char *const choices[] = { "off", NULL };
	struct config_key key = {
		.section = "s", .name = "k", .type = CONFIG_ADDRESS, .choices = choices, .help = "h"
	};
	struct config_value value;

	(void)state;
	assert_int_equal(config_value_parse(&key, "off", &value, reason), 0);
	config_value_fini(&value);
	assert_true(config_value_parse(&key, "on", &value, reason) < 0);
}

static void
test_endpoints_are_of_three_transports(void **state)
{
	char path[160] = "ipc:///";

	(void)state;
	assert_taken(CONFIG_ENDPOINT, "inproc://relay");
	assert_taken(CONFIG_ENDPOINT, "ipc:///run/boson/relay.sock");
	assert_taken(CONFIG_ENDPOINT, "tcp://10.0.0.1:7001");
	assert_taken(CONFIG_ENDPOINT, "tcp://[::1]:7001");
	assert_taken(CONFIG_ENDPOINT, "tcp://*:7001");
	assert_refused(CONFIG_ENDPOINT, "tcp://10.0.0.1:0", "tcp://host:port");
	assert_taken(CONFIG_ENDPOINT, "tcp://10.0.0.1:65534");
	assert_refused(CONFIG_ENDPOINT, "tcp://10.0.0.1:65535", "no port after it");
	assert_refused(CONFIG_ENDPOINT, "tcp://*:65535", "no port after it");
	assert_refused(CONFIG_ENDPOINT, "tcp://*:65536", "tcp://host:port");
	assert_refused(CONFIG_ENDPOINT, "tcp://*:0", "tcp://host:port");
	assert_refused(CONFIG_ENDPOINT, "ipc://relative", "ipc:///path");
	assert_refused(CONFIG_ENDPOINT, "udp://h:1", "inproc");
	memset(path + 7, 'x', 120);
	assert_refused(CONFIG_ENDPOINT, path, "too long");
}

static void
test_C35_urls_have_a_known_scheme_a_host_and_no_password(void **state)
{
	(void)state;
	assert_taken(CONFIG_URL, "https://boson.example.org");
	assert_taken(CONFIG_URL, "wss://[2001:db8::1]:8443/relay");
	assert_taken(CONFIG_URL, "http://127.0.0.1:8080/a?b=c@d");
	assert_taken(CONFIG_URL, "stun:stun.example.org:3478");
	assert_taken(CONFIG_URL, "turn:turn.example.org?transport=udp");
	assert_refused(CONFIG_URL, "ftp://example.org", "must be a URL of");
	assert_refused(CONFIG_URL, "example.org", "must be a URL of");
	assert_refused(CONFIG_URL, "https:///path", "has no host");
	assert_refused(CONFIG_URL, "https://", "has no host");
	assert_refused(CONFIG_URL, "https:example.org", "//");
	assert_refused(CONFIG_URL, "https://user:pass@example.org", "secrets are files");
	assert_refused(CONFIG_URL, "https://h:99999/", "bad host or port");
	assert_refused(CONFIG_URL, "https://h o/", "bad host or port");
}

static void
test_C27_network_with_host_bits_shows_the_correct_form(void **state)
{
	(void)state;
	assert_taken(CONFIG_CIDRS, "");
	assert_taken(CONFIG_CIDRS, "10.0.0.0/8, fd00::/8");
	assert_taken(CONFIG_CIDRS, "192.0.2.1/32");
	assert_refused(CONFIG_CIDRS, "10.0.0.1/8", "must be written 10.0.0.0/8");
	assert_refused(CONFIG_CIDRS, "10.0.0.0/8,fd48::1/64", "must be written fd48::/64");
	assert_refused(CONFIG_CIDRS, "10.90.1.129/25", "must be written 10.90.1.128/25");
	assert_refused(CONFIG_CIDRS, "192.0.2.1", "must be written 192.0.2.1/32");
	assert_refused(CONFIG_CIDRS, "10.0.0.0/33", "must be a network");
	assert_refused(CONFIG_CIDRS, "10.0.0.0/", "must be a network");
	assert_refused(CONFIG_CIDRS, "10.0.0.0/8,,", "empty item");
}

static void
test_C29_network_wider_than_the_key_takes_is_refused(void **state)
{
	struct config_key key = {
		.section = "s", .name = "k", .type = CONFIG_CIDRS, .min = 1, .help = "h"
	};
	struct config_value value;

	(void)state;
	assert_true(config_value_parse(&key, "0.0.0.0/0", &value, reason) < 0);
	assert_string_equal(reason, "is wider than /1");
	assert_true(config_value_parse(&key, "10.0.0.0/8, ::/0", &value, reason) < 0);
	assert_taken(CONFIG_CIDRS, "0.0.0.0/0, ::/0");
}

static void
test_C25_interface_names_are_short_and_plain(void **state)
{
	(void)state;
	assert_taken(CONFIG_IFNAME, "higgs0");
	assert_taken(CONFIG_IFNAME, "fifteen-bytes.x");
	assert_refused(CONFIG_IFNAME, "sixteen-bytes.xx", "interface name");
	assert_refused(CONFIG_IFNAME, "a;rm -rf", "interface name");
	assert_refused(CONFIG_IFNAME, "a/b", "interface name");
	assert_refused(CONFIG_IFNAME, "..", "interface name");
	assert_refused(CONFIG_IFNAME, "", "must not be empty");
}

static void
test_C57_port_lists_hold_ports_and_ranges(void **state)
{
	(void)state;
	assert_taken(CONFIG_PORTS, "25, 135-139");
	assert_refused(CONFIG_PORTS, "25,70000", "from 1 to 65535");
	assert_refused(CONFIG_PORTS, "0", "from 1 to 65535");
	assert_refused(CONFIG_PORTS, "139-135", "from 1 to 65535");
	assert_refused(CONFIG_PORTS, "25-", "ports or ranges");
	assert_refused(CONFIG_PORTS, "-25", "ports or ranges");
}

static void
test_lists_are_split_and_trimmed(void **state)
{
	struct config_key key = { .section = "s", .name = "k", .type = CONFIG_LIST, .help = "h" };
	struct config_value value;

	(void)state;
	assert_int_equal(config_value_parse(&key, "a , b b,c", &value, reason), 0);
	assert_string_equal(value.list[0], "a");
	assert_string_equal(value.list[1], "b b");
	assert_string_equal(value.list[2], "c");
	assert_null(value.list[3]);
	config_value_fini(&value);
	assert_int_equal(config_value_parse(&key, "", &value, reason), 0);
	assert_null(value.list[0]);
	config_value_fini(&value);
}

static void
test_enum_names_its_choices(void **state)
{
	static const char *const choices[] = { "a", "b", "c", NULL };
	struct config_key key = {
		.section = "s", .name = "k", .type = CONFIG_ENUM, .choices = choices, .help = "h"
	};
	struct config_value value;

	(void)state;
	assert_true(config_value_parse(&key, "d", &value, reason) < 0);
	assert_string_equal(reason, "must be a, b or c");
	assert_int_equal(config_value_parse(&key, "b", &value, reason), 0);
	config_value_fini(&value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_are_decimal_and_bounded),
		cmocka_unit_test(test_C31_durations_need_a_unit_and_a_sane_size),
		cmocka_unit_test(test_sizes_take_binary_units_only),
		cmocka_unit_test(test_C33_bool_is_one_of_six_words),
		cmocka_unit_test(test_C21_addresses_need_a_host_and_a_port),
		cmocka_unit_test(test_a_word_of_the_choices_may_stand_instead_of_an_address),
		cmocka_unit_test(test_endpoints_are_of_three_transports),
		cmocka_unit_test(test_C35_urls_have_a_known_scheme_a_host_and_no_password),
		cmocka_unit_test(test_C27_network_with_host_bits_shows_the_correct_form),
		cmocka_unit_test(test_C29_network_wider_than_the_key_takes_is_refused),
		cmocka_unit_test(test_C25_interface_names_are_short_and_plain),
		cmocka_unit_test(test_C57_port_lists_hold_ports_and_ranges),
		cmocka_unit_test(test_lists_are_split_and_trimmed),
		cmocka_unit_test(test_enum_names_its_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The text of the rules. What they do to packets is in the contract tests; here is what must never
 * be missing from them, and what others' names can do to them.
 */
#include "forwarder/exit_rules.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct exit_rules rules;
static struct exit_surroundings surroundings;

static int
setup(void **state)
{
	(void)state;
	static const char *const allow[] = { "198.51.100.0/24", "2001:db8:80::/64", NULL };
	static const char *const own[] = { "203.0.113.7", NULL };
	memset(&rules, 0, sizeof rules);
	memset(&surroundings, 0, sizeof surroundings);
	strcpy(rules.interface, "higgs0");
	rules.policy_on = true;
	rules.allow = allow;
	rules.deny = own;
	rules.mtu = 1280;
	rules.dns_port = 40053;
	rules.new_flows_per_second = 100;
	rules.udp_packets_per_second = 20000;
	rules.flows_max = 2000;
	inet_pton(AF_INET, "10.90.0.1", &rules.address4);
	inet_pton(AF_INET6, "fd48::1", &rules.address6);
	strcpy(surroundings.uplinks4[surroundings.uplinks4_count++], "eth0");
	return 0;
}

/* noinline: gcc 12 takes the stream's hold on `text` for a dangling pointer. */
__attribute__((noinline)) static char *
exit_text(const struct exit_client *clients, size_t n)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);
	assert_non_null(file);
	exit_rules_write_exit(&rules, &surroundings, clients, n, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void
assert_in_order(const char *text, const char *first, const char *second)
{
	const char *at = strstr(text, first);
	assert_non_null(at);
	assert_non_null(strstr(at, second));
}

static void
test_two_nodes_on_one_host_share_neither_names_nor_mark(void **state)
{
	(void)state;
	char a[EXIT_TABLE_BYTES], b[EXIT_TABLE_BYTES];
	exit_rules_guard_name("higgs0", a);
	exit_rules_guard_name("higgs1", b);
	assert_string_not_equal(a, b);
	exit_rules_exit_name("higgs0", b);
	assert_string_not_equal(a, b);
	assert_int_not_equal(exit_rules_mark("higgs0"), exit_rules_mark("higgs1"));
	assert_int_not_equal(exit_rules_mark("higgs0"), 0);
}

/* T28: own addresses lose even against exit_allow, exit_allow wins against the fixed lists. */
static void
test_judgements_stand_in_their_order(void **state)
{
	(void)state;
	char *text = exit_text(NULL, 0);
	assert_in_order(text, "ip daddr @own4 counter drop", "ip daddr @allow4 goto limits");
	assert_in_order(text, "ip daddr @allow4 goto limits", "ip daddr @deny4 counter drop");
	assert_in_order(text, "ip daddr @deny4 counter drop", "ip daddr @connected4 counter drop");
	assert_in_order(text, "ip daddr @connected4 counter drop", "oifname != @uplinks4");
	assert_non_null(strstr(text, "203.0.113.7"));
	free(text);
}

static void
test_metadata_and_private_networks_are_listed(void **state)
{
	(void)state;
	static const char *const networks[] = {
		"10.0.0.0/8",	 "100.64.0.0/10",  "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "fc00::/7",
		"fe80::/10",	 "64:ff9b::/96",   "2002::/16",	  "::ffff:0:0/96"
	};
	char *text = exit_text(NULL, 0);
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
		assert_non_null(strstr(text, networks[i]));
	free(text);
}

static void
test_exit_table_belongs_to_its_owner(void **state)
{
	(void)state;
	char *text = exit_text(NULL, 0);
	assert_non_null(strstr(text, "flags owner"));
	free(text);
}

static void
test_policy_that_is_off_still_translates_and_knows_its_clients(void **state)
{
	(void)state;
	rules.policy_on = false;
	char *text = exit_text(NULL, 0);
	assert_null(strstr(text, "@deny4 counter drop"));
	assert_non_null(strstr(text, "masquerade to :32768-60999 fully-random"));
	assert_non_null(strstr(text, "ip saddr != @clients4 counter drop"));
	free(text);
}

static void
test_ipv6_is_refused_only_without_an_uplink_for_it(void **state)
{
	(void)state;
	char *text = exit_text(NULL, 0);
	assert_non_null(strstr(text, "reject with icmpv6 type no-route"));
	free(text);
	strcpy(surroundings.uplinks6[surroundings.uplinks6_count++], "eth0");
	text = exit_text(NULL, 0);
	assert_null(strstr(text, "reject with"));
	free(text);
}

static void
test_clients_of_one_family_are_in_its_set_only(void **state)
{
	(void)state;
	struct exit_client clients[2] = { 0 };
	inet_pton(AF_INET, "10.90.0.2", &clients[0].address4);
	inet_pton(AF_INET6, "fd48::3", &clients[1].address6);
	char *text = exit_text(clients, 2);
	assert_non_null(strstr(text, "set clients4 { type ipv4_addr; elements = { 10.90.0.2 }"));
	assert_non_null(strstr(text, "set clients6 { type ipv6_addr; elements = { fd48::3 }"));
	free(text);
}

#define RULES_TEST(test) cmocka_unit_test_setup(test, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RULES_TEST(test_two_nodes_on_one_host_share_neither_names_nor_mark),
		RULES_TEST(test_judgements_stand_in_their_order),
		RULES_TEST(test_metadata_and_private_networks_are_listed),
		RULES_TEST(test_exit_table_belongs_to_its_owner),
		RULES_TEST(test_policy_that_is_off_still_translates_and_knows_its_clients),
		RULES_TEST(test_ipv6_is_refused_only_without_an_uplink_for_it),
		RULES_TEST(test_clients_of_one_family_are_in_its_set_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

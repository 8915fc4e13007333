/* turn_coturn, turn_config: the files that coturn and the kernel get, and what is refused. */
#include "net/address.h"
#include "turn/turn_config.h"
#include "turn/turn_coturn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *
load(const char *text)
{
	static const struct config_key *const tables[] = { turn_config_keys, NULL };
	static const struct config_schema schema = { .env_prefix = "BOSON", .tables = tables };
	char path[] = "/tmp/turn-config-XXXXXX", reason[256];
	struct config *config = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "[turn]\n%s", text), (int)strlen(text) + 7);
	(void)close(fd);
	if (config_load(path, &schema, &config, reason, sizeof(reason)) != 0)
		fail_msg("%s", reason);
	(void)unlink(path);
	return config;
}

static struct in6_addr
address_of(const char *text)
{
	struct in6_addr address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

/* By coturn's list: the family counts, nothing is reduced. */
static bool
is_denied(const char *text)
{
	struct in6_addr address = address_of(text);
	bool is_v6 = strchr(text, ':') != NULL;

	for (size_t i = 0; i < turn_denied_n; i++) {
		struct in6_addr first = address_of(turn_denied[i].first);
		struct in6_addr last = address_of(turn_denied[i].last);

		if ((strchr(turn_denied[i].first, ':') != NULL) == is_v6 &&
		    memcmp(&address, &first, sizeof(first)) >= 0 &&
		    memcmp(&address, &last, sizeof(last)) <= 0)
			return true;
	}
	return false;
}

/* One step from an address, forth or back. */
static struct in6_addr
step(struct in6_addr address, int by)
{
	for (int i = 15; i >= 0; i--) {
		address.s6_addr[i] = (uint8_t)(address.s6_addr[i] + by);
		if (address.s6_addr[i] != (by > 0 ? 0 : 0xff))
			break;
	}
	return address;
}

/* The list and shared/net's table were written apart: here they meet. The table knows a few more
 * (AS112 and such: of the internet, but nobody's peer). */
static void
test_no_denied_range_holds_a_global_address_nor_ends_beside_a_special_one_T26(void **state)
{
	(void)state;
	for (size_t i = 0; i < turn_denied_n; i++) {
		struct in6_addr first = address_of(turn_denied[i].first);
		struct in6_addr last = address_of(turn_denied[i].last);

		if (strncmp(turn_denied[i].first, "2002:", 5) != 0 &&
		    strncmp(turn_denied[i].first, "64:ff9b::", 9) != 0) {
			assert_int_not_equal(address_classify(&first), ADDRESS_GLOBAL);
			if (strcmp(turn_denied[i].first, "::1") != 0)
				assert_int_not_equal(address_classify(&last), ADDRESS_GLOBAL);
		}
	}
}

static void
test_every_special_address_at_its_edges_is_denied_T26(void **state)
{
	static const char *const edges[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.255.255",
		"169.254.169.254",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.170",
		"192.168.0.0",
		"192.168.255.255",
		"198.18.0.0",
		"198.19.255.255",
		"224.0.0.0",
		"239.255.255.255",
		"240.0.0.0",
		"255.255.255.255",
		"::",
		"::1",
		"::7f00:1",
		"64:ff9b::a00:1",
		"64:ff9b:1::1",
		"2002:a00:1::",
		"2001::1",
		"2001:db8::",
		"fc00::",
		"fdff::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"feff::1",
		"ff02::1",
		"fd00:ec2::254",
		"::ffff:10.0.0.1",
		"::ffff:8.8.8.8",
		"100::1",
	};
	static const char *const open[] = { "1.0.0.0",	      "9.255.255.255", "11.0.0.0",
					    "100.63.255.255", "100.128.0.0",   "128.0.0.0",
					    "172.15.255.255", "172.32.0.0",    "223.255.255.255",
					    "8.8.8.8",	      "2600::1",       "2a00::1",
					    "2001:4860::1" };

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (!is_denied(edges[i]))
			fail_msg("%s is not denied", edges[i]);
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (is_denied(open[i]))
			fail_msg("%s is denied", open[i]);
}

/* IPv4 in full: wherever the class changes along the table's edges, the list agrees. */
static void
test_the_two_lists_agree_around_every_edge_T26(void **state)
{
	char text[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < turn_denied_n; i++) {
		struct in6_addr outside[2] = { step(address_of(turn_denied[i].first), -1),
					       step(address_of(turn_denied[i].last), 1) };

		for (size_t k = 0; k < 2; k++) {
			if (strchr(turn_denied[i].first, ':') != NULL ||
			    !IN6_IS_ADDR_V4MAPPED(&outside[k]))
				continue;
			assert_non_null(
				inet_ntop(AF_INET, &outside[k].s6_addr[12], text, sizeof(text)));
			if (is_denied(text) != (address_classify(&outside[k]) != ADDRESS_GLOBAL))
				fail_msg("%s", text);
		}
	}
}

static const struct turn_secrets two = { .texts = { "aa", "bb" }, .n = 2 };

static void
test_coturn_is_hardened_whatever_is_configured_T25_T26_P15(void **state)
{
	static const char *const lines[] = {
		"\nuse-auth-secret\n",
		"\nstatic-auth-secret=aa\n",
		"\nstatic-auth-secret=bb\n",
		"\nuser-quota=4\n",
		"\ntotal-quota=1200\n",
		"\nmax-bps=1048576\n",
		"\nstale-nonce=600\n",
		"\nno-tcp\n",
		"\nno-tls\n",
		"\nno-dtls\n",
		"\nno-tcp-relay\n",
		"\nno-software-attribute\n",
		"\nno-stun-backward-compatibility\n",
		"\nno-dynamic-ip-list\n",
		"\nno-dynamic-realms\n",
		"\nno-multicast-peers\n",
		"\nno-cli\n",
		"\nno-rfc5780\n",
		"\nfingerprint\n",
		"\nlistening-ip=5.5.5.1\n",
		"\nrelay-ip=5.5.5.1\n",
		"\nexternal-ip=7.7.7.7/5.5.5.1\n",
		"\ndenied-peer-ip=5.5.5.1\n",
		"\ndenied-peer-ip=7.7.7.7\n",
		"\ndenied-peer-ip=127.0.0.0-127.255.255.255\n",
		"\ndenied-peer-ip=9.9.9.0-9.9.9.9\n",
	};
	struct config *config = load("coturn_listen = 5.5.5.1\ncoturn_external = 7.7.7.7/5.5.5.1\n"
				     "coturn_denied = 9.9.9.0-9.9.9.9\n");
	char *text = NULL;

	(void)state;
	assert_int_equal(turn_coturn_text(config, &two, &text), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("no line %s", lines[i] + 1);
	assert_null(strstr(text, "allow-loopback-peers"));
	assert_null(strstr(text, "allowed-peer-ip"));
	/* To coturn this would be all of IPv4. */
	assert_null(strstr(text, "denied-peer-ip=::-"));
	free(text);
	config_free(&config);
}

static void
test_the_kernel_gets_the_same_list_without_the_secret_T26(void **state)
{
	struct config *config = load("coturn_account = turn\ncoturn_port_min = 50000\n");
	char *text = NULL;

	(void)state;
	assert_int_equal(turn_coturn_nft_text(config, &text), 0);
	for (size_t i = 0; i < turn_denied_n; i++)
		assert_non_null(strstr(text, turn_denied[i].first));
	assert_non_null(strstr(text, "meta skuid \"turn\" udp sport 50000-65535"));
	assert_null(strstr(text, "aa"));
	free(text);
	config_free(&config);
}

static void
test_a_configuration_that_could_not_work_is_refused_with_its_key(void **state)
{
	static const struct {
		const char *text, *key;
	} rows[] = {
		{ "servers = http://x\n", "servers" },
		{ "coturn_config = /tmp/x\n", "coturn_config" },
		{ "coturn_listen = example.org\n", "coturn_listen" },
		{ "coturn_listen = 1.2.3.4-1.2.3.5\n", "coturn_listen" },
		{ "coturn_external = 1.2.3.4/5.6.7.8/9.9.9.9\n", "coturn_external" },
		{ "coturn_denied = 1.2.3.0/24\n", "coturn_denied" },
		{ "coturn_port_min = 60000\ncoturn_port_max = 50000\n", "coturn_port_min" },
		{ "coturn_realm = two words\n", "coturn_realm" },
		{ "coturn_account = root; drop\n", "coturn_account" },
	};
	char reason[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config = load(rows[i].text);

		assert_int_equal(turn_config_check(config, reason, sizeof(reason)),
				 CONFIG_EXIT_CONFIG);
		assert_non_null(strstr(reason, rows[i].key));
		config_free(&config);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_no_denied_range_holds_a_global_address_nor_ends_beside_a_special_one_T26),
		cmocka_unit_test(test_every_special_address_at_its_edges_is_denied_T26),
		cmocka_unit_test(test_the_two_lists_agree_around_every_edge_T26),
		cmocka_unit_test(test_coturn_is_hardened_whatever_is_configured_T25_T26_P15),
		cmocka_unit_test(test_the_kernel_gets_the_same_list_without_the_secret_T26),
		cmocka_unit_test(test_a_configuration_that_could_not_work_is_refused_with_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

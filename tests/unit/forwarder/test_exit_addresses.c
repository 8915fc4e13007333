/*
 * What the exit's rules deny and what shared/net calls special are two lists of the same
 * registries: here they are held together, address by address (T28).
 */
#include "forwarder/exit_rules.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NETWORKS_MAX = 64 };

struct network {
	struct in6_addr address; /* IPv4 in its first four bytes */
	unsigned bits;
};

struct list {
	struct network networks[NETWORKS_MAX];
	size_t n;
};

/* Services of the internet itself in ranges of their own (AS112, AMT): one need not dial them, but
 * users may reach them. */
static const char *const reachable4[] = { "192.31.196.0", "192.52.193.0", "192.175.48.0" };
static const char reachable6[] = "2620:4f:8000::";

/* noinline: gcc 12 takes the stream's hold on `text` for a dangling pointer. */
__attribute__((noinline)) static char *
exit_text(void)
{
	struct exit_rules rules = { .interface = "higgs0", .policy_on = true, .mtu = 1280 };
	static const struct exit_surroundings surroundings;
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	assert_non_null(file);
	exit_rules_write_exit(&rules, &surroundings, NULL, 0, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void
read_set(const char *name, int family, struct list *ret)
{
	char *text = exit_text(), head[32], *place = NULL;

	ret->n = 0;
	snprintf(head, sizeof(head), "set %s {", name);
	char *at = strstr(text, head);
	assert_non_null(at);
	at = strstr(at, "elements = { ");
	assert_non_null(at);
	at += strlen("elements = { ");
	*strchr(at, '}') = '\0';
	for (char *word = strtok_r(at, ", ", &place); word != NULL;
	     word = strtok_r(NULL, ", ", &place)) {
		char *slash = strchr(word, '/');

		assert_non_null(slash);
		assert_true(ret->n < NETWORKS_MAX);
		*slash = '\0';
		assert_int_equal(inet_pton(family, word, &ret->networks[ret->n].address), 1);
		ret->networks[ret->n++].bits = (unsigned)strtoul(slash + 1, NULL, 10);
	}
	free(text);
}

static bool
has(const struct list *list, const uint8_t *address)
{
	for (size_t i = 0; i < list->n; i++) {
		const uint8_t *base = list->networks[i].address.s6_addr;
		unsigned whole = list->networks[i].bits / 8, rest = list->networks[i].bits % 8;

		if (memcmp(address, base, whole) == 0 &&
		    (rest == 0 || (address[whole] ^ base[whole]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

static bool
is_reachable4(uint32_t address)
{
	struct in_addr one;

	for (size_t i = 0; i < sizeof(reachable4) / sizeof(reachable4[0]); i++)
		if (inet_pton(AF_INET, reachable4[i], &one) == 1 && ntohl(one.s_addr) == address)
			return true;
	return false;
}

/* No special range is narrower than a /24. */
static void
test_every_special_network_of_ipv4_is_denied_and_no_other(void **state)
{
	struct in6_addr mapped = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	struct list list;

	(void)state;
	read_set("deny4", AF_INET, &list);
	assert_true(list.n > 10);
	for (uint32_t network = 0; network < UINT32_C(1) << 24; network++) {
		uint32_t address = htonl(network << 8);

		memcpy(mapped.s6_addr + 12, &address, sizeof(address));
		bool is_special = address_classify(&mapped) != ADDRESS_GLOBAL;
		if (is_special != has(&list, mapped.s6_addr + 12) && !is_reachable4(network << 8))
			fail_msg("%u.%u.%u.0/24: special %d, denied %d", network >> 16,
				 network >> 8 & 0xff, network & 0xff, is_special, !is_special);
	}
}

/* Of what is handed out (2000::/3), each /28; and nothing is denied that is not special. */
static void
test_every_special_network_of_ipv6_is_denied(void **state)
{
	struct in6_addr address = { 0 }, reachable;
	struct list list;

	(void)state;
	read_set("deny6", AF_INET6, &list);
	assert_int_equal(inet_pton(AF_INET6, reachable6, &reachable), 1);
	assert_false(has(&list, reachable.s6_addr));
	for (uint32_t k = UINT32_C(0x20000000); k < UINT32_C(0x40000000); k += 1 << 4) {
		uint32_t top = htonl(k);

		memcpy(address.s6_addr, &top, sizeof(top));
		if (address_classify(&address) != ADDRESS_GLOBAL && !has(&list, address.s6_addr))
			fail_msg("%x:: is special, and not denied", k);
	}
	for (size_t i = 0; i < list.n; i++)
		assert_int_not_equal(address_classify(&list.networks[i].address), ADDRESS_GLOBAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_special_network_of_ipv4_is_denied_and_no_other),
		cmocka_unit_test(test_every_special_network_of_ipv6_is_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

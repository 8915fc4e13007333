/*
 * Cookies that a relay gives in a node's place: sealed as WireGuard opens them, good for one source
 * and for some minutes, and so many a second. T15 T16.
 */
#include "relay/relay_udp_cookie.h"

#include "udp_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct key node = { .bytes = { 1, 2, 3 } };
static const struct relay_udp_tuple source = { .port = 4711 };

static void
init(struct relay_udp_cookies *cookies)
{
	static const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES] = { 9 };

	relay_udp_cookies_init(cookies, secret);
}

static void
test_T16_cookie_vouches_for_its_own_source_for_some_minutes(void **state)
{
	uint8_t message[RELAY_UDP_INITIATION_BYTES], reply[RELAY_UDP_COOKIE_REPLY_BYTES];
	struct relay_udp_tuple other = source;
	struct relay_udp_cookies cookies;
	const int64_t now_ms = 10 * RELAY_UDP_COOKIE_MS + RELAY_UDP_COOKIE_MS - 1;

	(void)state;
	init(&cookies);
	udp_message_initiation(message, &node, 7);
	assert_false(relay_udp_cookie_is_shown(&cookies, &source, message, now_ms));
	assert_int_equal(relay_udp_cookie_reply(&cookies, &source, &node, message, now_ms, reply),
			 0);
	udp_message_show_cookie(message, &node, reply);
	assert_true(relay_udp_cookie_is_shown(&cookies, &source, message, now_ms));
	assert_true(relay_udp_cookie_is_shown(&cookies, &source, message,
					      now_ms + RELAY_UDP_COOKIE_MS));
	assert_false(relay_udp_cookie_is_shown(&cookies, &source, message,
					       now_ms + RELAY_UDP_COOKIE_MS + 1));
	other.port++;
	assert_false(relay_udp_cookie_is_shown(&cookies, &other, message, now_ms));
	other = source;
	other.remote.s6_addr[15]++;
	assert_false(relay_udp_cookie_is_shown(&cookies, &other, message, now_ms));
	other = source;
	other.local.s6_addr[15]++; /* it may write to another address of ours */
	assert_true(relay_udp_cookie_is_shown(&cookies, &other, message, now_ms));
	for (size_t at = 0; at < sizeof(message); at += 7) { /* all of it is vouched for */
		message[at] ^= 1;
		assert_false(relay_udp_cookie_is_shown(&cookies, &source, message, now_ms));
		message[at] ^= 1;
	}
}

/* T15: answering costs the relay and whoever is named as the source; so there is an end to it. */
static void
test_T15_cookies_are_so_many_a_second(void **state)
{
	uint8_t message[RELAY_UDP_INITIATION_BYTES], reply[RELAY_UDP_COOKIE_REPLY_BYTES];
	struct relay_udp_cookies cookies;
	int replies = 0;

	(void)state;
	init(&cookies);
	udp_message_initiation(message, &node, 7);
	assert_true(sizeof(reply) < sizeof(message));
	for (int64_t ms = 0; ms < 1000; ms++)
		for (int i = 0; i < 10; i++)
			replies += relay_udp_cookie_reply(&cookies, &source, &node, message, 1 + ms,
							  reply) == 0;
	assert_in_range(replies, RELAY_UDP_COOKIES_PER_SEC, RELAY_UDP_COOKIES_PER_SEC * 11 / 10);
	assert_int_equal(relay_udp_cookie_reply(&cookies, &source, &node, message, 1000, reply),
			 -EBUSY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T16_cookie_vouches_for_its_own_source_for_some_minutes),
		cmocka_unit_test(test_T15_cookies_are_so_many_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

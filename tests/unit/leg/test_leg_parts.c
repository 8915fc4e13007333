/*
 * The parts of leg_client that need no socket: URLs and proxies, the queue's limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg/leg_queue.h"
#include "leg/leg_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
expect_url(const char *text, bool is_tls, const char *host, uint16_t port, const char *path,
	   const char *authority)
{
	struct leg_url url;

	assert_int_equal(leg_url_parse(text, &url), 0);
	assert_int_equal(url.is_tls, is_tls);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, path);
	assert_string_equal(url.authority, authority);
}

static void
test_a_url_is_taken_apart(void **state)
{
	(void)state;
	expect_url("wss://relay.example/relay/1", true, "relay.example", 443, "/relay/1",
		   "relay.example");
	expect_url("wss://relay.example:8443/relay/1", true, "relay.example", 8443, "/relay/1",
		   "relay.example:8443");
	expect_url("ws://a/~!", false, "a", 80, "/~!", "a");
	expect_url("ws://a:443/", false, "a", 443, "/", "a:443");
	expect_url("wss://a:80/", true, "a", 80, "/", "a:80");
	expect_url("wss://az.AZ-09_/", true, "az.AZ-09_", 443, "/", "az.AZ-09_");
	expect_url("ws://10.0.0.1:80/x", false, "10.0.0.1", 80, "/x", "10.0.0.1");
	expect_url("wss://[2001:db8::1]:444", true, "2001:db8::1", 444, "/", "[2001:db8::1]:444");
	expect_url("wss://[2001:db8::1]/p", true, "2001:db8::1", 443, "/p", "[2001:db8::1]");
}

static void
test_a_url_with_anything_odd_is_refused(void **state)
{
	(void)state;
	const char *bad[] = { "",
			      "relay.example",
			      "http://a/",
			      "WSS://a/",
			      "wss:/a",
			      "wss:/xa/",
			      "ws:/xa/",
			      "wss://a`/",
			      "wss://a{/",
			      "wss://a@/",
			      "wss://a\\/",
			      "wss://a;/",
			      "wss://[::1/",
			      "wss://a/?b",
			      "wss://a/\x7f",
			      "wss:///x",
			      "wss://-a/",
			      "wss://.a/",
			      "wss://a:/",
			      "wss://a:+1/",
			      "wss://a: 1/",
			      "wss://a:1:2/",
			      "wss://a:000001/",
			      "wss://[relay]/",
			      "wss://[::1]x/",
			      "wss://[::1]x443/",
			      "wss://a\x7f/",
			      "wss://a/\xc3\xa4",
			      "wss://a/#b",
			      "wss://u:p@a/" };
	struct leg_url url;
	char huge[1000];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (leg_url_parse(bad[i], &url) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	memset(huge, 'a', sizeof huge);
	memcpy(huge, "wss://", 6);
	huge[sizeof huge - 1] = '\0';
	assert_int_equal(leg_url_parse(huge, &url), -EINVAL);
	memcpy(huge, "wss://a/", 8);
	assert_int_equal(leg_url_parse(huge, &url), -EINVAL);
}

static void
test_a_url_has_room_for_what_fits_and_no_byte_more(void **state)
{
	char host[6 + LEG_URL_HOST_BYTES + 1] = "wss://", path[8 + LEG_URL_PATH_BYTES] = "wss://a/";
	struct leg_url url;

	(void)state;
	memset(host + 6, 'a', LEG_URL_HOST_BYTES - 1);
	assert_int_equal(leg_url_parse(host, &url), 0);
	assert_int_equal(strlen(url.host), LEG_URL_HOST_BYTES - 1);
	host[6 + LEG_URL_HOST_BYTES - 1] = 'a';
	assert_int_equal(leg_url_parse(host, &url), -EINVAL);
	memset(path + 8, 'a', LEG_URL_PATH_BYTES - 2);
	assert_int_equal(leg_url_parse(path, &url), 0);
	assert_int_equal(strlen(url.path), LEG_URL_PATH_BYTES - 1);
	path[8 + LEG_URL_PATH_BYTES - 2] = 'a';
	assert_int_equal(leg_url_parse(path, &url), -EINVAL);
}

static void
test_a_url_is_put_together_as_it_was(void **state)
{
	static const char *const texts[] = { "wss://relay.example/relay/1", "ws://a:8080/",
					     "wss://[2001:db8::1]:444/p" };
	char text[LEG_URL_TEXT_BYTES];
	struct leg_url url;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(leg_url_parse(texts[i], &url), 0);
		leg_url_format(&url, text);
		assert_string_equal(text, texts[i]);
	}
}

static bool
proxy_of(const char *text, char *ret)
{
	struct leg_url url;

	assert_int_equal(leg_url_parse(text, &url), 0);
	return leg_url_proxy(&url, ret);
}

static void
test_the_proxy_is_the_one_for_the_scheme_unless_excepted(void **state)
{
	(void)state;
	char proxy[LEG_URL_PROXY_BYTES], host[LEG_URL_HOST_BYTES];
	uint16_t port;

	assert_false(proxy_of("wss://relay.example/", proxy));
	setenv("HTTP_PROXY", "http://wrong:1", 1); /* never heard */
	setenv("http_proxy", "http://plain:3128", 1);
	setenv("https_proxy", "http://user:pass@secure:3129/", 1);
	setenv("no_proxy", "localhost, .inside.example,10.0.0.1", 1);
	assert_true(proxy_of("ws://relay.example/", proxy));
	assert_string_equal(proxy, "plain:3128");
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, "user:pass@secure:3129");
	assert_int_equal(leg_proxy_address(proxy, host, &port), 0);
	assert_string_equal(host, "secure");
	assert_int_equal(port, 3129);
	assert_false(proxy_of("wss://localhost/", proxy));
	assert_false(proxy_of("wss://relay.inside.example/", proxy));
	assert_false(proxy_of("wss://inside.example/", proxy));
	assert_true(proxy_of("wss://outinside.example/", proxy));
	assert_false(proxy_of("wss://10.0.0.1/", proxy));
	setenv("no_proxy", "*", 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	unsetenv("no_proxy");
	setenv("https_proxy", "socks5://p:1", 1); /* not an HTTP proxy */
	assert_false(proxy_of("wss://relay.example/", proxy));
	setenv("https_proxy", "[::1]:3128", 1);
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, "[::1]:3128");
	unsetenv("https_proxy");
	setenv("ALL_PROXY", "p:99", 1);
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, "p:99");
	unsetenv("ALL_PROXY");
	unsetenv("http_proxy");
	unsetenv("HTTP_PROXY");
}

static bool
is_excepted(const char *list)
{
	char proxy[LEG_URL_PROXY_BYTES];

	setenv("no_proxy", list, 1);
	return !proxy_of("wss://relay.example/", proxy);
}

static void
test_only_what_no_proxy_names_goes_without(void **state)
{
	char proxy[LEG_URL_PROXY_BYTES];

	(void)state;
	setenv("https_proxy", "proxy:1", 1);
	assert_true(is_excepted("RELAY.example"));
	assert_true(is_excepted(" , other,relay.example"));
	assert_true(is_excepted("other,*"));
	assert_true(is_excepted("example"));
	assert_false(is_excepted("other.example"));
	assert_false(is_excepted("relay.exampl"));
	assert_false(is_excepted("*.example"));
	assert_false(is_excepted("e"));
	assert_false(is_excepted("."));
	assert_false(is_excepted(", ,"));
	assert_true(proxy_of("wss://relay.example./", proxy)); /* nothing names nobody */
	unsetenv("no_proxy");
	unsetenv("https_proxy");
}

static void
test_a_proxy_that_is_empty_or_none_is_not_used(void **state)
{
	char proxy[LEG_URL_PROXY_BYTES], many[2 * LEG_URL_PROXY_BYTES] = "";

	(void)state;
	setenv("http_proxy", "", 1);
	assert_false(proxy_of("ws://relay.example/", proxy));
	setenv("https_proxy", "", 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	setenv("HTTPS_PROXY", "capitals:1", 1);
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, "capitals:1");
	setenv("https_proxy", "first", 1);
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, "first:1080");
	setenv("https_proxy", "http://a b:1", 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	memset(many, 'u', sizeof many - 1);
	setenv("https_proxy", many, 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	/* It would fit, but for its port. */
	strcpy(many + LEG_URL_PROXY_BYTES - 5, "@p:1");
	setenv("https_proxy", many, 1);
	assert_true(proxy_of("wss://relay.example/", proxy));
	assert_string_equal(proxy, many);
	strcpy(many + LEG_URL_PROXY_BYTES - 5, "@prx");
	setenv("https_proxy", many, 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	strcpy(many + LEG_URL_PROXY_BYTES - 7, "@p"); /* and :1080, without a place for its NUL */
	setenv("https_proxy", many, 1);
	assert_false(proxy_of("wss://relay.example/", proxy));
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
}

static void
expect_set(const char *before, const char *address, const char *after)
{
	char proxy[LEG_URL_PROXY_BYTES];

	strcpy(proxy, before);
	assert_int_equal(leg_proxy_set_address(proxy, address), 0);
	assert_string_equal(proxy, after);
}

static void
test_a_proxys_name_is_replaced_by_its_address_and_nothing_else(void **state)
{
	char proxy[LEG_URL_PROXY_BYTES] = "a b:1";

	(void)state;
	expect_set("proxy:3128", "10.0.0.1", "10.0.0.1:3128");
	expect_set("user:p@ss@proxy:3128", "10.0.0.1", "user:p@ss@10.0.0.1:3128");
	expect_set("user@[::1]:1", "2001:db8::1", "user@[2001:db8::1]:1");
	assert_int_equal(leg_proxy_set_address(proxy, "10.0.0.1"), -EINVAL);
	/* To the last byte, and no more. */
	memset(proxy, 'u', sizeof proxy);
	strcpy(proxy + sizeof proxy - 12, "@p:1");
	assert_int_equal(leg_proxy_set_address(proxy, "10.0.0.1"), 0);
	assert_string_equal(proxy + sizeof proxy - 12, "@10.0.0.1:1");
	assert_int_equal(leg_proxy_set_address(proxy, "10.0.0.10"), -EINVAL);
}

static void
push(struct leg_queue *queue, enum leg_message_kind kind, uint32_t number, size_t n)
{
	struct leg_message *message = leg_message_new(kind, n);

	assert_non_null(message);
	message->n = n;
	message->generation = number;
	leg_queue_push(queue, message);
}

static void
expect_pop(struct leg_queue *queue, uint32_t number)
{
	struct leg_message *message = leg_queue_pop(queue);

	assert_non_null(message);
	assert_int_equal(message->generation, number);
	free(message);
}

/* As the leg's thread puts a message together from what each read brings. */
static void
test_a_message_grows_by_what_comes_and_keeps_what_it_had(void **state)
{
	enum { PIECE = 1000, PIECES = 20 };
	struct leg_message *message = leg_message_new(LEG_MESSAGE_DATA, PIECE);

	(void)state;
	assert_non_null(message);
	assert_int_equal(message->n, 0);
	assert_int_equal(message->generation, 0);
	for (unsigned i = 0; i < PIECES; i++) {
		const struct leg_message *before = message;
		bool has_room = message->capacity >= message->n + PIECE;

		assert_int_equal(leg_message_grow(&message, PIECE), 0);
		assert_true(!has_room || message == before);
		assert_true(message->capacity >= message->n + PIECE);
		memset(message->payload + message->n, (int)i, PIECE);
		message->n += PIECE;
		assert_int_equal(leg_message_grow(&message, i % 2), 0); /* a byte, or none */
	}
	for (unsigned i = 0; i < PIECES * PIECE; i++)
		assert_int_equal(message->payload[i], i / PIECE);
	free(message);
}

static void
test_trimming_takes_the_oldest_data_and_leaves_the_rest_in_order(void **state)
{
	(void)state;
	struct leg_queue queue;

	leg_queue_init(&queue);
	push(&queue, LEG_MESSAGE_CONTROL, 1, 10);
	for (uint32_t i = 2; i <= 5; i++)
		push(&queue, LEG_MESSAGE_DATA, i, 1000);
	push(&queue, LEG_MESSAGE_STATE, 6, 10);
	assert_int_equal(leg_queue_trim(&queue, queue.bytes), 0);
	assert_int_equal(leg_queue_trim(&queue, queue.bytes - 1), 1);
	assert_int_equal(leg_queue_trim(&queue, queue.bytes - 1100), 2);
	expect_pop(&queue, 1);
	expect_pop(&queue, 5);
	expect_pop(&queue, 6);
	assert_null(leg_queue_pop(&queue));
	assert_int_equal(queue.bytes, 0);
}

static void
test_a_queue_can_be_used_on_after_its_tail_was_trimmed(void **state)
{
	(void)state;
	struct leg_queue queue, other;

	leg_queue_init(&queue);
	leg_queue_init(&other);
	push(&queue, LEG_MESSAGE_CONTROL, 1, 10);
	push(&queue, LEG_MESSAGE_DATA, 2, 1000);
	assert_int_equal(leg_queue_trim(&queue, 0), 1);
	push(&queue, LEG_MESSAGE_DATA, 3, 10);
	push(&other, LEG_MESSAGE_DATA, 4, 10);
	leg_queue_splice(&queue, &other);
	leg_queue_splice(&queue, &other);
	push(&other, LEG_MESSAGE_DATA, 9, 10);
	expect_pop(&queue, 1);
	expect_pop(&queue, 3);
	expect_pop(&queue, 4);
	assert_null(leg_queue_pop(&queue));
	leg_queue_clear(&other);
	assert_int_equal(other.bytes, 0);
}

static void
test_a_queue_knows_its_bytes_and_its_end(void **state)
{
	struct leg_queue queue, other;
	size_t one, all;

	(void)state;
	leg_queue_init(&queue);
	leg_queue_init(&other);
	push(&queue, LEG_MESSAGE_CONTROL, 1, 10);
	one = queue.bytes;
	assert_true(one > 10); /* a flood of tiny ones is bounded, too */
	push(&other, LEG_MESSAGE_CONTROL, 2, 500);
	push(&other, LEG_MESSAGE_CONTROL, 3, 10);
	all = queue.bytes + other.bytes;
	assert_int_equal(all, 3 * one + 490);
	leg_queue_splice(&queue, &other);
	assert_int_equal(queue.bytes, all);
	assert_int_equal(other.bytes, 0);
	expect_pop(&queue, 1);
	push(&queue, LEG_MESSAGE_CONTROL, 4, 10); /* behind those that are left */
	for (uint32_t i = 2; i <= 4; i++)
		expect_pop(&queue, i);
	assert_int_equal(queue.bytes, 0);
	push(&queue, LEG_MESSAGE_DATA, 5, 10); /* after the last was taken */
	leg_queue_splice(&queue, &other);
	push(&queue, LEG_MESSAGE_DATA, 6, 10);
	expect_pop(&queue, 5);
	expect_pop(&queue, 6);
	assert_null(leg_queue_pop(&queue));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_url_is_taken_apart),
		cmocka_unit_test(test_a_url_with_anything_odd_is_refused),
		cmocka_unit_test(test_the_proxy_is_the_one_for_the_scheme_unless_excepted),
		cmocka_unit_test(test_a_url_has_room_for_what_fits_and_no_byte_more),
		cmocka_unit_test(test_a_url_is_put_together_as_it_was),
		cmocka_unit_test(test_only_what_no_proxy_names_goes_without),
		cmocka_unit_test(test_a_proxy_that_is_empty_or_none_is_not_used),
		cmocka_unit_test(test_a_proxys_name_is_replaced_by_its_address_and_nothing_else),
		cmocka_unit_test(test_a_message_grows_by_what_comes_and_keeps_what_it_had),
		cmocka_unit_test(test_trimming_takes_the_oldest_data_and_leaves_the_rest_in_order),
		cmocka_unit_test(test_a_queue_can_be_used_on_after_its_tail_was_trimmed),
		cmocka_unit_test(test_a_queue_knows_its_bytes_and_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

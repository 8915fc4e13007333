/* turn_servers: URLs of RFC 7064 and 7065. */
#include "turn/turn_servers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void
assert_parses(const char *url, bool relays, const char *host, unsigned int port)
{
	struct turn_server server;

	assert_int_equal(turn_server_parse(url, &server), 0);
	assert_int_equal(server.relays, relays);
	assert_string_equal(server.host, host);
	assert_int_equal(server.port, port);
	assert_ptr_equal(server.url, url);
}

static void
test_urls_of_both_rfcs_parse(void **state)
{
	(void)state;
	assert_parses("stun:stun.example", false, "stun.example", 3478);
	assert_parses("stun:192.0.2.1:19302", false, "192.0.2.1", 19302);
	assert_parses("turn:turn.example:3478?transport=udp", true, "turn.example", 3478);
	assert_parses("turn:turn.example?transport=tcp", true, "turn.example", 3478);
	assert_parses("turns:turn.example", true, "turn.example", 5349);
	assert_parses("turn:[2001:db8::1]:99?transport=udp", true, "2001:db8::1", 99);
	assert_parses("turn:[2001:db8::1]", true, "2001:db8::1", 3478);
}

static void
test_anything_else_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	     "turn",	     "turn:",	    "http:a",	  "turnx:a",
		"turn:a:0",  "turn:a:70000", "turn:a:1x",   "turn:a?x=y", "stun:a?transport=udp",
		"turn:[::1", "turn:[]:1",    "turn:user@a", "turn:a b",	  "turn:[::1]x",
		"turn:a:",   "turn://a",
	};
	struct turn_server server;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(turn_server_parse(bad[i], &server), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_of_both_rfcs_parse),
		cmocka_unit_test(test_anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* turn_servers: URLs of RFC 7064 and 7065. */
#include "turn/turn_servers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

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

/* A server of this URL with a probe that took so long; 0: it failed. */
static void
make(struct turn_server *server, const char *url, uint32_t round_trip_us)
{
	assert_int_equal(turn_server_parse(url, server), 0);
	if (server->is_probed)
		(void)turn_server_note(server, round_trip_us == 0 ? "test" : NULL, round_trip_us);
}

static void
assert_order(const struct turn_server *servers, size_t n, bool relays_only, const char *expected)
{
	size_t places[TURN_SERVERS_MAX];
	size_t count = turn_servers_order(servers, n, relays_only, places);

	assert_int_equal(count, strlen(expected));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(places[i], expected[i] - '0');
}

static void
test_the_nearest_that_works_comes_first_F44(void **state)
{
	struct turn_server servers[6];

	(void)state;
	make(&servers[0], "turn:far", 90000);
	make(&servers[1], "turn:near", 2000);
	make(&servers[2], "turn:dead", 0);
	make(&servers[3], "stun:nearest", 1000);
	make(&servers[4], "turns:unprobed", 0);
	assert_int_equal(turn_server_parse("turn:untried", &servers[5]), 0);
	assert_order(servers, 6, false, "3104");
	assert_order(servers, 6, true, "104");
	assert_order(servers, 0, true, "");
}

static void
test_what_cannot_be_probed_shares_the_fate_of_what_can_F44(void **state)
{
	struct turn_server servers[4];

	(void)state;
	make(&servers[0], "turn:a?transport=udp", 0);
	make(&servers[1], "turn:a?transport=tcp", 0);
	make(&servers[2], "turn:b?transport=tcp", 0);
	make(&servers[3], "stun:a", 1000); /* says nothing of its allocations */
	assert_order(servers, 4, true, "2");
	make(&servers[0], "turn:a?transport=udp", 5000);
	assert_order(servers, 4, true, "012");
}

static void
test_round_trips_are_smoothed_and_changes_told(void **state)
{
	struct turn_server server;

	(void)state;
	assert_int_equal(turn_server_parse("turn:a", &server), 0);
	assert_true(turn_server_note(&server, NULL, 8000));
	assert_int_equal(server.round_trip_us, 8000);
	assert_false(turn_server_note(&server, NULL, 16000));
	assert_int_equal(server.round_trip_us, 9000);
	assert_true(turn_server_note(&server, "dead", 0));
	assert_false(turn_server_note(&server, "dead", 0));
	assert_true(turn_server_note(&server, NULL, 4000));
	assert_int_equal(server.round_trip_us, 4000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_of_both_rfcs_parse),
		cmocka_unit_test(test_anything_else_is_refused),
		cmocka_unit_test(test_the_nearest_that_works_comes_first_F44),
		cmocka_unit_test(test_what_cannot_be_probed_shares_the_fate_of_what_can_F44),
		cmocka_unit_test(test_round_trips_are_smoothed_and_changes_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the client makes of a server's answers: a route is taken only when every field is what it
 * must be; each refusal has its words and status; which places are pinned; and the rules made of
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_killswitch.h"
#include "client/client_pins.h"
#include "client/client_refusal.h"
#include "client/client_route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char good[] =
	"{\"routes\":[],\"unknown\":1,\"selectedRoute\":{\"id\":\"r-1\",\"relayEndpoint\":\"x\","
	"\"relayEndpoints\":[\"wss://one.example/relay/s\",\"wss://[2001:db8::1]:8443/relay/s\"],"
	"\"sessionId\":\"5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003\",\"sessionToken\":\"a.b.c\","
	"\"relayTicket\":\"TICKET\",\"expiresAt\":1900000000000,\"nodeEndpoint\":{\"nodeId\":"
	"\"5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002\",\"publicKey\":"
	"\"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\",\"wireguardConfig\":{\"address\":"
	"\"10.90.0.2/32, fd48:6967:6773::2/128\",\"dns\":[\"10.90.0.1\",\"fd48:6967:6773::1\"],"
	"\"mtu\":1300,\"persistentKeepalive\":20}}}}";

static char error[256];

static int
parse(const char *json)
{
	struct client_route route;

	error[0] = '\0';
	return client_route_parse(json, strlen(json), &route, error, sizeof error);
}

/* The good answer with one part exchanged must be refused, and the refusal name the field. */
static void
expect_refused(const char *part, const char *instead, const char *field)
{
	char text[sizeof good + 1024];
	const char *at = strstr(good, part);

	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, instead, at + strlen(part));
	if (parse(text) != -EBADMSG || strstr(error, field) == NULL)
		fail_msg("\"%s\" for \"%s\": \"%s\" instead of \"%s\"", instead, part, error,
			 field);
}

static void
test_a_whole_route_is_taken(void **state)
{
	(void)state;
	struct client_route route;

	assert_int_equal(client_route_parse(good, strlen(good), &route, error, sizeof error), 0);
	assert_string_equal(route.id, "r-1");
	assert_string_equal(route.session_id, "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003");
	assert_string_equal(route.node_id, "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002");
	assert_string_equal(route.ticket, "TICKET");
	assert_string_equal(route.session_token, "a.b.c");
	assert_int_equal(route.expires_at_ms, 1900000000000);
	assert_int_equal(route.relay_n, 2);
	assert_string_equal(route.relays[1], "wss://[2001:db8::1]:8443/relay/s");
	assert_string_equal(route.address4, "10.90.0.2");
	assert_string_equal(route.address6, "fd48:6967:6773::2");
	assert_int_equal(route.dns_n, 2);
	assert_string_equal(route.dns[1], "fd48:6967:6773::1");
	assert_int_equal(route.mtu, 1300);
	assert_int_equal(route.keepalive_sec, 20);
	client_route_wipe(&route);
	assert_string_equal(route.ticket, "");
}

static void
test_each_field_that_is_not_what_it_must_be_is_refused(void **state)
{
	(void)state;
	expect_refused("5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003", "../../etc", "sessionId");
	expect_refused("5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002", "", "nodeId");
	expect_refused("\"r-1\"", "\"a/b\"", "selectedRoute.id");
	expect_refused("\"r-1\"", "\"a\\r\\nb\"", "selectedRoute.id");
	expect_refused("\"r-1\"", "7", "id");
	expect_refused("\"TICKET\"", "\"T\\r\\nX: y\"", "relayTicket");
	expect_refused("\"TICKET\"", "null", "relayTicket");
	expect_refused("a.b.c", "a b", "sessionToken");
	expect_refused("1900000000000", "0", "expiresAt");
	expect_refused("1900000000000", "1e99", "expiresAt");
	expect_refused("wss://one.example/relay/s", "ws://one.example/relay/s", "relayEndpoints");
	expect_refused("wss://one.example/relay/s", "wss://one.example; rm -rf/", "relayEndpoints");
	expect_refused("[\"wss://one.example/relay/s\",\"wss://[2001:db8::1]:8443/relay/s\"]",
		       "[\"https://one.example\"]", "relayEndpoints");
	expect_refused("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "c2hvcnQ=", "publicKey");
	expect_refused("10.90.0.2/32", "10.90.0.2; drop", "address");
	expect_refused("10.90.0.2/32, fd48:6967:6773::2/128", "", "address");
	expect_refused("fd48:6967:6773::2/128", "10.90.0.3/32", "address");
	expect_refused("\"10.90.0.1\"", "\"ns.example\\noptions\"", "dns");
	expect_refused("\"wireguardConfig\"", "\"w\"", "selectedRoute");
}

static void
test_what_is_no_route_at_all_is_refused(void **state)
{
	(void)state;
	char cut[sizeof good];

	assert_int_equal(parse(""), -EBADMSG);
	assert_int_equal(parse("[]"), -EBADMSG);
	assert_int_equal(parse("{}"), -EBADMSG);
	assert_int_equal(parse("{\"selectedRoute\":{},\"selectedRoute\":{}}"), -EBADMSG);
	/* L62: cut off anywhere */
	for (size_t n = 0; n + 1 < sizeof good; n++) {
		memcpy(cut, good, n);
		cut[n] = '\0';
		assert_int_equal(parse(cut), -EBADMSG);
	}
}

static void
test_odd_sizes_fall_back_to_safe_ones(void **state)
{
	(void)state;
	struct client_route route;
	const char *json =
		"{\"selectedRoute\":{\"id\":\"r\",\"relayEndpoint\":\"wss://a/b\",\"sessionId\":"
		"\"5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003\",\"relayTicket\":\"T\",\"expiresAt\":1,"
		"\"nodeEndpoint\":{\"nodeId\":\"5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002\","
		"\"publicKey\":\"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\","
		"\"wireguardConfig\":{\"address\":\"fd48::2\",\"mtu\":68,"
		"\"persistentKeepalive\":0}}}}";

	assert_int_equal(client_route_parse(json, strlen(json), &route, error, sizeof error), 0);
	assert_int_equal(route.mtu, 1280);
	assert_int_equal(route.keepalive_sec, 25);
	assert_int_equal(route.relay_n, 1); /* the only one named */
	assert_string_equal(route.address4, "");
}

static void
test_a_request_says_what_is_wished_and_no_more(void **state)
{
	(void)state;
	struct key key = { .bytes = { 1 } };
	struct client_route_wish wish = { .client_id = "id", .public_key = &key };
	char *json;

	assert_int_equal(client_route_request(&wish, &json), 0);
	assert_non_null(strstr(json, "\"clientId\":\"id\""));
	assert_non_null(strstr(json, "\"publicKey\":\"AQAAAA"));
	assert_null(strstr(json, "targetNodeId"));
	assert_null(strstr(json, "requirements"));
	assert_null(strstr(json, "sessionId"));
	assert_null(strstr(json, "failedNodeId"));
	free(json);
	wish.country = "SE";
	wish.node_id = "n";
	wish.session_id = "s";
	wish.failed_node_id = "n";
	assert_int_equal(client_route_request(&wish, &json), 0);
	assert_non_null(strstr(json, "\"preferredCountry\":\"SE\""));
	assert_non_null(strstr(json, "\"targetNodeId\":\"n\""));
	assert_non_null(strstr(json, "\"sessionId\":\"s\""));
	assert_non_null(strstr(json, "\"failedNodeId\":\"n\""));
	free(json);
}

static struct client_refusal
refusal(int status, const char *body, int retry_sec, char *text, size_t capacity)
{
	struct client_refusal ret;
	const struct http_answer answer = { .status = status,
					    .body = body,
					    .body_bytes = strlen(body),
					    .retry_after_sec = retry_sec,
					    .error = status == 0 ? "it\nrefused" : "" };

	client_refusal_read(&answer, "https://b", &ret, text, capacity);
	return ret;
}

/* L54 to L60 */
static void
test_each_refusal_has_its_status_and_says_what_to_do(void **state)
{
	(void)state;
	char text[512];

	assert_int_equal(refusal(0, "", 0, text, sizeof text).status, 75);
	assert_non_null(strstr(text, "it\\x0arefused; try again in 5 s"));
	assert_int_equal(refusal(401, "", 0, text, sizeof text).status, 77);
	assert_non_null(strstr(text, "--key-file"));
	assert_int_equal(refusal(403, "", 0, text, sizeof text).status, 77);
	assert_int_equal(refusal(409, "", 0, text, sizeof text).status, 77);
	assert_int_equal(refusal(429, "", 42, text, sizeof text).status, 75);
	assert_non_null(strstr(text, "42 s"));
	assert_int_equal(refusal(503, "", 0, text, sizeof text).status, 75);
	assert_int_equal(refusal(500, "", 0, text, sizeof text).status, 75);
	assert_int_equal(refusal(301, "", 0, text, sizeof text).status, 76);
	assert_int_equal(refusal(400, "", 0, text, sizeof text).status, 76);
	assert_int_equal(refusal(404, "", 0, text, sizeof text).status, 76);
	const char *none = "{\"error\":{\"code\":\"no_suitable_node\"}}";
	assert_int_equal(refusal(404, none, 0, text, sizeof text).status, 69);
	const char *gone = "{\"error\":{\"code\":\"session_unknown\"}}";
	struct client_refusal session = refusal(404, gone, 0, text, sizeof text);
	assert_true(session.is_session);
	assert_false(refusal(404, none, 0, text, sizeof text).is_session);
	assert_true(refusal(503, "", 9, text, sizeof text).is_temporary);
}

static void
test_pins_are_the_hosts_and_ports_of_all_urls_once(void **state)
{
	(void)state;
	struct client_pins pins = { 0 };

	assert_int_equal(client_pins_add_url(&pins, "https://boson.example"), 0);
	assert_int_equal(client_pins_add_url(&pins, "wss://BOSON.example/relay/1"), 0);
	assert_int_equal(client_pins_add_url(&pins, "wss://boson.example:8443/relay/1"), 0);
	assert_int_equal(client_pins_add_url(&pins, "wss://10.1.2.3/relay/1"), 0);
	assert_int_equal(client_pins_add_url(&pins, "wss://[2001:db8::1]:99/relay/1"), 0);
	assert_int_equal(pins.n, 4);
	assert_int_equal(client_pins_add_url(&pins, "http://plain.example"), -EINVAL);
	assert_int_equal(client_pins_add_url(&pins, "https://u@h"), -EINVAL);
	assert_string_equal(client_pins_unresolved(&pins)->host, "boson.example");
	assert_int_equal(client_pins_set(&pins, "boson.example", "not-one"), -EINVAL);
	assert_int_equal(client_pins_set(&pins, "boson.example", "198.51.100.7"), 0);
	assert_null(client_pins_unresolved(&pins));
	assert_string_equal(pins.pins[1].address, "198.51.100.7");
	assert_int_equal(pins.pins[1].port, 8443);
	assert_true(pins.pins[3].is_v6);
}

static void
test_what_was_resolved_stays_resolved(void **state)
{
	(void)state;
	struct client_pins known = { 0 }, next = { 0 };

	client_pins_add_url(&known, "https://boson.example");
	client_pins_set(&known, "boson.example", "2001:db8::7");
	client_pins_add_url(&next, "wss://boson.example:444/r");
	client_pins_add_url(&next, "wss://other.example/r");
	client_pins_learn(&next, &known);
	assert_string_equal(next.pins[0].address, "2001:db8::7");
	assert_string_equal(client_pins_unresolved(&next)->host, "other.example");
	assert_false(client_pins_are_equal(&known, &next));
	assert_true(client_pins_are_equal(&known, &known));
}

static void
test_no_more_places_are_pinned_than_fit(void **state)
{
	(void)state;
	struct client_pins pins = { 0 };
	char url[64];

	for (unsigned i = 0; i < CLIENT_PINS_MAX; i++) {
		snprintf(url, sizeof url, "wss://h%u.example/", i);
		assert_int_equal(client_pins_add_url(&pins, url), 0);
	}
	assert_int_equal(client_pins_add_url(&pins, "wss://one-more.example/"), -ENOSPC);
	assert_int_equal(client_pins_add_url(&pins, "wss://h3.example/"), 0);
}

/* T34, T35, T36 */
static void
test_the_kill_switch_names_exactly_what_may_leave(void **state)
{
	(void)state;
	struct client_pins pins = { 0 };
	char text[KILLSWITCH_TEXT_BYTES];

	client_pins_add_url(&pins, "https://198.51.100.7:8443");
	client_pins_add_url(&pins, "wss://[2001:db8::1]/relay/x");
	assert_int_equal(client_killswitch_text(&pins, "hg7", 0, text, sizeof text), 0);
	assert_non_null(strstr(text, "policy drop"));
	assert_non_null(strstr(text, "meta skuid 0 ip daddr 198.51.100.7 tcp dport 8443 accept"));
	assert_non_null(strstr(text, "meta skuid 0 ip6 daddr 2001:db8::1 tcp dport 443 accept"));
	assert_non_null(strstr(text, "oifname \"hg7\" accept"));
	/* one transaction that replaces itself */
	const char *start = "add table inet higgs_client\ndelete table inet higgs_client\n";
	assert_memory_equal(text, start, strlen(start));
	/* accepted are: lo, the tunnel, two pins, DHCP twice, neighbours; forwarded: two */
	unsigned accepts = 0;
	for (const char *at = text; (at = strstr(at, " accept\n")) != NULL; at++)
		accepts++;
	assert_int_equal(accepts, 9);
	assert_int_equal(client_killswitch_text(&pins, "hg7", 0, text, 300), -ENOSPC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_route_is_taken),
		cmocka_unit_test(test_each_field_that_is_not_what_it_must_be_is_refused),
		cmocka_unit_test(test_what_is_no_route_at_all_is_refused),
		cmocka_unit_test(test_odd_sizes_fall_back_to_safe_ones),
		cmocka_unit_test(test_a_request_says_what_is_wished_and_no_more),
		cmocka_unit_test(test_each_refusal_has_its_status_and_says_what_to_do),
		cmocka_unit_test(test_pins_are_the_hosts_and_ports_of_all_urls_once),
		cmocka_unit_test(test_what_was_resolved_stays_resolved),
		cmocka_unit_test(test_no_more_places_are_pinned_than_fit),
		cmocka_unit_test(test_the_kill_switch_names_exactly_what_may_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The configuration file of a stock WireGuard app, the registration behind it, and the QR code:
 * nothing that a server said goes into a file before it was found to be an endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_conf.h"
#include "client/client_qr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct client_route
route(void)
{
	struct client_route route = { .expires_at_ms = 1900000000000, .mtu = 1280, .dns_n = 2 };

	strcpy(route.node_id, "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002");
	strcpy(route.address4, "10.90.0.2");
	strcpy(route.address6, "fd48:6967:6773::2");
	strcpy(route.dns[0], "10.90.0.1");
	strcpy(route.dns[1], "fd48:6967:6773::1");
	route.keepalive_sec = 25;
	memset(route.node_key.bytes, 0x42, KEY_BYTES);
	return route;
}

static void
test_file_is_what_wg_quick_reads(void **state)
{
	struct client_route r = route();
	struct key key = { .bytes = { 1 } };
	char text[CONF_TEXT_BYTES];

	(void)state;
	assert_int_equal(client_conf_write(&r, &key, "boson.example:51820", text), 0);
	assert_string_equal(text, "# node 5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002, good until "
				  "2030-03-17 17:46 UTC\n"
				  "[Interface]\n"
				  "PrivateKey = AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
				  "Address = 10.90.0.2/32, fd48:6967:6773::2/128\n"
				  "DNS = 10.90.0.1, fd48:6967:6773::1\n"
				  "MTU = 1280\n\n"
				  "[Peer]\n"
				  "PublicKey = QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n"
				  "Endpoint = boson.example:51820\n"
				  "AllowedIPs = 0.0.0.0/0, ::/0\n"
				  "PersistentKeepalive = 25\n");
}

/* T34: a tunnel of one family still takes both, so that the other does not leave beside it. */
static void
test_file_for_one_family_routes_both(void **state)
{
	struct client_route r = route();
	struct key key = { .bytes = { 1 } };
	char text[CONF_TEXT_BYTES];

	(void)state;
	r.address6[0] = '\0';
	r.dns_n = 0;
	assert_int_equal(client_conf_write(&r, &key, "[2001:db8::1]:51820", text), 0);
	assert_non_null(strstr(text, "Address = 10.90.0.2/32\nMTU"));
	assert_null(strstr(text, "DNS"));
	assert_non_null(strstr(text, "AllowedIPs = 0.0.0.0/0, ::/0\n"));
	assert_non_null(strstr(text, "Endpoint = [2001:db8::1]:51820\n"));
}

static void
test_only_endpoints_are_endpoints(void **state)
{
	static const char *const bad[] = { "",
					   ":51820",
					   "host",
					   "host:",
					   "host:0",
					   "host:65536",
					   "host:1x",
					   "host:+1",
					   "ho st:1",
					   "host\n:1",
					   "host#:1",
					   "2001:db8::1:51820",
					   "[2001:db8::g]:1",
					   "[]:1",
					   "[::1:1",
					   "host:1\nPostUp = reboot" };
	static const char *const good[] = { "boson.example:51820", "203.0.113.10:1",
					    "[::1]:65535" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (client_conf_is_endpoint(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!client_conf_is_endpoint(good[i]))
			fail_msg("\"%s\" was refused", good[i]);
}

static void
test_answer_without_an_endpoint_is_none(void **state)
{
	static const char good[] =
		"{\"status\":\"registered\",\"udpEndpoint\":\"a.example:51820\"}";
	static const char none[] = "{\"status\":\"registered\"}";
	static const char evil[] = "{\"udpEndpoint\":\"a:1\\nPostUp = x\"}";
	char endpoint[CONF_ENDPOINT_BYTES];

	(void)state;
	assert_int_equal(client_conf_endpoint(good, sizeof good - 1, endpoint), 0);
	assert_string_equal(endpoint, "a.example:51820");
	assert_int_equal(client_conf_endpoint(none, sizeof none - 1, endpoint), -EBADMSG);
	assert_int_equal(client_conf_endpoint(evil, sizeof evil - 1, endpoint), -EBADMSG);
	assert_int_equal(client_conf_endpoint("[", 1, endpoint), -EBADMSG); /* L62 */
}

static void
test_registration_names_client_key_and_session(void **state)
{
	struct key key = { .bytes = { 1 } };
	char *json = NULL;

	(void)state;
	assert_int_equal(client_conf_registration("c", &key, "s", &json), 0);
	assert_string_equal(json,
			    "{\"clientId\":\"c\",\"publicKey\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			    "AAAAAAAAAAAAAA=\",\"sessionId\":\"s\"}");
	free(json);
}

/* L26: with LANG=C there is nothing but ASCII in it. */
static void
test_code_is_ascii_where_blocks_are_not_to_be_had(void **state)
{
	char *text = NULL, *blocks = NULL;
	size_t n, blocks_n;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	assert_int_equal(client_qr_print(to, "[Interface]\n", false), 0);
	fclose(to);
	for (size_t i = 0; i < n; i++)
		assert_true(text[i] == ' ' || text[i] == '#' || text[i] == '\n');
	to = open_memstream(&blocks, &blocks_n);
	assert_int_equal(client_qr_print(to, "[Interface]\n", true), 0);
	fclose(to);
	assert_non_null(strstr(blocks, "\u2588"));
	free(text);
	free(blocks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_what_wg_quick_reads),
		cmocka_unit_test(test_file_for_one_family_routes_both),
		cmocka_unit_test(test_only_endpoints_are_endpoints),
		cmocka_unit_test(test_answer_without_an_endpoint_is_none),
		cmocka_unit_test(test_registration_names_client_key_and_session),
		cmocka_unit_test(test_code_is_ascii_where_blocks_are_not_to_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

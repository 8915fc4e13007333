/*
 * What a scraper of boson-relay sees: each thing that can be provoked from outside comes to stand
 * in /metrics, under its own reason, and however many come and go, the number of series stays.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_process.h"
#include "udp_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";
static const uint8_t other_session[UUID_BYTES] = "session-00000002";

enum { HOUR_MS = 3600 * 1000 };

static struct relay_process relay;

static int
set_up(void **state)
{
	*state = &relay;
	relay_process_start(&relay, "");
	return 0;
}

/* ---- drops ---- */

/* A data message of a client with one datagram of this shape. */
static void
send_shape(struct raw_leg *client, uint8_t type, uint8_t reserved, size_t n)
{
	uint8_t message[256] = { 1, (uint8_t)(n >> 8), (uint8_t)n, type, reserved };

	assert_true(raw_leg_send(client, 0x82, message, 3 + n));
}

static void
test_datagrams_of_no_use_are_counted_by_reason(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay.fixture, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay.fixture, node_id, session_id);
	uint8_t message[256];

	(void)state;
	uint32_t channel = leg_talk_channel(node, session_id);
	send_shape(client, 4, 0, 3);
	send_shape(client, 9, 0, 64);
	send_shape(client, 9, 0, 64);
	send_shape(client, 4, 1, 64);
	send_shape(client, 4, 0, 33);
	leg_talk_exchange(node, client, channel);
	assert_true(raw_leg_send(node, 0x82, message, leg_talk_message(message, 12345, 3, 48)));
	raw_leg_close(&client);
	leg_talk_expect_close(node, channel);
	client = raw_leg_open(&relay.fixture, node_id, other_session);
	leg_talk_channel(node, other_session);
	raw_leg_close(&node);
	relay_process_settle(&relay, "legs{role=\"node\"}", 0);
	assert_true(raw_leg_send(client, 0x82, message, leg_talk_message(message, 0, 2, 48)));
	relay_process_await(&relay, "drops_total{reason=\"no_node\"}", 2);
	const char *scrape = relay_process_scrape(&relay);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"short\"}") == 1);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"type\"}") == 2);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"reserved\"}") == 1);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"length\"}") == 1);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"no_channel\"}") == 3);
	assert_true(relay_process_figure(scrape, "drops_total{reason=\"no_node\"}") == 2);
	assert_true(relay_process_figure(scrape, "datagrams_total{type=\"transport\"}") >= 2);
	raw_leg_close(&client);
}

static void
test_strangers_datagrams_are_counted_by_reason(void **state)
{
	static const struct {
		uint8_t type;
		size_t n;
		const char *reason;
	} rows[] = {
		{ 1, 2, "short" },  { 5, 148, "type" },	 { 1, 147, "length" },
		{ 1, 148, "mac1" }, { 4, 128, "index" },
	};
	struct udp_app stranger = udp_app_open(&relay.fixture, "127.0.5.1", 0);
	uint8_t message[256];
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memset(message, 0, sizeof(message));
		message[0] = rows[i].type;
		udp_app_send(&stranger, message, rows[i].n);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(name, sizeof(name), "udp_drops_total{reason=\"%s\"}", rows[i].reason);
		relay_process_settle(&relay, name, 1);
	}
	udp_app_close(&stranger);
}

/* ---- legs, channels, bytes, turns ---- */

static void
test_legs_channels_and_bytes_are_counted(void **state)
{
	enum { EXCHANGES = 50 };
	struct raw_leg *node = raw_leg_open(&relay.fixture, node_id, NULL);
	struct raw_leg *one = raw_leg_open(&relay.fixture, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	struct raw_leg *two = raw_leg_open(&relay.fixture, node_id, other_session);

	(void)state;
	leg_talk_channel(node, other_session);
	for (int i = 0; i < EXCHANGES; i++) /* 96 bytes up, 112 down */
		leg_talk_exchange(node, one, channel);
	relay_process_settle(&relay, "bytes_total{to=\"client\"}", EXCHANGES * 112);
	const char *scrape = relay_process_scrape(&relay);
	assert_true(relay_process_figure(scrape, "bytes_total{to=\"node\"}") == EXCHANGES * 96);
	assert_true(relay_process_figure(scrape, "messages_total{to=\"node\"}") == EXCHANGES);
	assert_true(relay_process_figure(scrape, "legs{role=\"node\"}") == 1);
	assert_true(relay_process_figure(scrape, "legs{role=\"client\"}") == 2); /* channels */
	assert_true(relay_process_figure(scrape, "legs{role=\"udp\"}") == 0);
	assert_true(relay_process_figure(scrape, "legs_attached_total") == 3);
	/* Turns of a loop that has something to do. */
	double turns = relay_process_observations(&relay, "loop_lag_seconds");
	assert_true(turns > 0);
	leg_talk_exchange(node, one, channel);
	relay_process_await(&relay, "loop_lag_seconds_count", turns + 1);
	raw_leg_close(&one);
	relay_process_settle(&relay, "legs{role=\"client\"}", 1);
	relay_process_settle(&relay, "legs_closed_total{reason=\"peer\"}", 1);
	raw_leg_close(&two);
	raw_leg_close(&node);
}

/* ---- upgrades ---- */

/* The status that a node's good request gets with `from` replaced by `to`. */
static int
ask_with(const char *from, const char *to)
{
	char ticket[TICKET_TEXT_MAX_BYTES], good[1024], request[32 * 1024];
	struct raw_leg *leg = raw_leg_connect(&relay.fixture);

	relay_fixture_ticket(&relay.fixture, node_id, NULL, HOUR_MS, 0, ticket);
	raw_leg_request(good, sizeof(good), node_id, ticket);
	const char *at = strstr(good, from);
	assert_non_null(at);
	snprintf(request, sizeof(request), "%.*s%s%s", (int)(at - good), good, to,
		 at + strlen(from));
	raw_leg_write(leg, request, strlen(request));
	int status = raw_leg_status(leg, NULL, 0);
	raw_leg_close(&leg);
	return status;
}

static void
test_upgrades_are_counted_by_result(void **state)
{
	static char long_one[20 * 1024] = "Host: relay\r\nX: ";
	static const struct {
		const char *from, *to;
		int status;
	} rows[] = {
		{ "Upgrade: websocket", "Upgrade: foo", 400 },
		{ "Bearer ", "Basic ", 401 },
		{ "Host: relay", "Host: relay\r\nOrigin: http://evil", 403 },
		{ "/relay/", "/nowhere/", 404 },
		{ "GET ", "POST ", 405 },
		{ "Version: 13", "Version: 8", 426 },
		{ "Host: relay", long_one, 431 },
	};
	struct raw_leg *lost = raw_leg_connect(&relay.fixture), *rivals[4];
	char name[64];

	(void)state;
	memset(long_one + strlen(long_one), 'x', sizeof(long_one) - strlen(long_one) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(ask_with(rows[i].from, rows[i].to), rows[i].status);
	raw_leg_close(&lost);
	/* Legs that take each other's place: after three times one is refused. */
	for (size_t i = 0; i < sizeof(rivals) / sizeof(*rivals); i++)
		rivals[i] = raw_leg_open(&relay.fixture, node_id, NULL);
	assert_int_equal(ask_with("", ""), 429);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(name, sizeof(name), "upgrades_total{result=\"%d\"}", rows[i].status);
		relay_process_settle(&relay, name, 1);
	}
	relay_process_settle(&relay, "upgrades_total{result=\"429\"}", 1);
	relay_process_settle(&relay, "upgrades_total{result=\"101\"}", 4);
	relay_process_settle(&relay, "upgrades_total{result=\"lost\"}", 1);
	relay_process_settle(&relay, "upgrades_total{result=\"503\"}", 0);
	for (size_t i = 0; i < sizeof(rivals) / sizeof(*rivals); i++)
		raw_leg_close(&rivals[i]);
}

/* ---- bounds ---- */

static unsigned
series(const char *scrape)
{
	unsigned n = 0;

	for (const char *at = strstr(scrape, "\r\n\r\n"); (at = strchr(at, '\n')) != NULL;)
		n += *++at != '#' && *at != '\0' && *at != '\r';
	return n;
}

enum { NODES = 50 };

/* A session of its own, on one of fifty nodes that are not there, and a stranger from a network of
 * his own, each time. */
static void
come_and_go(unsigned i)
{
	uint8_t id[UUID_BYTES + 1], node[UUID_BYTES + 1], junk[148] = { 1 };
	char address[32];

	snprintf((char *)id, sizeof(id), "session-%08u", i);
	snprintf((char *)node, sizeof(node), "node-id-%08u", i % NODES);
	snprintf(address, sizeof(address), "127.%u.%u.7", 1 + i / 250, 1 + i % 250);
	struct raw_leg *leg = raw_leg_open(&relay.fixture, node, id);
	struct udp_app stranger = udp_app_open(&relay.fixture, address, 0);
	udp_app_send(&stranger, junk, sizeof(junk));
	udp_app_close(&stranger);
	raw_leg_close(&leg);
}

static void
test_series_do_not_grow_with_sessions(void **state)
{
	enum { FIRST = 2 * NODES, SESSIONS = 1000 };

	(void)state;
	for (unsigned i = 0; i < FIRST; i++) /* what is counted is there from its first time on */
		come_and_go(i);
	relay_process_settle(&relay, "legs_closed_total{reason=\"peer\"}", FIRST);
	unsigned before = series(relay_process_scrape(&relay));
	assert_in_range(before, 100, 500);
	for (unsigned i = FIRST; i < FIRST + SESSIONS; i++)
		come_and_go(i);
	relay_process_settle(&relay, "legs_closed_total{reason=\"peer\"}", FIRST + SESSIONS);
	relay_process_settle(&relay, "udp_drops_total{reason=\"mac1\"}", FIRST + SESSIONS);
	const char *scrape = relay_process_scrape(&relay);
	assert_true(relay_process_figure(scrape, "legs_attached_total") == FIRST + SESSIONS);
	assert_true(relay_process_figure(scrape, "legs{role=\"client\"}") == 0);
	assert_int_equal(series(scrape), before);
	/* "session-" and "node-id-", as the text of an id has it; the strangers. */
	assert_null(strstr(scrape, "73657373"));
	assert_null(strstr(scrape, "6e6f6465"));
	assert_null(strstr(scrape, "127."));
}

#define WITH_RELAY(test) cmocka_unit_test_setup_teardown(test, set_up, relay_process_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RELAY(test_datagrams_of_no_use_are_counted_by_reason),
		WITH_RELAY(test_strangers_datagrams_are_counted_by_reason),
		WITH_RELAY(test_legs_channels_and_bytes_are_counted),
		WITH_RELAY(test_upgrades_are_counted_by_result),
		WITH_RELAY(test_series_do_not_grow_with_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

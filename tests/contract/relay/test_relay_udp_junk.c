/*
 * Datagrams on the UDP port that are none of WireGuard's, or for nobody here: each is dropped,
 * counted by its reason and answered by nothing. One shard; the node is a raw leg. T18 and the rows
 * U.. of the bad inputs; those that need no relay are in the unit test of the shapes, those of
 * addresses in test_relay_udp_sources.
 */
#include "udp_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static size_t
fill_shape(uint8_t *to, uint8_t type, size_t n)
{
	memset(to, 0x5a, n);
	memset(to, 0, n < 4 ? n : 4);
	to[0] = type;
	return n;
}

/* P08: the only session there is is not the stranger's. */
static void
test_T18_junk_reaches_no_node(void **state)
{
	/* U02 U04 U06 U08 U12 U16 U18 U36 */
	static const struct {
		uint8_t type;
		size_t n;
		const char *reason;
	} rows[] = {
		{ 1, 1, "short" },    { 1, 2, "short" },    { 4, 3, "short" },
		{ 5, 148, "type" },   { 255, 148, "type" }, { 0, 64, "type" },
		{ 1, 147, "length" }, { 1, 149, "length" }, { 2, 91, "length" },
		{ 2, 93, "length" },  { 4, 33, "length" },  { 1, 148, "mac1" },
		{ 2, 92, "index" },   { 3, 64, "index" },   { 4, 128, "index" },
		{ 0x16, 80, "type" }, { 0x30, 48, "type" }, { 0x17, 48, "type" },
	};
	struct udp_pair pair = udp_rig_open();
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t before = udp_rig_drops(rows[i].reason);

		udp_app_send(&stranger, message, fill_shape(message, rows[i].type, rows[i].n));
		udp_rig_await_drops(rows[i].reason, before + 1);
	}
	/* mac1 of a node that is not served here; reserved bytes; nothing at all. */
	uint64_t before = udp_rig_drops("mac1");
	udp_talk_initiation(message, &key_b, 1);
	udp_app_send(&stranger, message, UDP_TALK_INITIATION_BYTES);
	udp_rig_await_drops("mac1", before + 1);
	udp_talk_initiation(message, &key_a, 1);
	message[2] = 1;
	udp_app_send(&stranger, message, UDP_TALK_INITIATION_BYTES);
	udp_rig_await_drops("reserved", 1);
	before = udp_rig_drops("short");
	udp_app_send(&stranger, message, 0);
	udp_rig_await_drops("short", before + 1);
	assert_true(raw_leg_is_quiet(pair.node, 50));
	assert_true(udp_app_is_quiet(&stranger, 0));
	udp_app_close(&stranger);
	udp_rig_close(&pair);
}

/* U38 U40 U42 U44: this protocol has no registration datagram and no path response, whose MAC,
 * session, pace or source could be wrong. Whatever a stranger takes for one is of no WireGuard
 * type: it registers nobody, is answered by nothing, and a thousand of them are dropped like one.
 */
static void
test_U38_U40_U42_U44_there_is_nothing_to_register_with(void **state)
{
	enum { AT_ONCE = 50, ALL = 1000 };
	struct udp_pair pair = udp_rig_open_proven();
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[UUID_BYTES + 64];

	(void)state;
	for (unsigned sent = 0; sent < ALL; udp_rig_await_drops("type", sent))
		for (unsigned i = 0; i < AT_ONCE; i++, sent++) {
			fill_shape(message, (uint8_t)(5 + sent % 250), sizeof(message));
			memcpy(message + 4, session_1, UUID_BYTES);
			udp_app_send(&stranger, message, sizeof(message));
		}
	assert_int_equal(udp_rig_drops("type"), ALL);
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"opened\"}"), 1);
	assert_true(udp_app_is_quiet(&stranger, 0));
	udp_rig_exchange(&pair, 1);
	udp_app_close(&stranger);
	udp_rig_close(&pair);
}

/* The same from one who has a leg: it helps nothing. */
static void
test_T18_junk_of_a_known_source_reaches_no_node(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	static uint8_t message[65507];

	(void)state;
	udp_talk_initiation(message, &key_b, pair.app.index); /* U08 */
	udp_app_send(&pair.app, message, UDP_TALK_INITIATION_BYTES);
	udp_rig_await_drops("mac1", 1);
	udp_talk_response(message, &key_b, pair.app.index, pair.index); /* U14 */
	udp_app_send(&pair.app, message, UDP_TALK_RESPONSE_BYTES);
	udp_rig_await_drops("mac1", 2);
	udp_talk_cookie(message, 99); /* U16 */
	udp_app_send(&pair.app, message, UDP_TALK_COOKIE_BYTES);
	udp_rig_await_drops("index", 1);
	udp_talk_transport(message, 64, pair.index, UINT64_MAX - 8192); /* U22 */
	udp_app_send(&pair.app, message, 64);
	udp_rig_await_drops("counter", 1);
	fill_shape(message, 4, sizeof(message)); /* U24 */
	udp_app_send(&pair.app, message, sizeof(message));
	udp_rig_await_drops("size", 1);
	assert_true(raw_leg_is_quiet(pair.node, 50));
	udp_rig_exchange(&pair, 5);
	udp_rig_close(&pair);
}

/* Nor does an index that is right: a response needs mac1 as well, and a cookie opens nothing. */
static void
test_T18_stranger_needs_more_than_an_index(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[UDP_TALK_RESPONSE_BYTES];

	(void)state;
	udp_talk_cookie(message, pair.index);
	udp_app_send(&stranger, message, UDP_TALK_COOKIE_BYTES);
	udp_rig_await_drops("index", 1);
	udp_talk_response(message, &key_b, 1, pair.index); /* U14 */
	udp_app_send(&stranger, message, sizeof(message));
	udp_rig_await_drops("mac1", 1);
	assert_true(raw_leg_is_quiet(pair.node, 0));
	udp_app_close(&stranger);
	udp_rig_close(&pair);
}

/* What a node says is looked at, too: an answer for none of its sessions goes to nobody. */
static void
test_answer_for_no_session_goes_to_nobody(void **state)
{
	struct udp_pair pair = udp_rig_open();
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_talk_initiation(message, &key_a, pair.app.index);
	udp_app_send(&pair.app, message, sizeof(message));
	uint32_t channel = udp_talk_channel(pair.node, NULL);
	udp_talk_node_receive(pair.node, channel, got, sizeof(got));
	udp_talk_response(message, &key_b, pair.index, pair.app.index);
	udp_talk_node_send(pair.node, channel, message, UDP_TALK_RESPONSE_BYTES);
	udp_rig_await_drops("mac1", 1);
	assert_true(udp_app_is_quiet(&pair.app, 20));
	udp_rig_close(&pair);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_T18_junk_reaches_no_node),
		UDP_TEST(test_U38_U40_U42_U44_there_is_nothing_to_register_with),
		UDP_TEST(test_T18_junk_of_a_known_source_reaches_no_node),
		UDP_TEST(test_T18_stranger_needs_more_than_an_index),
		UDP_TEST(test_answer_for_no_session_goes_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

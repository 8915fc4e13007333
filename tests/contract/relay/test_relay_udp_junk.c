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
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[256];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
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
	assert_true(raw_leg_is_quiet(a, 50));
	assert_true(udp_app_is_quiet(&stranger, 0));
	udp_app_close(&stranger);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* U38 U40 U42 U44: this protocol has no registration datagram and no path response, whose MAC,
 * session, pace or source could be wrong. Whatever a stranger takes for one is of no WireGuard
 * type: it registers nobody, is answered by nothing, and a thousand of them are dropped like one.
 */
static void
test_U38_U40_U42_U44_there_is_nothing_to_register_with(void **state)
{
	enum { AT_ONCE = 50, ALL = 1000 };
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[UUID_BYTES + 64];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	for (unsigned sent = 0; sent < ALL; udp_rig_await_drops("type", sent))
		for (unsigned i = 0; i < AT_ONCE; i++, sent++) {
			fill_shape(message, (uint8_t)(5 + sent % 250), sizeof(message));
			memcpy(message + 4, session_1, UUID_BYTES);
			udp_app_send(&stranger, message, sizeof(message));
		}
	assert_int_equal(udp_rig_drops("type"), ALL);
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"opened\"}"), 1);
	assert_true(udp_app_is_quiet(&stranger, 0));
	udp_talk_exchange(a, channel, &app, 11, 1);
	udp_app_close(&stranger);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* The same from one who has a leg: it helps nothing. */
static void
test_T18_junk_of_a_known_source_reaches_no_node(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	static uint8_t message[65507];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_talk_initiation(message, &key_b, app.index); /* U08 */
	udp_app_send(&app, message, UDP_TALK_INITIATION_BYTES);
	udp_rig_await_drops("mac1", 1);
	udp_talk_response(message, &key_b, app.index, 11); /* U14 */
	udp_app_send(&app, message, UDP_TALK_RESPONSE_BYTES);
	udp_rig_await_drops("mac1", 2);
	udp_talk_cookie(message, 99); /* U16 */
	udp_app_send(&app, message, UDP_TALK_COOKIE_BYTES);
	udp_rig_await_drops("index", 1);
	udp_talk_transport(message, 64, 11, UINT64_MAX - 8192); /* U22 */
	udp_app_send(&app, message, 64);
	udp_rig_await_drops("counter", 1);
	fill_shape(message, 4, sizeof(message)); /* U24 */
	udp_app_send(&app, message, sizeof(message));
	udp_rig_await_drops("size", 1);
	assert_true(raw_leg_is_quiet(a, 50));
	udp_talk_exchange(a, channel, &app, 11, 5);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* What a node says is looked at, too: an answer for none of its sessions goes to nobody. */
static void
test_answer_for_no_session_goes_to_nobody(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	udp_talk_initiation(message, &key_a, app.index);
	udp_app_send(&app, message, sizeof(message));
	uint32_t channel = udp_talk_channel(a, NULL);
	udp_talk_node_receive(a, channel, got, sizeof(got));
	udp_talk_response(message, &key_b, 11, app.index);
	udp_talk_node_send(a, channel, message, UDP_TALK_RESPONSE_BYTES);
	udp_rig_await_drops("mac1", 1);
	assert_true(udp_app_is_quiet(&app, 20));
	udp_app_close(&app);
	raw_leg_close(&a);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_T18_junk_reaches_no_node),
		UDP_TEST(test_U38_U40_U42_U44_there_is_nothing_to_register_with),
		UDP_TEST(test_T18_junk_of_a_known_source_reaches_no_node),
		UDP_TEST(test_answer_for_no_session_goes_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

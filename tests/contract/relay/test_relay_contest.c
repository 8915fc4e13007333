/*
 * Legs that take each other's place, at one relay and at two (F48, W23); a relay that drains
 * (F21); a packet that came by REST.
 */
#include "leg_talk.h"
#include "relay_group.h"

#include "leg/leg_frame.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = { 0x11, [6] = 0x40, [8] = 0x80, [15] = 1 };
static const uint8_t session_a[UUID_BYTES] = { 0x22, [6] = 0x40, [8] = 0x80, [15] = 2 };

enum { SWAPS_MAX = 3, CLONES = SWAPS_MAX + 1 };

static struct relay_group group;

static int
set_up(void **state)
{
	(void)state;
	relay_group_start(&group, 2, false, "drain = 4s\ndrain_pace = 100000\nmax_channels = 16");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_group_stop(&group);
	return 0;
}

/* ---- F48: a cloned disk ---- */

struct alarm {
	bool is_heard, is_told;
	unsigned told;
	char node[UUID_TEXT_BYTES];
};

static void
on_duplicate(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__NodeDuplicate *duplicate =
		(const Boson__Relay__NodeDuplicate *)(const void *)event;
	struct alarm *alarm = arg;

	(void)gap;
	alarm->is_heard = true;
	if (duplicate == NULL)
		return;
	alarm->is_told = true;
	alarm->told++;
	assert_true(duplicate->swaps >= 1);
	snprintf(alarm->node, sizeof(alarm->node), "%s", duplicate->node_id);
}

static struct bus_subscription *
listen_for_alarms(struct relay_fixture *relay, struct alarm *alarm)
{
	struct bus_subscription *subscription = NULL;

	assert_int_equal(bus_subscribe(relay->bus,
				       service_bus_event_endpoint(relay->endpoints, "relay"), NULL,
				       &boson__relay__node_duplicate__descriptor, on_duplicate,
				       alarm, &subscription),
			 0);
	relay_fixture_wait(relay, &alarm->is_heard);
	return subscription;
}

static void
expect_alarm(struct relay_fixture *relay, struct alarm *alarm)
{
	char want[UUID_TEXT_BYTES];

	relay_fixture_wait(relay, &alarm->is_told);
	uuid_format(node_id, want);
	assert_string_equal(alarm->node, want);
}

/* The newest leg wins a few times; then the one that is there stays, the other is refused, and the
 * relay says so. */
static void
test_f48_two_hosts_with_one_key_do_not_fight(void **state)
{
	struct raw_leg *clones[CLONES];
	struct alarm alarm = { 0 };
	struct bus_subscription *alarms = listen_for_alarms(&group.relays[0], &alarm);

	(void)state;
	for (int i = 0; i < CLONES; i++) {
		clones[i] = raw_leg_open(&group.relays[0], node_id, NULL);
		if (i > 0)
			assert_int_equal(raw_leg_close_code(clones[i - 1]), 4009);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(raw_leg_ask(&group.relays[0], node_id, NULL), 429);
	assert_int_equal(relay_fixture_counter(&group.relays[0], "contested_total"), 3);
	assert_int_equal(relay_fixture_counter(&group.relays[0], "legs{role=\"node\"}"), 1);
	struct raw_leg *client = raw_leg_open(&group.relays[0], node_id, session_a);
	leg_talk_exchange(clones[CLONES - 1], client,
			  leg_talk_channel(clones[CLONES - 1], session_a));
	expect_alarm(&group.relays[0], &alarm);
	assert_int_equal(alarm.told, 1);
	bus_unsubscribe(&alarms);
	raw_leg_close(&client);
	for (int i = 0; i < CLONES; i++)
		raw_leg_close(&clones[i]);
}

/* The clones are at two relays: the older one is told as well. */
static void
test_f48_the_newest_leg_wins_at_two_relays(void **state)
{
	struct raw_leg *older = raw_leg_open(&group.relays[0], node_id, NULL);

	(void)state;
	relay_group_await_hearing(&group, 0, 1);
	struct raw_leg *client = raw_leg_open(&group.relays[0], node_id, session_a);
	leg_talk_exchange(older, client, leg_talk_channel(older, session_a));
	struct raw_leg *newer = raw_leg_open(&group.relays[1], node_id, NULL);
	assert_int_equal(raw_leg_close_code(older), 4009);
	leg_talk_exchange(newer, client, leg_talk_channel(newer, session_a));
	raw_leg_close(&client);
	raw_leg_close(&older);
	raw_leg_close(&newer);
}

/* ... and when they go on to take each other's place, the owner is told. */
static void
test_f48_two_hosts_at_two_relays_are_told_of(void **state)
{
	struct raw_leg *here = NULL, *there = NULL;
	struct alarm alarm = { 0 };
	struct bus_subscription *alarms;

	(void)state;
	relay_group_await_hearing(&group, 0, 1);
	relay_group_await_hearing(&group, 1, 0);
	alarms = listen_for_alarms(&group.relays[0], &alarm);
	for (int i = 0; i < SWAPS_MAX; i++) {
		here = raw_leg_open(&group.relays[0], node_id, NULL);
		if (there != NULL) {
			assert_int_equal(raw_leg_close_code(there), 4009);
			raw_leg_close(&there);
		}
		there = raw_leg_open(&group.relays[1], node_id, NULL);
		assert_int_equal(raw_leg_close_code(here), 4009);
		raw_leg_close(&here);
		/* Who does not look for long is taken off, and told of a gap. */
		(void)relay_fixture_counter(&group.relays[0], "accepted_total");
	}
	expect_alarm(&group.relays[0], &alarm);
	assert_int_equal(alarm.told, 1);
	bus_unsubscribe(&alarms);
	raw_leg_close(&there);
}

/* W23: the newest leg of a session takes the other's place, but not again and again: the next one
 * is refused with the row's 429. */
static void
test_w23_legs_of_one_session_do_not_fight(void **state)
{
	struct raw_leg *legs[CLONES];

	(void)state;
	for (int i = 0; i < CLONES; i++) {
		legs[i] = raw_leg_open(&group.relays[0], node_id, session_a);
		if (i > 0)
			assert_int_equal(raw_leg_close_code(legs[i - 1]), 4009);
	}
	assert_int_equal(raw_leg_ask(&group.relays[0], node_id, session_a), 429);
	for (int i = 0; i < CLONES; i++)
		raw_leg_close(&legs[i]);
}

/* ... also when its ticket names another node now, of which nothing may stay behind then: the relay
 * looks at its end whether all nodes are gone. */
static void
test_w23_a_session_at_two_nodes_does_not_fight_either(void **state)
{
	static const uint8_t elsewhere[UUID_BYTES] = { 0x12, [6] = 0x40, [8] = 0x80, [15] = 1 };
	struct raw_leg *legs[CLONES];

	(void)state;
	for (int i = 0; i < CLONES; i++)
		legs[i] = raw_leg_open(&group.relays[0], node_id, session_a);
	assert_int_equal(raw_leg_ask(&group.relays[0], elsewhere, session_a), 429);
	for (int i = 0; i < CLONES; i++)
		raw_leg_close(&legs[i]);
}

static bool
is_refused(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return r < 0;
}

/* F21: each leg is told when and where; packets go on meanwhile; what stays is closed. */
static void
test_f21_a_relay_that_drains_names_another_one(void **state)
{
	struct raw_leg *node = raw_leg_open(&group.relays[0], node_id, NULL);
	struct raw_leg *client = raw_leg_open(&group.relays[0], node_id, session_a);
	uint32_t channel = leg_talk_channel(node, session_a);
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "ws://127.0.0.1:%u", group.relays[1].port);
	relay_group_await_hearing(&group, 0, 1);
	relay_fixture_drain(&group.relays[0]);
	for (int i = 0; i < 2; i++) {
		Boson__Link__Control *control = leg_talk_control(i == 0 ? node : client);

		assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_DRAIN);
		assert_string_equal(control->drain->other_relay, want);
		assert_true(control->drain->reconnect_in_ms <= 2400);
		boson__link__control__free_unpacked(control, NULL);
	}
	assert_true(is_refused(group.relays[0].port));
	leg_talk_exchange(node, client, channel);
	assert_int_equal(raw_leg_close_code(node), 1012);
	assert_int_equal(raw_leg_close_code(client), 1012);
	raw_leg_close(&node);
	raw_leg_close(&client);
}

static enum bus_status
carry(const uint8_t *session_id, bool is_to_node, uint8_t *packet, size_t n)
{
	return relay_fixture_carry(&group.relays[0], node_id, session_id, is_to_node, packet, n);
}

static void
test_a_packet_that_came_by_rest_takes_its_sessions_channel(void **state)
{
	static const uint8_t unknown[UUID_BYTES] = { 0x99, [6] = 0x40, [8] = 0x80 };
	struct raw_leg *node = raw_leg_open(&group.relays[0], node_id, NULL);
	struct raw_leg *client = raw_leg_open(&group.relays[0], node_id, session_a);
	uint8_t packet[96];
	struct raw_frame frame;

	(void)state;
	(void)leg_talk_channel(node, session_a);
	leg_talk_datagram(packet, sizeof(packet));
	assert_int_equal(carry(session_a, true, packet, sizeof(packet)), BUS_OK);
	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(frame.n, 5 + 2 + sizeof(packet));
	assert_memory_equal(frame.payload + 7, packet, sizeof(packet));
	assert_int_equal(carry(session_a, false, packet, sizeof(packet)), BUS_OK);
	assert_true(raw_leg_receive(client, &frame));
	assert_memory_equal(frame.payload + 3, packet, sizeof(packet));
	assert_int_equal(carry(unknown, true, packet, sizeof(packet)), BUS_NOT_FOUND);
	packet[0] = 9; /* of no shape that WireGuard has */
	assert_int_equal(carry(session_a, true, packet, sizeof(packet)), BUS_INVALID);
	raw_leg_close(&node);
	raw_leg_close(&client);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_f48_two_hosts_with_one_key_do_not_fight,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_f48_the_newest_leg_wins_at_two_relays, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_f48_two_hosts_at_two_relays_are_told_of,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_w23_legs_of_one_session_do_not_fight, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_w23_a_session_at_two_nodes_does_not_fight_either, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_packet_that_came_by_rest_takes_its_sessions_channel, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_f21_a_relay_that_drains_names_another_one,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A node's legs at two relays at once (F48): each relay learns of its own leg from a shard and of
 * the other by an event, in any order, and judges its own. One whole relay; the others are played
 * by the test, which says when their legs came.
 */
#include "relay_group.h"

#include "loop/clock.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LATER_US = 30 * 1000 * 1000, PATIENCE_MS = 15 * 1000, QUIET_MS = 100 };

/* Before and after any name that a relay makes for itself. */
static const char *const names[] = { "-", "zzz" };
enum { LESS, GREATER, RIVALS };

static struct relay_group group;
static struct relay_fixture *relay = &group.relays[0];
static struct bus_publisher *rivals[RIVALS];
static uint8_t last_id;

static void
new_id(uint8_t ret[UUID_BYTES])
{
	memset(ret, 0, UUID_BYTES);
	ret[6] = 0x40;
	ret[8] = 0x80;
	ret[15] = ++last_id;
}

static void
say_attached(unsigned rival, const uint8_t node_id[UUID_BYTES], uint64_t generation)
{
	Boson__Relay__LegAttached event = BOSON__RELAY__LEG_ATTACHED__INIT;
	char node[UUID_TEXT_BYTES];

	uuid_format(node_id, node);
	event.relay_id = (char *)(uintptr_t)names[rival];
	event.node_id = node;
	event.has_generation = 1;
	event.generation = generation;
	bus_publish(rivals[rival], &event.base);
}

static uint64_t
now_us(void)
{
	return (uint64_t)clock_wall_us();
}

/* Events of one relay come in order: once this one had its effect, the others were heard. */
static void
await_heard(unsigned rival)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	uint8_t probe[UUID_BYTES];
	bool is_heard = false;

	while (!is_heard) {
		new_id(probe);
		struct raw_leg *leg = raw_leg_open(relay, probe, NULL);

		say_attached(rival, probe, now_us() + LATER_US);
		is_heard = !raw_leg_is_quiet(leg, QUIET_MS);
		raw_leg_close(&leg);
		assert_true(clock_monotonic_ms() < end_ms);
	}
}

static void
announce(unsigned rival)
{
	Boson__Common__Relay known = BOSON__COMMON__RELAY__INIT;
	char bus[96], events[128], group_name[] = "default";

	snprintf(bus, sizeof(bus), "ipc://%s/rival%u", group.folder, rival);
	snprintf(events, sizeof(events), "%s-events", bus);
	assert_int_equal(bus_publisher_new(relay->bus, events, &rivals[rival]), 0);
	known.id = (char *)(uintptr_t)names[rival];
	known.group = group_name;
	known.bus_endpoint = bus;
	known.event_endpoint = events;
	relay_group_announce(&group, &known);
}

static int
set_up(void **state)
{
	(void)state;
	relay_group_start(&group, 1, false, "");
	for (unsigned i = 0; i < RIVALS; i++)
		announce(i);
	for (unsigned i = 0; i < RIVALS; i++)
		await_heard(i);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_group_stop(&group);
	return 0;
}

static void
assert_goes(struct raw_leg **leg)
{
	assert_int_equal(raw_leg_close_code(*leg), 4009);
	raw_leg_close(leg);
}

static void
assert_stays(struct raw_leg **leg)
{
	assert_true(raw_leg_is_quiet(*leg, QUIET_MS));
	raw_leg_close(leg);
}

static void
test_f48_the_older_leg_goes_when_it_is_the_first_that_was_heard_of(void **state)
{
	uint8_t node_id[UUID_BYTES];

	(void)state;
	new_id(node_id);
	struct raw_leg *ours = raw_leg_open(relay, node_id, NULL);
	say_attached(LESS, node_id, now_us() + LATER_US);
	assert_goes(&ours);
}

/* The reports crossed: the other relay's came before our own shard's. */
static void
test_f48_the_older_leg_goes_when_it_is_the_last_that_was_heard_of(void **state)
{
	uint8_t node_id[UUID_BYTES], probe[UUID_BYTES];

	(void)state;
	new_id(node_id);
	new_id(probe);
	struct raw_leg *heard = raw_leg_open(relay, probe, NULL);
	say_attached(LESS, node_id, now_us() + LATER_US);
	say_attached(LESS, probe, now_us() + LATER_US);
	assert_goes(&heard); /* and so the one before was heard */
	struct raw_leg *ours = raw_leg_open(relay, node_id, NULL);
	assert_goes(&ours);
}

static void
test_f48_the_newer_leg_stays_in_both_orders(void **state)
{
	uint64_t before_us = now_us();
	uint8_t first[UUID_BYTES], second[UUID_BYTES];

	(void)state;
	new_id(first);
	new_id(second);
	struct raw_leg *ours = raw_leg_open(relay, first, NULL);
	say_attached(LESS, first, before_us);
	say_attached(LESS, second, before_us);
	await_heard(LESS);
	struct raw_leg *later = raw_leg_open(relay, second, NULL);
	assert_stays(&ours);
	assert_stays(&later);
}

/* ---- of one microsecond ---- */

struct own {
	char node[UUID_TEXT_BYTES];
	uint64_t generation;
	bool is_heard, is_told;
};

static void
on_own(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegAttached *leg =
		(const Boson__Relay__LegAttached *)(const void *)event;
	struct own *own = arg;

	(void)gap;
	own->is_heard = true;
	if (leg == NULL || strcmp(leg->node_id, own->node) != 0)
		return;
	own->generation = leg->generation;
	own->is_told = true;
}

static void
test_f48_of_one_moment_the_leg_at_the_greater_name_stays(void **state)
{
	struct own own = { 0 };
	struct bus_subscription *events = NULL;
	uint8_t node_id[UUID_BYTES];

	(void)state;
	new_id(node_id);
	uuid_format(node_id, own.node);
	assert_int_equal(
		bus_subscribe(relay->bus, service_bus_event_endpoint(relay->endpoints, "relay"),
			      NULL, &boson__relay__leg_attached__descriptor, on_own, &own, &events),
		0);
	relay_fixture_wait(relay, &own.is_heard);
	struct raw_leg *ours = raw_leg_open(relay, node_id, NULL);
	relay_fixture_wait(relay, &own.is_told);
	say_attached(LESS, node_id, own.generation);
	await_heard(LESS);
	assert_true(raw_leg_is_quiet(ours, QUIET_MS));
	say_attached(GREATER, node_id, own.generation);
	assert_goes(&ours);
	bus_unsubscribe(&events);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_f48_the_older_leg_goes_when_it_is_the_first_that_was_heard_of),
		cmocka_unit_test(test_f48_the_older_leg_goes_when_it_is_the_last_that_was_heard_of),
		cmocka_unit_test(test_f48_the_newer_leg_stays_in_both_orders),
		cmocka_unit_test(test_f48_of_one_moment_the_leg_at_the_greater_name_stays),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

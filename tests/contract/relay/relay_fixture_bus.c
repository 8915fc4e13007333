/*
 * relay_fixture_bus: the test's own end of the bus to a relay: what it asks, and how it waits.
 */
#include "relay_fixture.h"

#include "loop/clock.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10 * 1000 };

void
relay_fixture_open_bus(struct relay_fixture *fixture)
{
	assert_int_equal(loop_new(&fixture->loop), 0);
	assert_int_equal(metrics_new("test", &fixture->metrics), 0);
	assert_int_equal(bus_new(fixture->loop, fixture->metrics, "test", NULL, &fixture->bus), 0);
	assert_int_equal(bus_peer_new(fixture->bus,
				      service_bus_endpoint(fixture->endpoints, "relay"), NULL,
				      &boson__relay__relay__descriptor, &fixture->relay),
			 0);
}

void
relay_fixture_close_bus(struct relay_fixture *fixture)
{
	bus_free(&fixture->bus);
	metrics_free(&fixture->metrics);
	loop_free(&fixture->loop);
}

static void
give_up(struct loop *loop, void *arg)
{
	struct relay_fixture *fixture = arg;

	fixture->is_timed_out = true;
	loop_stop(loop);
}

struct condition {
	const bool *done;
};

static void
look(struct loop *loop, void *arg)
{
	const struct condition *condition = arg;

	if (*condition->done)
		loop_stop(loop);
}

void
relay_fixture_wait(struct relay_fixture *fixture, const bool *done)
{
	struct loop_timer *patience = NULL, *glance = NULL;
	struct condition condition = { done };

	if (*done)
		return;
	fixture->is_timed_out = false;
	assert_int_equal(
		loop_timer_start(fixture->loop, PATIENCE_MS, 0, give_up, fixture, &patience), 0);
	assert_int_equal(loop_timer_start(fixture->loop, 1, 1, look, &condition, &glance), 0);
	loop_run(fixture->loop);
	loop_timer_stop(&glance);
	if (!fixture->is_timed_out)
		loop_timer_stop(&patience);
	if (!*done)
		fail_msg("nothing came of it within %d ms", PATIENCE_MS);
}

struct stats_call {
	const char *name;
	uint64_t value;
	bool is_found, is_done;
};

static void
on_stats(const Boson__Relay__Stats *stats, void *arg)
{
	struct stats_call *call = arg;

	call->is_done = true;
	for (size_t i = 0; stats != NULL && i < stats->n_counters; i++)
		if (strcmp(stats->counters[i]->name, call->name) == 0) {
			call->is_found = true;
			call->value = stats->counters[i]->value;
		}
}

uint64_t
relay_fixture_counter(struct relay_fixture *fixture, const char *name)
{
	Boson__Common__Empty empty = BOSON__COMMON__EMPTY__INIT;
	struct stats_call call = { .name = name };

	boson__relay__relay__get_stats(bus_peer_service(fixture->relay), &empty, on_stats, &call);
	relay_fixture_wait(fixture, &call.is_done);
	if (!call.is_found)
		fail_msg("no counter %s", name);
	return call.value;
}

void
relay_fixture_await(struct relay_fixture *fixture, const char *name, uint64_t n)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	uint64_t value;

	while ((value = relay_fixture_counter(fixture, name)) < n)
		if (clock_monotonic_ms() > end_ms)
			fail_msg("%s is %llu, not %llu", name, (unsigned long long)value,
				 (unsigned long long)n);
}

void
relay_fixture_await_empty(struct relay_fixture *fixture)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (relay_fixture_counter(fixture, "legs{role=\"client\"}") +
		       relay_fixture_counter(fixture, "legs{role=\"node\"}") >
	       0)
		if (clock_monotonic_ms() > end_ms)
			fail_msg("legs are left after %d ms", PATIENCE_MS);
}

struct carry_call {
	struct relay_fixture *fixture;
	enum bus_status status;
	bool is_done;
};

static void
on_carried(const Boson__Common__Empty *reply, void *arg)
{
	struct carry_call *call = arg;

	call->is_done = true;
	call->status = reply != NULL ? BUS_OK : bus_peer_result(call->fixture->relay)->status;
}

enum bus_status
relay_fixture_carry(struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
		    const uint8_t session_id[UUID_BYTES], bool is_to_node, uint8_t *packet,
		    size_t n)
{
	Boson__Relay__CarryPacketRequest request = BOSON__RELAY__CARRY_PACKET_REQUEST__INIT;
	char node_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	struct carry_call call = { .fixture = fixture };

	uuid_format(node_id, node_text);
	uuid_format(session_id, session_text);
	request.node_id = node_text;
	request.session_id = session_text;
	request.has_to_node = request.has_packet = 1;
	request.to_node = is_to_node;
	request.packet.data = packet;
	request.packet.len = n;
	boson__relay__relay__carry_packet(bus_peer_service(fixture->relay), &request, on_carried,
					  &call);
	relay_fixture_wait(fixture, &call.is_done);
	return call.status;
}

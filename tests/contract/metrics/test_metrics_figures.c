/* metrics: a node's figures and a session's usage, over a real bus and a clean restart. */
#include "discovery.pb-c.h"
#include "loop/clock.h"
#include "metrics_calls.h"
#include "relay.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SESSION "11111111-9b7d-4e21-8c5f-0a1b2c3d4e5f"

static struct rig rig;
static struct bus_peer *metrics, *discovery;
static pid_t process;

RIG_CLOSURE(on_usage, Boson__Metrics__UsageReply)
RIG_CLOSURE(on_empty, Boson__Common__Empty)

static int
setup(void **state)
{
	*state = &rig;
	rig_start(&rig, "");
	discovery = rig_serve(&rig, PROGRAM_DISCOVERY, "discovery",
			      &boson__discovery__discovery__descriptor, NULL);
	metrics = rig_serve(&rig, PROGRAM_METRICS, "metrics", &boson__metrics__metrics__descriptor,
			    &process);
	return 0;
}

static void
test_a_sample_is_kept_over_a_restart(void **state)
{
	const Boson__Metrics__Sample *sample;
	struct rig_call call;

	(void)state;
	call_submit(&call, &rig, metrics, NODE, NODE, clock_wall_ms(), 12.5);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	assert_int_equal(rig_terminate(&rig, process), 0);
	process = rig_spawn(&rig, PROGRAM_METRICS, 0);
	rig_wait_up(&rig, metrics);
	call_latest(&call, &rig, metrics, NODE);
	sample = (const Boson__Metrics__Sample *)call.reply;
	assert_non_null(sample);
	assert_true(sample->metrics->system->cpu_usage == 12.5);
	rig_call_fini(&call);
}

static void
test_a_node_speaks_for_itself_only_and_not_too_often_R79_T42(void **state)
{
	struct rig_call call;

	(void)state;
	call_submit(&call, &rig, metrics, OTHER, NODE, clock_wall_ms(), 1);
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
	call_latest(&call, &rig, metrics, NODE);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
	call_submit(&call, &rig, metrics, NODE, NODE, clock_wall_ms(), 101);
	assert_int_equal(call.result.status, BUS_INVALID);
	assert_string_equal(call.result.field, "metrics.system.cpuUsage");
	rig_call_fini(&call);
	call_submit(&call, &rig, metrics, NODE, NODE, clock_wall_ms(), 1);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	call_submit(&call, &rig, metrics, NODE, NODE, clock_wall_ms() + 1000, 2);
	assert_int_equal(call.result.status, BUS_LIMITED);
	assert_in_range(call.result.retry_after_sec, 1, 11);
	rig_call_fini(&call);
	call_latest(&call, &rig, metrics, OTHER);
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
}

struct usage_wait {
	struct bus_publisher *publisher;
	struct rig_call call;
	bool asking;
	uint64_t up;
};

/* A subscriber may not be connected yet: report until it is heard. */
static bool
is_counted(void *arg)
{
	Boson__Relay__SessionUsage event = BOSON__RELAY__SESSION_USAGE__INIT;
	Boson__Metrics__UsageRequest request = BOSON__METRICS__USAGE_REQUEST__INIT;
	struct usage_wait *wait = arg;

	if (wait->up > 0)
		return true;
	if (wait->asking && !wait->call.done)
		return false;
	if (wait->asking) {
		const Boson__Metrics__UsageReply *reply =
			(const Boson__Metrics__UsageReply *)wait->call.reply;

		wait->up = reply == NULL ? 0 : reply->bytes_up;
		rig_call_fini(&wait->call);
		wait->asking = false;
	}
	if (wait->up > 0)
		return true;
	event.relay_id = "relay-1";
	event.node_id = NODE;
	event.session_id = SESSION;
	event.has_bytes_up = 1;
	event.bytes_up = 1000;
	event.has_bytes_down = 1;
	event.bytes_down = 5000;
	event.has_reported_at = 1;
	event.reported_at = clock_wall_ms();
	event.has_epoch = 1;
	event.epoch = 1;
	assert_int_equal(bus_publish(wait->publisher, &event.base), 0);
	request.session_id = SESSION;
	wait->asking = true;
	rig_call_init(&wait->call, &rig, metrics);
	boson__metrics__metrics__usage(bus_peer_service(metrics), &request, on_usage, &wait->call);
	return false;
}

static void
test_a_sessions_usage_comes_from_its_relay(void **state)
{
	char bus_endpoint[RIG_PATH_BYTES], events[RIG_PATH_BYTES];
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;
	struct usage_wait wait = { 0 };
	struct rig_call call;

	(void)state;
	rig_endpoint(&rig, "relay", false, bus_endpoint);
	rig_endpoint(&rig, "relay", true, events);
	assert_int_equal(bus_publisher_new(rig.bus, events, &wait.publisher), 0);
	relay.id = "relay-1";
	relay.group = "default";
	relay.relay_endpoint = "wss://relay.example";
	relay.bus_endpoint = bus_endpoint;
	relay.event_endpoint = events;
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__announce_relay(bus_peer_service(discovery), &relay, on_empty,
						    &call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	rig_wait(&rig, is_counted, &wait, "the usage");
	assert_true(wait.up == 1000);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_sample_is_kept_over_a_restart),
		IN_A_RIG(test_a_node_speaks_for_itself_only_and_not_too_often_R79_T42),
		IN_A_RIG(test_a_sessions_usage_comes_from_its_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* discovery: heartbeats, events, relays, snapshots. A process, a real bus, a real store. */
#include "enrolment.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct bus_peer *discovery;
static struct bus_subscription *nodes_changed;

/* What NodeChanged said of one node. */
static struct {
	char id[UUID_TEXT_BYTES];
	unsigned int online, offline, deleted;
	bool connected;
} seen;

RIG_CLOSURE(on_heartbeat, Boson__Discovery__HeartbeatReply)
RIG_CLOSURE(on_empty, Boson__Common__Empty)
RIG_CLOSURE(on_snapshot, Boson__Discovery__SnapshotReply)

static void
on_node_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__NodeChanged *change = (const Boson__Discovery__NodeChanged *)event;

	(void)gap;
	(void)arg;
	seen.connected = true;
	if (change == NULL || strcmp(change->node->node_id, seen.id) != 0)
		return;
	if (change->deleted)
		seen.deleted++;
	else if (strcmp(change->node->status, "offline") == 0)
		seen.offline++;
	else
		seen.online++;
}

static bool
is_connected(void *arg)
{
	(void)arg;
	return seen.connected;
}

static int
setup(void **state)
{
	char events[RIG_PATH_BYTES];

	(void)state;
	memset(&seen, 0, sizeof(seen));
	rig_start(&rig, "[discovery]\nenrolment = open\noffline_after = 1s\n");
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
	discovery = rig_peer(&rig, "discovery", &boson__discovery__discovery__descriptor);
	rig_endpoint(&rig, "discovery", true, events);
	assert_int_equal(bus_subscribe(rig.bus, events, NULL,
				       &boson__discovery__node_changed__descriptor, on_node_changed,
				       NULL, &nodes_changed),
			 0);
	rig_wait(&rig, is_connected, NULL, "the publisher");
	rig_wait_up(&rig, discovery);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bus_unsubscribe(&nodes_changed);
	rig_stop(&rig);
	return 0;
}

static void
enrol(const struct enrolment_node *node)
{
	struct rig_call call;

	memcpy(seen.id, node->id_text, sizeof(seen.id));
	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, node);
	assert_non_null(call.reply);
	rig_call_fini(&call);
}

static void
beat(struct rig_call *call, const char *id, const char *subject, int status)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, subject);

	request.node_id = (char *)(uintptr_t)id;
	request.has_status = 1;
	request.status = (Boson__Discovery__HeartbeatRequest__Status)status;
	request.caller = &caller;
	rig_call_init(call, &rig, discovery);
	boson__discovery__discovery__heartbeat(bus_peer_service(discovery), &request, on_heartbeat,
					       call);
	rig_call_wait(call);
}

static bool
went_offline(void *arg)
{
	(void)arg;
	return seen.offline > 0;
}

static bool
came_online(void *arg)
{
	return seen.online >= *(const unsigned int *)arg;
}

static void
test_a_silent_node_is_reported_offline_once_and_online_again_F02(void **state)
{
	const unsigned int once = 1, twice = 2;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	rig_wait(&rig, came_online, (void *)(uintptr_t)&once, "NodeChanged online");
	rig_wait(&rig, went_offline, NULL, "NodeChanged offline");
	beat(&call, node.id_text, node.id_text,
	     BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	rig_wait(&rig, came_online, (void *)(uintptr_t)&twice, "NodeChanged online again");
	assert_int_equal(seen.offline, 1);
}

static void
test_a_heartbeat_counts_only_from_the_node_itself_R73(void **state)
{
	struct enrolment_node node, other;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrolment_node_init(&other);
	enrol(&node);
	beat(&call, node.id_text, other.id_text,
	     BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__offline);
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
	beat(&call, other.id_text, other.id_text,
	     BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	assert_string_equal(call.result.code, "node_unknown");
	rig_call_fini(&call);
}

static void
beat_numbered(struct rig_call *call, struct enrolment_node *node, uint64_t sequence)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, node->id_text);

	request.caller = &caller;
	request.node_id = node->id_text;
	request.has_sequence = 1;
	request.sequence = sequence;
	rig_call_init(call, &rig, discovery);
	boson__discovery__discovery__heartbeat(bus_peer_service(discovery), &request, on_heartbeat,
					       call);
	rig_call_wait(call);
}

static void
test_a_heartbeat_that_was_heard_before_is_refused_R77_T08(void **state)
{
	static const struct {
		uint64_t sequence;
		enum bus_status status;
	} beats[] = { { 7, BUS_OK }, { 7, BUS_CONFLICT }, { 6, BUS_CONFLICT },
		      { 8, BUS_OK }, { 0, BUS_CONFLICT }, { 9, BUS_OK } };
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	for (size_t i = 0; i < sizeof(beats) / sizeof(beats[0]); i++) {
		beat_numbered(&call, &node, beats[i].sequence);
		assert_int_equal(call.result.status, beats[i].status);
		rig_call_fini(&call);
	}
	enrol(&node); /* a new life of the agent, which begins anew */
	beat_numbered(&call, &node, 1);
	assert_int_equal(call.result.status, BUS_OK);
	rig_call_fini(&call);
}

static void
announce_as(struct rig_call *call, const char *id, const char *endpoint, const char *region)
{
	static const char bus[] = "ipc:///tmp/a-path-that-is-about-as-long-as-a-unix-socket-can-be"
				  "-which-is-not-very-long-but-here-it-is-longer/relay.sock";
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;

	relay.id = (char *)(uintptr_t)id;
	relay.group = "default";
	relay.region = (char *)(uintptr_t)region;
	relay.relay_endpoint = (char *)(uintptr_t)endpoint;
	relay.udp_endpoint = (char *)(uintptr_t)endpoint;
	relay.bus_key = "0123456789012345678901234567890123456789";
	relay.bus_endpoint = (char *)(uintptr_t)bus;
	relay.event_endpoint = (char *)(uintptr_t)bus;
	rig_call_init(call, &rig, discovery);
	boson__discovery__discovery__announce_relay(bus_peer_service(discovery), &relay, on_empty,
						    call);
	rig_call_wait(call);
}

static void
announce(struct rig_call *call, const char *endpoint)
{
	announce_as(call, "relay-1", endpoint, NULL);
}

static void
test_a_relay_that_announces_itself_is_told_to_nodes(void **state)
{
	const Boson__Discovery__HeartbeatReply *beaten;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	announce(&call, "wss://relay.example:8443/path");
	assert_int_equal(call.result.status, BUS_INVALID);
	assert_string_equal(call.result.field, "relayEndpoint");
	rig_call_fini(&call);
	announce(&call, "wss://relay.example:8443");
	assert_non_null(call.reply);
	rig_call_fini(&call);
	enrolment_node_init(&node);
	enrol(&node);
	beat(&call, node.id_text, node.id_text,
	     BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online);
	beaten = (const Boson__Discovery__HeartbeatReply *)call.reply;
	assert_non_null(beaten);
	assert_int_equal(beaten->n_relay_servers, 1);
	assert_string_equal(beaten->relay_servers[0]->host, "relay.example");
	assert_int_equal(beaten->relay_servers[0]->port, 8443);
	assert_string_equal(beaten->relay_servers[0]->protocol, "wss");
	assert_null(beaten->relay_ticket); /* the one of the registration is young */
	rig_call_fini(&call);
}

/* All pages of a snapshot. */
struct pages {
	size_t nodes, relays, n;
};

static void
take_snapshot(struct pages *ret)
{
	Boson__Discovery__SnapshotRequest request = BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;
	char cursor[64];
	struct rig_call call;

	*ret = (struct pages){ 0 };
	do {
		const Boson__Discovery__SnapshotReply *reply;

		rig_call_init(&call, &rig, discovery);
		boson__discovery__discovery__snapshot(bus_peer_service(discovery), &request,
						      on_snapshot, &call);
		rig_call_wait(&call);
		reply = (const Boson__Discovery__SnapshotReply *)call.reply;
		assert_non_null(reply);
		ret->nodes += reply->n_nodes;
		ret->relays += reply->n_relays;
		ret->n++;
		request.cursor =
			reply->next_cursor == NULL ? NULL : strcpy(cursor, reply->next_cursor);
		rig_call_fini(&call);
	} while (request.cursor != NULL);
}

/* More than one page, and nothing twice. */
static void
test_a_snapshot_has_all_relays_and_all_nodes(void **state)
{
	enum { NODES = 130 };
	struct rig_call call;
	struct pages pages;

	(void)state;
	announce(&call, "wss://relay.example");
	rig_call_fini(&call);
	for (int i = 0; i < NODES; i++) {
		struct enrolment_node node;

		enrolment_node_init(&node);
		enrol(&node);
	}
	take_snapshot(&pages);
	assert_int_equal(pages.nodes, NODES);
	assert_int_equal(pages.relays, 1);
	assert_true(pages.n >= 2);
}

/* As many relays as there may be, each with the longest fields, and no page too large. */
static void
test_a_snapshot_of_the_most_and_longest_relays_comes_in_pages_B62(void **state)
{
	enum { RELAYS = 100, FIELD_BYTES = 128 };
	Boson__Discovery__SnapshotRequest request = BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;
	char host[FIELD_BYTES], region[65], id[65];
	struct rig_call call;
	struct pages pages;

	(void)state;
	memset(region, 'r', 64);
	region[64] = '\0';
	memset(host, 'h', sizeof(host));
	memcpy(host, "wss://", 6);
	host[60] = '.';
	memcpy(host + 120, ".de", 4);
	for (int i = 0; i < RELAYS; i++) {
		(void)snprintf(id, sizeof(id), "%064d", i);
		announce_as(&call, id, host, region);
		assert_int_equal(call.result.status, BUS_OK);
		rig_call_fini(&call);
	}
	take_snapshot(&pages);
	assert_int_equal(pages.relays, RELAYS);
	assert_true(pages.n >= 2);
	request.cursor = "00000000-n1"; /* of another replica, or another life */
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__snapshot(bus_peer_service(discovery), &request, on_snapshot,
					      &call);
	rig_call_wait(&call);
	assert_int_equal(call.result.status, BUS_INVALID);
	rig_call_fini(&call);
}

/* F02: its own absence makes nobody offline. */
static void
test_a_node_keeps_its_lease_over_a_restart_F02(void **state)
{
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	for (size_t i = 0; i < RIG_PROCESSES_MAX; i++)
		if (rig.processes[i] != 0)
			rig_kill(&rig, rig.processes[i]);
	seen.offline = 0;
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
	rig_wait_up(&rig, discovery);
	beat(&call, node.id_text, node.id_text,
	     BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online);
	assert_non_null(call.reply);
	/* It has a ticket, and its own hour for the next, as all have: they are not all signed now.
	 */
	assert_null(((Boson__Discovery__HeartbeatReply *)call.reply)->relay_ticket);
	assert_non_null(((Boson__Discovery__HeartbeatReply *)call.reply)->mint_subject);
	rig_call_fini(&call);
	assert_int_equal(seen.offline, 0);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_silent_node_is_reported_offline_once_and_online_again_F02),
		IN_A_RIG(test_a_heartbeat_counts_only_from_the_node_itself_R73),
		IN_A_RIG(test_a_heartbeat_that_was_heard_before_is_refused_R77_T08),
		IN_A_RIG(test_a_relay_that_announces_itself_is_told_to_nodes),
		IN_A_RIG(test_a_snapshot_has_all_relays_and_all_nodes),
		IN_A_RIG(test_a_snapshot_of_the_most_and_longest_relays_comes_in_pages_B62),
		IN_A_RIG(test_a_node_keeps_its_lease_over_a_restart_F02),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

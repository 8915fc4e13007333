/*
 * routing, and a discovery whose pages come as the test says: a snapshot of which a page is missing
 * is asked for anew from its beginning, and is not taken for whole before. (B54)
 */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Holds each request for a page until the test answers it. */
struct pages {
	Boson__Discovery__Discovery_Service mailbox; /* first: the handler finds us by it */
	struct bus *bus;
	Boson__Discovery__SnapshotReply_Closure closure;
	void *call; /* NULL: nobody asks */
	char cursor[64];
};

static struct route_rig rig;
static struct pages pages;

static void
on_snapshot(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__SnapshotRequest *input,
	    Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	struct pages *asked = (struct pages *)service;

	asked->closure = closure;
	asked->call = call;
	(void)snprintf(asked->cursor, sizeof(asked->cursor), "%s",
		       input->cursor == NULL ? "" : input->cursor);
}

static int
setup(void **state)
{
	static const Boson__Discovery__Discovery_Service mailbox = {
		.base = BOSON__DISCOVERY__DISCOVERY__BASE_INIT, .snapshot = on_snapshot
	};
	char endpoint[RIG_PATH_BYTES];

	*state = &rig;
	memset(&rig, 0, sizeof(rig));
	memset(&pages, 0, sizeof(pages));
	rig_start(&rig.rig, "");
	pages.mailbox = mailbox;
	rig_endpoint(&rig.rig, "discovery", false, endpoint);
	assert_int_equal(bus_new(rig.rig.loop, rig.rig.metrics, "discovery", NULL, &pages.bus), 0);
	assert_int_equal(bus_serve(pages.bus, endpoint, &pages.mailbox.base, NULL), 0);
	relay_mailbox_start(&rig.relay, &rig.rig);
	rig.routing_process = rig_spawn(&rig.rig, PROGRAM_ROUTING, 0);
	rig.routing = rig_peer(&rig.rig, "routing", &boson__routing__routing__descriptor);
	rig_wait_up(&rig.rig, rig.routing);
	return 0;
}

static int
teardown(void **state)
{
	bus_free(&pages.bus);
	return route_rig_teardown(state);
}

static bool
is_asked(void *unused)
{
	(void)unused;
	return pages.call != NULL;
}

static void
await_question(const char *cursor)
{
	rig_wait(&rig.rig, is_asked, NULL, "a question for a page");
	assert_string_equal(pages.cursor, cursor);
}

/* Answers with a page of one node. next NULL: it was the last. */
static void
give(const struct enrolment_node *node, bool with_relay, const char *next)
{
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	Boson__Discovery__Node message = BOSON__DISCOVERY__NODE__INIT, *nodes[] = { &message };
	char bus[RIG_PATH_BYTES], events[RIG_PATH_BYTES];
	Boson__Common__Relay relay, *relays[] = { &relay };
	void *call = pages.call;

	message.node_id = (char *)(uintptr_t)node->id_text;
	message.public_key = (char *)(uintptr_t)node->public_text;
	message.status = (char *)(uintptr_t) "online";
	message.has_version = 1;
	message.version = 1;
	reply.nodes = nodes;
	reply.n_nodes = 1;
	relay_mailbox_describe(&rig.relay, &relay, bus, events);
	reply.relays = relays;
	reply.n_relays = with_relay;
	reply.next_cursor = (char *)(uintptr_t)next;
	pages.call = NULL;
	pages.closure(&reply, call);
}

static void
add_nodes(struct enrolment_node *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enrolment_node_init(&nodes[i]);
		(void)relay_mailbox_attach(&rig.relay, nodes[i].id_text, RELAY_NODE_OPENS);
	}
}

static void
assert_not_ready_for(const struct enrolment_node *node)
{
	struct route_rig_client client;
	struct rig_call call;

	route_rig_client_init(&client);
	route_rig_request(&rig, &call, &client, node->id_text, NULL, NULL);
	assert_null(call.reply);
	assert_string_equal(call.result.code, "starting");
	rig_call_fini(&call);
}

static void
assert_served(const struct enrolment_node *node)
{
	struct route_rig_client client;
	struct rig_call call;

	route_rig_client_init(&client);
	route_rig_request_until_served(&rig, &call, &client, node->id_text);
	rig_call_fini(&call);
}

/* The last page of the first try is missing, and what its first page said is no longer so. */
static void
redo_after(void (*lose_page)(void))
{
	struct enrolment_node nodes[3];
	struct route_rig_client client;
	struct rig_call call;

	add_nodes(nodes, 3);
	await_question("");
	give(&nodes[0], true, "first-1");
	await_question("first-1");
	lose_page();
	await_question("");
	assert_not_ready_for(&nodes[0]);
	give(&nodes[1], true, "second-1");
	await_question("second-1");
	give(&nodes[2], false, NULL);
	assert_served(&nodes[1]);
	assert_served(&nodes[2]);
	route_rig_client_init(&client);
	route_rig_request(&rig, &call, &client, nodes[0].id_text, NULL, NULL);
	assert_null(call.reply);
	assert_string_equal(call.result.code, "no_suitable_node");
	rig_call_fini(&call);
}

/* As discovery does with the cursor of another of its lives. */
static void
refuse_page(void)
{
	void *call = pages.call;

	pages.call = NULL;
	bus_call_fail(call, BUS_INVALID, "field", "cursor");
}

static void
leave_unanswered(void)
{
	pages.call = NULL;
}

static void
test_a_snapshot_whose_page_is_refused_begins_anew_B54(void **state)
{
	(void)state;
	redo_after(refuse_page);
}

static void
test_a_snapshot_whose_page_does_not_come_begins_anew_B54(void **state)
{
	(void)state;
	redo_after(leave_unanswered);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_snapshot_whose_page_is_refused_begins_anew_B54),
		IN_A_RIG(test_a_snapshot_whose_page_does_not_come_begins_anew_B54),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

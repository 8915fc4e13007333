/* routing with two relays: where a client enters, what a moved leg changes, and what is told to
 * whoever watches. */
#include "two_relays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

RIG_CLOSURE(on_wireguard, Boson__Routing__WireguardReply)

static void
test_a_client_enters_at_the_relay_that_is_nearest_to_it(void **state)
{
	struct expected at_nodes = { 0, 0, 2, first_url, BOSON__ROUTING__ROUTE__TYPE__relay };
	struct expected at_other = { 90, 10, 2, second_url, BOSON__ROUTING__ROUTE__TYPE__cascade };
	struct rig_call call;

	(void)state;
	rig_wait(&rig.rig, two_relays_do, &at_nodes, "both relays, the node's first");
	rig_wait(&rig.rig, two_relays_do, &at_other, "both relays, the nearer first");
	two_relays_request(&call, 90, 10);
	/* To the relay it enters, and from the node's relay to the node. */
	assert_true(two_relays_reply(&call)->routes[0]->estimated_latency == 22);
	rig_call_fini(&call);
	assert_int_equal(relay_mailbox_find(&rig.relay, node.id_text)->opened > 0, 1);
	assert_int_equal(second.leg_count, 0);
}

static void
test_nobody_enters_at_a_relay_that_drains_or_is_silent(void **state)
{
	struct expected two = { 0, 0, 2, first_url, BOSON__ROUTING__ROUTE__TYPE__relay };
	struct expected one = { 90, 10, 1, first_url, BOSON__ROUTING__ROUTE__TYPE__relay };
	struct expected last = { 10, 90, 2, second_url, BOSON__ROUTING__ROUTE__TYPE__cascade };

	(void)state;
	rig_wait(&rig.rig, two_relays_do, &two, "both relays");
	route_rig_announce_relay(&rig, &second, second_url, true);
	rig_wait(&rig.rig, two_relays_do, &one, "only the one that does not drain");
	route_rig_announce_relay(&rig, &second, second_url, false);
	route_rig_announce_relay(&rig, &rig.relay, first_url, true);
	rig_wait(&rig.rig, two_relays_do, &last, "the node's own relay drains: last");
	route_rig_announce_relay(&rig, &rig.relay, first_url, false);
	relay_mailbox_stop(&second);
	rig_wait(&rig.rig, two_relays_do, &one, "only the one that answers");
	relay_mailbox_start(&second, &rig.rig);
}

static void
register_app(void)
{
	Boson__Routing__RegisterWireguardRequest message =
		BOSON__ROUTING__REGISTER_WIREGUARD_REQUEST__INIT;
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, client.id_text);
	struct rig_call call;

	message.client_id = client.id_text;
	message.public_key = client.public_text;
	message.caller = &caller;
	rig_call_init(&call, &rig.rig, rig.routing);
	boson__routing__routing__register_wireguard(bus_peer_service(rig.routing), &message,
						    on_wireguard, &call);
	rig_call_wait(&call);
	rig_call_assert_served(&call);
}

static bool
is_bound_at_second(void *arg)
{
	(void)arg;
	return second.bound > 0;
}

static void
test_a_session_follows_its_nodes_leg_to_another_relay_F04(void **state)
{
	struct expected before = { 0, 0, 2, first_url, BOSON__ROUTING__ROUTE__TYPE__relay };
	struct expected after = { 0, 0, 2, second_url, BOSON__ROUTING__ROUTE__TYPE__relay };
	char session_id[UUID_TEXT_BYTES];
	struct rig_call call;

	(void)state;
	rig_wait(&rig.rig, two_relays_do, &before, "a route by the first relay");
	two_relays_request(&call, 0, 0);
	memcpy(session_id, two_relays_reply(&call)->selected_route->session_id, sizeof(session_id));
	rig_call_fini(&call);
	register_app();
	assert_int_equal(rig.relay.bound, 1);
	/* Make before break: the new leg, and then the end of the old one. */
	(void)relay_mailbox_attach(&second, node.id_text, RELAY_NODE_OPENS);
	rig_wait(&rig.rig, is_bound_at_second, NULL, "BindUdp at the second relay");
	assert_string_equal(second.last_bound, session_id);
	rig_wait(&rig.rig, two_relays_do, &after, "a route by the second relay");
	assert_string_equal(second.last_session, session_id);
	relay_mailbox_detach(&rig.relay, node.id_text);
	route_rig_request(&rig, &call, &client, NULL, NULL, NULL);
	assert_null(call.reply); /* the access key did not open it */
	rig_call_fini(&call);
	rig_wait(&rig.rig, two_relays_do, &after, "still by the second");
}

struct watch {
	unsigned int opened, closed;
	char session_id[UUID_TEXT_BYTES];
	bool is_heard;
};

static void
on_session_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Routing__SessionChanged *change =
		(const Boson__Routing__SessionChanged *)event;
	struct watch *watch = arg;

	(void)gap;
	watch->is_heard = true;
	if (change == NULL)
		return;
	(void)snprintf(watch->session_id, sizeof(watch->session_id), "%s", change->session_id);
	if (strcmp(change->status, "open") == 0)
		watch->opened++;
	else
		watch->closed++;
}

static bool
is_heard(void *arg)
{
	return ((const struct watch *)arg)->is_heard;
}

static bool
is_opened(void *arg)
{
	return ((const struct watch *)arg)->opened > 0;
}

static bool
is_closed(void *arg)
{
	return ((const struct watch *)arg)->closed > 0;
}

static void
test_who_watches_is_told_of_sessions(void **state)
{
	struct bus_subscription *subscription = NULL;
	char events[RIG_PATH_BYTES], route_id[UUID_TEXT_BYTES];
	struct watch watch = { 0 };
	struct rig_call call;

	(void)state;
	rig_endpoint(&rig.rig, "routing", true, events);
	assert_int_equal(bus_subscribe(rig.rig.bus, events, NULL,
				       &boson__routing__session_changed__descriptor,
				       on_session_changed, &watch, &subscription),
			 0);
	rig_wait(&rig.rig, is_heard, &watch, "routing's publisher");
	route_rig_request_until_served(&rig, &call, &client, NULL);
	memcpy(route_id, two_relays_reply(&call)->selected_route->id, sizeof(route_id));
	rig_wait(&rig.rig, is_opened, &watch, "that it was opened");
	assert_string_equal(watch.session_id, two_relays_reply(&call)->selected_route->session_id);
	rig_call_fini(&call);
	route_rig_delete(&rig, &call, route_id, client.token);
	rig_call_fini(&call);
	rig_wait(&rig.rig, is_closed, &watch, "that it was closed");
	bus_unsubscribe(&subscription);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, two_relays_setup, two_relays_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_client_enters_at_the_relay_that_is_nearest_to_it),
		IN_A_RIG(test_nobody_enters_at_a_relay_that_drains_or_is_silent),
		IN_A_RIG(test_a_session_follows_its_nodes_leg_to_another_relay_F04),
		IN_A_RIG(test_who_watches_is_told_of_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* two_relays: see the header. */
#include "two_relays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const char first_url[] = "wss://first.example", second_url[] = "wss://second.example";

struct route_rig rig;
struct relay_mailbox second;
struct route_rig_client client;
struct enrolment_node node;

RIG_CLOSURE(on_route, Boson__Routing__RouteReply)

int
two_relays_setup(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n");
	memset(&second, 0, sizeof(second));
	second.id = "relay-2";
	second.name = "second";
	second.udp_endpoint = "second.example:51820";
	rig.relay.udp_endpoint = "first.example:51820";
	relay_mailbox_start(&second, &rig.rig);
	route_rig_announce_relay(&rig, &rig.relay, first_url, false);
	route_rig_announce_relay(&rig, &second, second_url, false);
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	return 0;
}

int
two_relays_teardown(void **state)
{
	relay_mailbox_stop(&second);
	return route_rig_teardown(state);
}

void
two_relays_request(struct rig_call *call, double first_ms, double second_ms)
{
	Boson__Routing__RelayLatency latencies[2], *pointers[2] = { &latencies[0], &latencies[1] };
	Boson__Routing__ClientNetworkInfo info = BOSON__ROUTING__CLIENT_NETWORK_INFO__INIT;
	Boson__Routing__RouteRequest message = BOSON__ROUTING__ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, client.id_text);

	for (size_t i = 0; i < 2; i++) {
		boson__routing__relay_latency__init(&latencies[i]);
		latencies[i].relay_id = (char *)(uintptr_t)(i == 0 ? "relay-1" : "relay-2");
		latencies[i].has_latency = 1;
		latencies[i].latency = i == 0 ? first_ms : second_ms;
	}
	info.n_relay_latencies = 2;
	info.relay_latencies = pointers;
	message.client_id = client.id_text;
	message.public_key = client.public_text;
	message.client_network_info = &info;
	message.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__request_route(bus_peer_service(rig.routing), &message, on_route,
					       call);
	rig_call_wait(call);
}

const Boson__Routing__RouteReply *
two_relays_reply(const struct rig_call *call)
{
	return (const Boson__Routing__RouteReply *)call->reply;
}

static bool
begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool
two_relays_do(void *arg)
{
	const struct expected *expected = arg;
	const Boson__Routing__RouteReply *reply;
	struct rig_call call;
	bool is;

	two_relays_request(&call, expected->first_ms, expected->second_ms);
	reply = two_relays_reply(&call);
	is = reply != NULL && reply->selected_route->n_relay_endpoints == expected->endpoints &&
	     begins_with(reply->selected_route->relay_endpoints[0], expected->url) &&
	     strcmp(reply->selected_route->relay_endpoint,
		    reply->selected_route->relay_endpoints[0]) == 0 &&
	     reply->routes[0]->type == expected->type;
	rig_call_fini(&call);
	return is;
}

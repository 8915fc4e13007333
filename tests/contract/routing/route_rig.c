/* route_rig: see the header. */
#include "route_rig.h"

#include "identity/proof.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const uint8_t route_rig_body[ROUTE_RIG_BODY_BYTES] = "a body";

RIG_CLOSURE(on_challenge, Boson__Common__ChallengeReply)
RIG_CLOSURE(on_empty, Boson__Common__Empty)
RIG_CLOSURE(on_reply, Boson__Routing__RouteReply)
RIG_CLOSURE(on_route, Boson__Routing__Route)

void
route_rig_start(struct route_rig *rig, const char *routing_config)
{
	memset(rig, 0, sizeof(*rig));
	rig_start(&rig->rig, routing_config);
	rig->discovery =
		rig_serve(&rig->rig, PROGRAM_DISCOVERY, "discovery",
			  &boson__discovery__discovery__descriptor, &rig->discovery_process);
	relay_mailbox_start(&rig->relay, &rig->rig);
	rig->routing = rig_serve(&rig->rig, PROGRAM_ROUTING, "routing",
				 &boson__routing__routing__descriptor, &rig->routing_process);
	route_rig_announce(rig);
}

void
route_rig_stop(struct route_rig *rig)
{
	relay_mailbox_stop(&rig->relay);
	rig_stop(&rig->rig);
}

int
route_rig_teardown(void **state)
{
	route_rig_stop(*state);
	return 0;
}

void
route_rig_announce_other(struct route_rig *rig, const Boson__Common__Relay *relay)
{
	struct rig_call call;

	rig_call_init(&call, &rig->rig, rig->discovery);
	boson__discovery__discovery__announce_relay(bus_peer_service(rig->discovery), relay,
						    on_empty, &call);
	rig_call_assert_served(&call);
}

void
route_rig_announce_relay(struct route_rig *rig, const struct relay_mailbox *mailbox,
			 const char *url, bool is_draining)
{
	char bus[RIG_PATH_BYTES], events[RIG_PATH_BYTES];
	Boson__Common__Relay relay;

	relay_mailbox_describe(mailbox, &relay, bus, events);
	if (url != NULL)
		relay.relay_endpoint = (char *)(uintptr_t)url;
	relay.has_draining = 1;
	relay.draining = is_draining;
	route_rig_announce_other(rig, &relay);
}

void
route_rig_announce(struct route_rig *rig)
{
	route_rig_announce_relay(rig, &rig->relay, NULL, false);
}

struct relay_mailbox_leg *
route_rig_add_node(struct route_rig *rig, struct enrolment_node *node,
		   enum relay_mailbox_answer answer)
{
	struct rig_call call;

	enrolment_node_init(node);
	rig_call_init(&call, &rig->rig, rig->discovery);
	enrolment_run(&call, node);
	rig_call_assert_served(&call);
	return relay_mailbox_attach(&rig->relay, node->id_text, answer);
}

void
route_rig_client_init(struct route_rig_client *client)
{
	struct key public_key;

	memset(client, 0, sizeof(*client));
	assert_int_equal(uuid_generate_text(client->id_text), 0);
	assert_int_equal(key_generate(&client->private_key), 0);
	assert_int_equal(key_public(&client->private_key, &public_key), 0);
	key_format(&public_key, client->public_text);
	client->subject = "key:first";
	/* SHA-256 of that begins so. */
	(void)snprintf(client->token, sizeof(client->token), "%s.%s", client->id_text,
		       "ce1acac90b83d99d");
}

void
route_rig_prove(struct rig *rig, struct bus_peer *routing, struct route_rig_client *client)
{
	Boson__Routing__ChallengeRequest request = BOSON__ROUTING__CHALLENGE_REQUEST__INIT;
	const Boson__Common__ChallengeReply *reply;
	struct proof_challenge challenge;
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, client->subject);
	uint8_t id[UUID_BYTES];
	struct rig_call call;

	request.client_id = client->id_text;
	request.public_key = client->public_text;
	request.caller = &caller;
	rig_call_init(&call, rig, routing);
	boson__routing__routing__challenge(bus_peer_service(routing), &request, on_challenge,
					   &call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	reply = (const Boson__Common__ChallengeReply *)call.reply;
	assert_int_equal(proof_challenge_parse(reply->ephemeral_public_key, reply->nonce,
					       reply->cookie, &challenge),
			 0);
	rig_call_fini(&call);
	assert_int_equal(uuid_parse(client->id_text, id), 0);
	assert_int_equal(proof_make(&challenge, &client->private_key, id, "client", route_rig_body,
				    client->proof),
			 0);
}

static void
send_request(struct route_rig *rig, struct rig_call *call, const struct route_rig_client *client,
	     Boson__Routing__RouteRequest *request)
{
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, client->subject);

	request->client_id = (char *)(uintptr_t)client->id_text;
	request->public_key = (char *)(uintptr_t)client->public_text;
	request->caller = &caller;
	if (client->proof[0] != '\0')
		request->proof = (char *)(uintptr_t)client->proof;
	request->has_body_sha256 = 1;
	request->body_sha256.data = (uint8_t *)(uintptr_t)route_rig_body;
	request->body_sha256.len = sizeof(route_rig_body);
	rig_call_init(call, &rig->rig, rig->routing);
	boson__routing__routing__request_route(bus_peer_service(rig->routing), request, on_reply,
					       call);
}

void
route_rig_request_begin(struct route_rig *rig, struct rig_call *call,
			const struct route_rig_client *client, const char *target,
			const char *country, const char *session_id)
{
	Boson__Routing__RouteRequest request = BOSON__ROUTING__ROUTE_REQUEST__INIT;
	Boson__Routing__Requirements requirements = BOSON__ROUTING__REQUIREMENTS__INIT;

	requirements.preferred_country = (char *)(uintptr_t)country;
	request.target_node_id = (char *)(uintptr_t)target;
	request.session_id = (char *)(uintptr_t)session_id;
	request.requirements = &requirements;
	send_request(rig, call, client, &request);
}

void
route_rig_complain_begin(struct route_rig *rig, struct rig_call *call,
			 const struct route_rig_client *client, const char *session_id,
			 const char *failed_node_id)
{
	Boson__Routing__RouteRequest request = BOSON__ROUTING__ROUTE_REQUEST__INIT;

	request.session_id = (char *)(uintptr_t)session_id;
	request.failed_node_id = (char *)(uintptr_t)failed_node_id;
	send_request(rig, call, client, &request);
}

void
route_rig_request(struct route_rig *rig, struct rig_call *call,
		  const struct route_rig_client *client, const char *target, const char *country,
		  const char *session_id)
{
	route_rig_request_begin(rig, call, client, target, country, session_id);
	rig_call_wait(call);
}

void
route_rig_request_until_served(struct route_rig *rig, struct rig_call *call,
			       const struct route_rig_client *client, const char *target)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;

	for (;;) {
		route_rig_request(rig, call, client, target, NULL, NULL);
		if (call->reply != NULL)
			return;
		assert_true(clock_monotonic_ms() < deadline_ms);
		rig_call_fini(call);
	}
}

void
route_rig_take(struct rig_call *call, struct route_rig_answer *ret)
{
	const Boson__Routing__SelectedRoute *selected;

	rig_call_wait(call);
	if (call->reply == NULL)
		fail_msg("%s", call->result.code);
	selected = ((const Boson__Routing__RouteReply *)call->reply)->selected_route;
	memcpy(ret->session_id, selected->session_id, UUID_TEXT_BYTES);
	memcpy(ret->route_id, selected->id, UUID_TEXT_BYTES);
	memcpy(ret->node_id, selected->node_endpoint->node_id, UUID_TEXT_BYTES);
	(void)snprintf(ret->ticket, sizeof(ret->ticket), "%s", selected->relay_ticket);
	rig_call_fini(call);
}

void
route_rig_connect(struct route_rig *rig, const struct route_rig_client *client, const char *target,
		  struct route_rig_answer *ret)
{
	struct rig_call call;

	route_rig_request_until_served(rig, &call, client, target);
	route_rig_take(&call, ret);
}

void
route_rig_get(struct route_rig *rig, struct rig_call *call, const char *route_id,
	      const char *subject)
{
	Boson__Routing__GetRouteRequest request = BOSON__ROUTING__GET_ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, subject);

	request.route_id = (char *)(uintptr_t)route_id;
	request.caller = &caller;
	rig_call_init(call, &rig->rig, rig->routing);
	boson__routing__routing__get_route(bus_peer_service(rig->routing), &request, on_route,
					   call);
	rig_call_wait(call);
}

void
route_rig_delete_begin(struct route_rig *rig, struct rig_call *call, const char *route_id,
		       const char *subject)
{
	Boson__Routing__DeleteRouteRequest request = BOSON__ROUTING__DELETE_ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, subject);

	request.route_id = (char *)(uintptr_t)route_id;
	request.caller = &caller;
	rig_call_init(call, &rig->rig, rig->routing);
	boson__routing__routing__delete_route(bus_peer_service(rig->routing), &request, on_empty,
					      call);
}

void
route_rig_delete(struct route_rig *rig, struct rig_call *call, const char *route_id,
		 const char *subject)
{
	route_rig_delete_begin(rig, call, route_id, subject);
	rig_call_wait(call);
}

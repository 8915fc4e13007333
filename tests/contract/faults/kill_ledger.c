/* kill_ledger: see the header. */
#include "kill_ledger.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t body[32] = { 7 };

RIG_CLOSURE(on_node, Boson__Discovery__Node)

void
kill_ledger_init(struct kill_ledger *ledger, struct route_rig *rig, size_t waves_max)
{
	memset(ledger, 0, sizeof(*ledger));
	ledger->rig = rig;
	ledger->routes = calloc(waves_max * REQUESTS, sizeof(*ledger->routes));
	ledger->registrations = calloc(waves_max * REGISTRATIONS, sizeof(*ledger->registrations));
	assert_non_null(ledger->routes);
	assert_non_null(ledger->registrations);
}

void
kill_ledger_fini(struct kill_ledger *ledger)
{
	free(ledger->routes);
	free(ledger->registrations);
}

/* Some route in this state; NULL when chance finds none. */
static struct route *
some_route(const struct kill_ledger *ledger, enum acknowledged state)
{
	for (int tries = 0; tries < 64 && ledger->route_count > 0; tries++) {
		struct route *route = &ledger->routes[(size_t)random() % ledger->route_count];

		if (route->state == state)
			return route;
	}
	return NULL;
}

/* A client that was not answered asks again; else a new one. */
static struct route *
next_to_request(struct kill_ledger *ledger)
{
	struct route *route = some_route(ledger, NOTHING);

	if (route == NULL) {
		route = &ledger->routes[ledger->route_count++];
		route_rig_client_init(&route->client);
	}
	route->state = UNKNOWN; /* until it is answered */
	return route;
}

/* As does one whose deletion was not answered. */
static struct route *
next_to_delete(const struct kill_ledger *ledger)
{
	struct route *route = some_route(ledger, DOUBTFUL);

	return route != NULL ? route : some_route(ledger, OPEN);
}

static bool
enough_answered(void *arg)
{
	const struct kill_ledger *ledger = arg;
	const struct kill_wave *wave = &ledger->wave;
	size_t answered = 0;

	for (size_t i = 0; i < REGISTRATIONS + REQUESTS + wave->deletions; i++)
		answered += ledger->calls[i].done ? 1 : 0;
	return answered >= wave->wanted;
}

void
kill_ledger_ask(struct kill_ledger *ledger)
{
	struct kill_wave *wave = &ledger->wave;
	struct rig_call *call = ledger->calls;

	memset(wave, 0, sizeof(*wave));
	wave->registrations = &ledger->registrations[ledger->registration_count];
	for (size_t i = 0; i < REGISTRATIONS; i++) {
		enrolment_node_init(&wave->registrations[i].node);
		enrolment_prove(&ledger->rig->rig, ledger->rig->discovery,
				&wave->registrations[i].node, body, wave->registrations[i].proof);
	}
	for (size_t i = 0; i < REGISTRATIONS; i++, call++) {
		rig_call_init(call, &ledger->rig->rig, ledger->rig->discovery);
		enrolment_send(call, &wave->registrations[i].node, wave->registrations[i].proof,
			       body, NULL);
	}
	for (size_t i = 0; i < REQUESTS; i++, call++) {
		wave->requested[i] = next_to_request(ledger);
		route_rig_request_begin(ledger->rig, call, &wave->requested[i]->client, NULL, NULL,
					NULL);
	}
	for (struct route *route; wave->deletions < DELETIONS; call++) {
		route = next_to_delete(ledger);
		if (route == NULL)
			break;
		route->state = UNKNOWN; /* until it is answered */
		wave->deleted[wave->deletions++] = route;
		route_rig_delete_begin(ledger->rig, call, route->id, route->client.token);
	}
	wave->wanted = (size_t)random() % (REGISTRATIONS + REQUESTS + wave->deletions + 1);
}

void
kill_ledger_wait(struct kill_ledger *ledger)
{
	rig_wait(&ledger->rig->rig, enough_answered, ledger, "answers");
}

/* Every call ends: answered, or failed by the death of who should have answered. */
void
kill_ledger_take_answers(struct kill_ledger *ledger)
{
	struct kill_wave *wave = &ledger->wave;
	struct rig_call *call = ledger->calls;

	for (size_t i = 0; i < REGISTRATIONS; i++, call++) {
		rig_call_wait(call);
		wave->registrations[i].acknowledged = call->reply != NULL;
		ledger->acknowledged += call->reply != NULL ? 1 : 0;
		rig_call_fini(call);
	}
	for (size_t i = 0; i < REQUESTS; i++, call++) {
		const Boson__Routing__RouteReply *reply;

		rig_call_wait(call);
		reply = (const Boson__Routing__RouteReply *)call->reply;
		wave->requested[i]->state = reply == NULL ? NOTHING : OPEN;
		if (reply != NULL) {
			(void)strcpy(wave->requested[i]->id, reply->selected_route->id);
			ledger->acknowledged++;
			ledger->opened++;
		}
		rig_call_fini(call);
	}
	for (size_t i = 0; i < wave->deletions; i++, call++) {
		rig_call_wait(call);
		wave->deleted[i]->state =
			call->reply != NULL || call->result.status == BUS_NOT_FOUND ? CLOSED
										    : DOUBTFUL;
		ledger->acknowledged += call->reply != NULL ? 1 : 0;
		rig_call_fini(call);
	}
	ledger->registration_count += REGISTRATIONS;
}

/* The answer, when there is one: not while a store comes back. */
static void
ask_for_node(struct kill_ledger *ledger, struct rig_call *call, const char *id)
{
	Boson__Discovery__GetNodeRequest request = BOSON__DISCOVERY__GET_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, NULL);

	request.node_id = (char *)(uintptr_t)id;
	request.caller = &caller;
	rig_call_init(call, &ledger->rig->rig, ledger->rig->discovery);
	boson__discovery__discovery__get_node(bus_peer_service(ledger->rig->discovery), &request,
					      on_node, call);
	rig_call_wait(call);
}

static void
assert_registrations(struct kill_ledger *ledger)
{
	for (size_t i = 0; i < ledger->registration_count; i++) {
		int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
		struct rig_call call;

		if (!ledger->registrations[i].acknowledged)
			continue;
		ask_for_node(ledger, &call, ledger->registrations[i].node.id_text);
		while (call.reply == NULL && call.result.status != BUS_NOT_FOUND) {
			assert_true(clock_monotonic_ms() < deadline_ms);
			rig_call_fini(&call);
			ask_for_node(ledger, &call, ledger->registrations[i].node.id_text);
		}
		if (call.reply == NULL)
			fail_msg("registration %zu was acknowledged and is lost", i);
		rig_call_fini(&call);
	}
}

static void
assert_routes(struct kill_ledger *ledger)
{
	for (size_t i = 0; i < ledger->route_count; i++) {
		int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
		struct rig_call call;
		bool open;

		if (ledger->routes[i].state != OPEN && ledger->routes[i].state != CLOSED)
			continue;
		route_rig_get(ledger->rig, &call, ledger->routes[i].id,
			      ledger->routes[i].client.token);
		while (call.reply == NULL && call.result.status != BUS_NOT_FOUND) {
			assert_true(clock_monotonic_ms() < deadline_ms);
			rig_call_fini(&call);
			route_rig_get(ledger->rig, &call, ledger->routes[i].id,
				      ledger->routes[i].client.token);
		}
		open = call.reply != NULL &&
		       strcmp(((const Boson__Routing__Route *)call.reply)->status, "open") == 0;
		if (open != (ledger->routes[i].state == OPEN))
			fail_msg("route %zu was acknowledged as %s and is %s", i,
				 ledger->routes[i].state == OPEN ? "open" : "closed",
				 open ? "open" : "closed or gone");
		rig_call_fini(&call);
	}
}

void
kill_ledger_assert(struct kill_ledger *ledger)
{
	assert_registrations(ledger);
	assert_routes(ledger);
}

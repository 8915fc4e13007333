/*
 * Two routings on one PostgreSQL, as processes: either answers for any session, either may be
 * killed, a request that was sent again makes no second session, and one of them at a time sweeps
 * (F01, F03, F13).
 *
 *	test (gateway, relay-1) --ipc--> a ---+--- PostgreSQL
 *	                 \--------ipc--> b ---+--- discovery
 */
#include "identity/ticket.h"
#include "loop/clock.h"
#include "route_rig.h"
#include "service/service_rules.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { REPLICAS = 2, CONFIG_BYTES = 2048 };

static struct servers servers;
static struct route_rig rig;
static struct rig second; /* the folders of b */
static pid_t processes[REPLICAS];
static struct bus_peer *peers[REPLICAS], *both;

RIG_CLOSURE(on_clients, Boson__Routing__ListClientsReply)

/* ---- processes ---- */

static void
write_second_config(const char *config)
{
	char text[2 * CONFIG_BYTES], discovery[RIG_PATH_BYTES];

	rig_endpoint(&rig.rig, "discovery", false, discovery);
	(void)snprintf(text, sizeof(text), "[bus]\ndiscovery = %s\n%s", discovery, config);
	rig_configure(&second, text);
}

static void
connect_all(void)
{
	char first[RIG_PATH_BYTES], other[RIG_PATH_BYTES], list[2 * RIG_PATH_BYTES + 1];

	rig_endpoint(&rig.rig, "routing", false, first);
	rig_endpoint(&second, "routing", false, other);
	(void)snprintf(list, sizeof(list), "%s,%s", first, other);
	bus_set_rules(rig.rig.bus, service_rules);
	assert_int_equal(bus_peer_new(rig.rig.bus, other, NULL,
				      &boson__routing__routing__descriptor, &peers[1]),
			 0);
	assert_int_equal(
		bus_peer_new(rig.rig.bus, list, NULL, &boson__routing__routing__descriptor, &both),
		0);
	rig_wait_up(&rig.rig, peers[1]);
	rig_wait_up(&rig.rig, both);
}

static void
start(const char *more)
{
	char store[SERVERS_URL_BYTES], config[CONFIG_BYTES], schema[32];
	static unsigned schemas;

	(void)snprintf(schema, sizeof(schema), "routings_%u", ++schemas);
	servers_postgresql_url(&servers, schema, store);
	(void)snprintf(config, sizeof(config),
		       "[discovery]\nenrolment = open\n[routing]\nstore = %s\n"
		       "ticket_seed = %s/shared.seed\n%s",
		       store, servers.folder, more);
	route_rig_start(&rig, config);
	rig_start(&second, "");
	write_second_config(config);
	processes[0] = rig.routing_process;
	processes[1] = rig_spawn(&second, PROGRAM_ROUTING, 0);
	peers[0] = rig.routing;
	connect_all();
}

static int
setup(void **state)
{
	(void)state;
	start("answer_timeout = 10s\n");
	return 0;
}

static int
setup_short_lived(void **state)
{
	(void)state;
	start("session_lifetime = 3s\n");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bus_peer_free(&both);
	bus_peer_free(&peers[1]);
	rig_stop(&second);
	route_rig_stop(&rig);
	return 0;
}

static void
kill_replica(size_t which)
{
	rig_kill(which == 0 ? &rig.rig : &second, processes[which]);
}

/* What the rig asks from now on. */
static void
use(struct bus_peer *peer)
{
	rig.routing = peer;
}

/* ---- sessions ---- */

struct answer {
	char session_id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
};

static void
take(struct rig_call *call, struct answer *ret)
{
	const Boson__Routing__SelectedRoute *selected;

	if (call->reply == NULL)
		fail_msg("%s", call->result.code);
	selected = ((const Boson__Routing__RouteReply *)call->reply)->selected_route;
	memcpy(ret->session_id, selected->session_id, UUID_TEXT_BYTES);
	memcpy(ret->route_id, selected->id, UUID_TEXT_BYTES);
	memcpy(ret->node_id, selected->node_endpoint->node_id, UUID_TEXT_BYTES);
	(void)snprintf(ret->ticket, sizeof(ret->ticket), "%s", selected->relay_ticket);
	rig_call_fini(call);
}

static void
connect_client(const struct route_rig_client *client, struct answer *ret)
{
	struct rig_call call;

	route_rig_request_until_served(&rig, &call, client, NULL);
	take(&call, ret);
}

static void
assert_status(const struct answer *answer, const char *client_id, const char *status)
{
	struct rig_call call;

	route_rig_get(&rig, &call, answer->route_id, client_id);
	assert_non_null(call.reply);
	assert_string_equal(((const Boson__Routing__Route *)call.reply)->status, status);
	rig_call_fini(&call);
}

/* Of the only client, as a replica tells. */
static uint32_t
sessions_of_client(const char *client_id)
{
	Boson__Routing__ListClientsRequest request = BOSON__ROUTING__LIST_CLIENTS_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;
	const Boson__Routing__ListClientsReply *reply;
	struct rig_call call;
	uint32_t sessions = 0;

	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__ADMIN;
	request.caller = &caller;
	rig_call_init(&call, &rig.rig, rig.routing);
	boson__routing__routing__list_clients(bus_peer_service(rig.routing), &request, on_clients,
					      &call);
	rig_call_wait(&call);
	reply = (const Boson__Routing__ListClientsReply *)call.reply;
	assert_non_null(reply);
	for (size_t i = 0; i < reply->n_clients; i++)
		if (strcmp(reply->clients[i]->client_id, client_id) == 0)
			sessions += reply->clients[i]->sessions;
	rig_call_fini(&call);
	return sessions;
}

static void
test_either_answers_for_any_session(void **state)
{
	struct route_rig_client client;
	struct answer first, again;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	connect_client(&client, &first);
	use(peers[1]);
	assert_status(&first, client.token, "open");
	assert_int_equal(sessions_of_client(client.id_text), 1);
	route_rig_request_until_served(&rig, &call, &client, NULL); /* it has heard of the node */
	take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
	route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
	take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
	route_rig_delete(&rig, &call, first.route_id, client.token);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	use(peers[0]);
	assert_status(&first, client.token, "closed");
	route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
}

static void
test_tickets_of_either_are_of_one_key(void **state)
{
	char node_public[RIG_PATH_BYTES], session_public[RIG_PATH_BYTES];
	struct route_rig_client client;
	struct ticket_verifier *verifier;
	struct enrolment_node node;
	struct ticket ticket;
	struct answer answer;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	use(peers[1]);
	connect_client(&client, &answer);
	rig_path(&rig.rig, "state/keys/ticket-node.pub", node_public);
	rig_path(&rig.rig, "state/keys/ticket-session.pub", session_public); /* a's */
	assert_int_equal(ticket_verifier_open(node_public, session_public, "default", &verifier),
			 0);
	assert_int_equal(ticket_verify(verifier, answer.ticket, strlen(answer.ticket),
				       clock_wall_ms(), &ticket),
			 0);
	ticket_verifier_free(&verifier);
}

static void
test_one_client_at_both_at_once_has_one_session(void **state)
{
	struct route_rig_client client, other;
	struct answer answers[REPLICAS], warm;
	struct rig_call calls[REPLICAS];
	struct enrolment_node node;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) { /* both have heard of the node */
		route_rig_client_init(&other);
		use(peers[i]);
		connect_client(&other, &warm);
	}
	for (int round = 0; round < 12; round++) {
		route_rig_client_init(&client);
		for (size_t i = 0; i < REPLICAS; i++) {
			use(peers[i]);
			route_rig_request_begin(&rig, &calls[i], &client, NULL, NULL, NULL);
		}
		for (size_t i = 0; i < REPLICAS; i++) {
			rig_call_wait(&calls[i]);
			take(&calls[i], &answers[i]);
		}
		assert_string_equal(answers[0].session_id, answers[1].session_id);
	}
}

static bool
is_held(void *arg)
{
	return rig.relay.held_count == *(const size_t *)arg;
}

/* a dies after it has asked the node: the bus asks b, which finds what a had in mind. */
static void
test_a_request_that_outlives_its_replica_makes_one_session_F01(void **state)
{
	char asked_first[UUID_TEXT_BYTES];
	struct route_rig_client client, other;
	struct relay_mailbox_leg *leg;
	struct answer answer, warm;
	struct enrolment_node node;
	struct rig_call call;
	size_t held = 1;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) {
		route_rig_client_init(&other);
		use(peers[i]);
		connect_client(&other, &warm);
	}
	leg->answer = RELAY_NODE_IS_SILENT;
	use(both);
	route_rig_request_begin(&rig, &call, &client, NULL, NULL, NULL);
	rig_wait(&rig.rig, is_held, &held, "OpenSession of one");
	memcpy(asked_first, rig.relay.last_session, sizeof(asked_first));
	leg->answer = RELAY_NODE_OPENS;
	kill_replica(0); /* the list's first is the one that is asked */
	rig_call_wait(&call);
	if (call.reply == NULL) { /* the bus did not know b yet: the client asks again itself */
		assert_int_equal(call.result.status, BUS_UNAVAILABLE);
		rig_call_fini(&call);
		route_rig_request_until_served(&rig, &call, &client, NULL);
	}
	take(&call, &answer);
	assert_string_equal(answer.session_id, asked_first);
	use(peers[1]);
	assert_int_equal(sessions_of_client(client.id_text), 1);
	relay_mailbox_open_held(&rig.relay); /* nobody waits for this one */
}

static bool
was_closed(void *arg)
{
	return ((const struct relay_mailbox_leg *)arg)->closed > 0;
}

static bool
is_forgotten(void *arg)
{
	const struct answer *answer = arg;
	struct rig_call call;
	bool forgotten;

	route_rig_get(&rig, &call, answer->route_id, answer->node_id);
	forgotten = call.reply == NULL && call.result.status == BUS_NOT_FOUND;
	rig_call_fini(&call);
	return forgotten;
}

/* Whichever swept before. */
static void
sweeping_goes_over(size_t killed)
{
	struct route_rig_client client;
	struct relay_mailbox_leg *leg;
	struct enrolment_node node;
	struct answer answer;

	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	use(peers[1 - killed]);
	connect_client(&client, &answer);
	kill_replica(killed);
	rig_wait(&rig.rig, was_closed, leg, "CloseSession at its end");
	memcpy(answer.node_id, client.id_text, sizeof(answer.node_id));
	rig_wait(&rig.rig, is_forgotten, &answer, "no row is left");
	/* The one that is killed must not have been needed. */
	use(peers[0]);
}

static void
test_sweeping_goes_over_when_the_first_is_killed(void **state)
{
	(void)state;
	sweeping_goes_over(0);
}

static void
test_sweeping_goes_over_when_the_second_is_killed(void **state)
{
	(void)state;
	sweeping_goes_over(1);
}

static bool
is_served(void *arg)
{
	struct rig_call call;
	bool served;

	route_rig_request(&rig, &call, arg, NULL, NULL, NULL);
	served = call.reply != NULL;
	/* Until then nothing is unknown: 503, never 404. */
	if (!served)
		assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	rig_call_fini(&call);
	return served;
}

static void
test_a_replica_starts_while_postgresql_is_down_F13(void **state)
{
	struct route_rig_client client, other;
	struct enrolment_node node;
	struct answer answer;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&other);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	connect_client(&client, &answer);
	servers_postgresql_kill(&servers);
	kill_replica(1);
	processes[1] = rig_spawn(&second, PROGRAM_ROUTING, 0);
	rig_wait_up(&rig.rig, peers[1]);
	use(peers[1]);
	route_rig_get(&rig, &call, answer.route_id, client.token);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	assert_string_equal(call.result.code, "store_failed");
	rig_call_fini(&call);
	/* a remembers: what is only read is answered from memory. */
	use(peers[0]);
	assert_status(&answer, client.token, "open");
	use(peers[1]);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	rig_wait(&rig.rig, is_served, &other, "a route of the one that started without it");
	assert_status(&answer, client.token, "open");
	use(peers[0]);
	rig_wait(&rig.rig, is_served, &other, "a route of the one that lost it");
}

#define WITH_TWO(test)	 cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WITH_SHORT(test) cmocka_unit_test_setup_teardown(test, setup_short_lived, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_either_answers_for_any_session),
		WITH_TWO(test_tickets_of_either_are_of_one_key),
		WITH_TWO(test_one_client_at_both_at_once_has_one_session),
		WITH_TWO(test_a_request_that_outlives_its_replica_makes_one_session_F01),
		WITH_SHORT(test_sweeping_goes_over_when_the_first_is_killed),
		WITH_SHORT(test_sweeping_goes_over_when_the_second_is_killed),
		WITH_TWO(test_a_replica_starts_while_postgresql_is_down_F13),
	};
	int result;

	if (servers_init(&servers) != 0)
		return 1;
	result = servers_postgresql_start(&servers);
	if (result == 0)
		result = cmocka_run_group_tests(tests, NULL, NULL);
	else if (result == 1)
		result = 77;
	servers_fini(&servers);
	return result;
}

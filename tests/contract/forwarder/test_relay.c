/*
 * The node's end of a leg: higgs-forwarder on the lab's node, a real boson-relay on `inet`, and a
 * stand-in for the agent. Sessions that the relay asks for, answers when the agent is away, the
 * flows as the relay is told of them.
 */
#include "world.h"

#include "identity/ticket.h"
#include "loop/clock.h"
#include "relay.pb-c.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { RELAY_PORT = 8080, TICKET_LIFE_MS = 3600 * 1000 };

static struct world world;
static struct child relay;
static struct bus_peer *relay_peer;

/* What the relay's mailbox said last. */
static struct {
	bool is_there, is_ok;
	enum _Boson__Link__SessionOpened__Result result;
	char address4[16], reason[64];
	size_t legs;
	uint64_t bytes_up;
} said;

static void
write_relay_config(char path[128])
{
	snprintf(path, 128, "%s/boson.conf", world.folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"[service]\nstate = %s/boson\nrun = %s/boson-run\n[admin]\nrelay = off\n"
		"[relay]\nlisten = 198.51.100.80:%d\nbehind_proxy = yes\n"
		"[bus]\nrelay = ipc://%s/boson-run/relay.sock\n",
		world.folder, world.folder, RELAY_PORT, world.folder);
	assert_int_equal(fclose(file), 0);
}

/* The relay checks tickets by public keys that lie beside it; we hold the secret ones. */
static void
write_ticket(void)
{
	char seed[128], public_half[128];
	struct ticket_signer *signer;
	struct ticket ticket = { .role = TICKET_ROLE_NODE,
				 .group = "default",
				 .not_before_ms = clock_wall_ms() - TICKET_LIFE_MS,
				 .expires_at_ms = clock_wall_ms() + TICKET_LIFE_MS };
	snprintf(seed, sizeof seed, "%s/ticket.seed", world.folder);
	snprintf(public_half, sizeof public_half, "%s/boson/keys/ticket-node.pub", world.folder);
	assert_int_equal(ticket_signer_open(seed, public_half, TICKET_ROLE_NODE, &signer), 0);
	assert_int_equal(uuid_generate_text(world.node_id), 0);
	assert_int_equal(uuid_parse(world.node_id, ticket.node_id), 0);
	assert_int_equal(ticket_sign(signer, &ticket, world.ticket), 0);
	ticket_signer_free(&signer);
}

static void
relay_start(void)
{
	char config[128], endpoint[160];
	const char *argv[] = { RELAY_PROGRAM, "-c", config, NULL };
	lab_run(world.lab.inet, "mkdir -p -m 0755 %s/boson/keys && mkdir -m 0700 %s/boson-run",
		world.folder, world.folder);
	write_relay_config(config);
	write_ticket();
	lab_enter(world.lab.inet);
	assert_int_equal(child_start(argv, -1, -1, &relay), 0);
	snprintf(endpoint, sizeof endpoint, "ipc://%s/boson-run/relay.sock", world.folder);
	assert_int_equal(bus_peer_new(world.bus, endpoint, NULL, &boson__relay__relay__descriptor,
				      &relay_peer),
			 0);
	snprintf(world.relay, sizeof world.relay, "ws://198.51.100.80:%d", RELAY_PORT);
}

static int
setup(void **state)
{
	*state = NULL;
	if (!lab_can_run())
		return 0;
	*state = &world;
	world_up(&world, "");
	relay_start();
	return 0;
}

static int
teardown(void **state)
{
	if (*state) {
		child_kill(&relay);
		world_down(&world);
	}
	return 0;
}

/* ---- asking the relay ---- */

static bool
has_said(struct world *unused)
{
	(void)unused;
	return said.is_there;
}

static void
on_legs(const Boson__Relay__ListLegsReply *reply, void *closure)
{
	(void)closure;
	said.is_there = true;
	said.legs = reply ? reply->n_legs : 0;
}

/* As long as it takes: asks again with each answer. */
static bool
leg_is_attached(struct world *unused)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;
	(void)unused;
	if (!said.is_there)
		return false;
	if (said.legs > 0)
		return true;
	said.is_there = false;
	boson__relay__relay__list_legs(bus_peer_service(relay_peer), &request, on_legs, NULL);
	return false;
}

static void
on_opened(const Boson__Relay__OpenSessionReply *reply, void *closure)
{
	const Boson__Link__SessionOpened *opened = reply ? reply->opened : NULL;
	(void)closure;
	said.is_there = true;
	said.is_ok = opened != NULL;
	said.result = opened ? opened->result : BOSON__LINK__SESSION_OPENED__RESULT__ERROR;
	snprintf(said.address4, sizeof said.address4, "%s",
		 opened && opened->address4 ? opened->address4 : "");
	snprintf(said.reason, sizeof said.reason, "%s",
		 opened && opened->reason ? opened->reason : "");
}

static void
open_session(const struct world_session *session)
{
	Boson__Relay__OpenSessionRequest request = BOSON__RELAY__OPEN_SESSION_REQUEST__INIT;
	Boson__Link__SessionOpen open = BOSON__LINK__SESSION_OPEN__INIT;
	request.node_id = world.node_id;
	request.session = &open;
	open.session_id = (char *)(uintptr_t)session->id;
	open.client_id = (char *)(uintptr_t)session->id;
	open.client_public_key = (char *)(uintptr_t)session->key;
	open.has_expires_at = 1;
	open.expires_at = session->expires_at_ms;
	memset(&said, 0, sizeof said);
	bus_peer_next(relay_peer, 5000, NULL);
	boson__relay__relay__open_session(bus_peer_service(relay_peer), &request, on_opened, NULL);
	assert_true(world_wait(&world, has_said));
}

static void
on_closed(const Boson__Common__Empty *reply, void *closure)
{
	(void)reply;
	(void)closure;
}

static void
close_session(const struct world_session *session)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	request.node_id = world.node_id;
	request.session_id = (char *)(uintptr_t)session->id;
	boson__relay__relay__close_session(bus_peer_service(relay_peer), &request, on_closed, NULL);
}

static void
start(void)
{
	world_agent_start(&world);
	world_forwarder_start(&world, FORWARDER_PROGRAM);
	assert_true(world_wait(&world, world_is_up));
	memset(&said, 0, sizeof said);
	said.is_there = true;
	assert_true(world_wait(&world, leg_is_attached));
}

/* A session with a key, not in the agent's snapshot. */
static struct world_session *
new_session(void)
{
	struct world_session *session = world_session_add(&world);
	world.session_count--;
	return session;
}

/* ---- tests ---- */

static bool
has_ended(struct world *unused)
{
	(void)unused;
	return world.ended > 0;
}

static void
test_session_that_the_relay_asks_for_is_admitted_and_carried(void **state)
{
	if (!*state)
		skip();
	start();
	struct world_session *session = new_session();
	open_session(session);
	assert_true(said.is_ok);
	assert_int_equal(said.result, BOSON__LINK__SESSION_OPENED__RESULT__OK);
	assert_string_equal(said.address4, "10.90.1.1");
	assert_int_equal(world.admitted, 1);
	assert_true(world_has_output(&world, world.show_peers, session->key));
	assert_true(world_has_output(&world, "nft list ruleset", "10.90.1.1"));
	close_session(session);
	assert_true(world_wait(&world, has_ended));
	assert_string_equal(world.ended_id, session->id);
	assert_true(world_wait_output(&world, world.count_peers, "0"));
	assert_false(world_has_output(&world, "nft list ruleset", "10.90.1.1"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

/* The one with the same key that was there before gives way. */
static void
test_newer_session_of_a_key_takes_the_place_of_the_older(void **state)
{
	if (!*state)
		skip();
	start();
	struct world_session *session = new_session();
	open_session(session);
	assert_true(said.is_ok);
	assert_int_equal(uuid_generate_text(session->id), 0);
	open_session(session);
	assert_true(said.is_ok);
	assert_string_equal(said.address4, "10.90.1.2");
	assert_true(world_has_output(&world, world.show_peers, "10.90.1.2/32"));
	assert_false(world_has_output(&world, "nft list ruleset", "10.90.1.1 "));
	assert_true(world_has_output(&world, "nft list ruleset", "10.90.1.2"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

/* Sessions go on, new ones are refused, and the relay need not wait for its own deadline. */
static void
test_agent_that_is_away_means_an_error_at_once(void **state)
{
	if (!*state)
		skip();
	start();
	struct world_session *session = new_session();
	open_session(session);
	assert_true(said.is_ok);
	char key[KEY_TEXT_BYTES];
	memcpy(key, session->key, sizeof key);
	world_agent_stop(&world);
	session = new_session();
	open_session(session);
	assert_true(said.is_ok);
	assert_int_equal(said.result, BOSON__LINK__SESSION_OPENED__RESULT__ERROR);
	assert_string_equal(said.reason, "agent is away");
	assert_true(world_has_output(&world, world.show_peers, key));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *closure)
{
	(void)closure;
	said.is_there = true;
	said.bytes_up = reply ? reply->bytes_up : 0;
	said.is_ok = reply && reply->has_reported_at;
}

static char asked_id[UUID_TEXT_BYTES];

static bool
flows_are_reported(struct world *unused)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	(void)unused;
	if (!said.is_there)
		return false;
	if (said.is_ok)
		return true;
	said.is_there = false;
	request.session_id = asked_id;
	request.node_id = world.node_id;
	boson__relay__relay__list_flows(bus_peer_service(relay_peer), &request, on_flows, NULL);
	return false;
}

static void
test_flows_of_a_session_are_reported_to_the_relay(void **state)
{
	if (!*state)
		skip();
	start();
	struct world_session *session = new_session();
	open_session(session);
	assert_true(said.is_ok);
	memcpy(asked_id, session->id, sizeof asked_id);
	said.is_ok = false;
	assert_true(world_wait(&world, flows_are_reported));
	assert_int_equal(said.bytes_up, 0);
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

/* A malformed request is answered, so that the relay does not wait for it. */
static void
test_session_without_a_key_is_an_error(void **state)
{
	if (!*state)
		skip();
	start();
	struct world_session *session = new_session();
	session->key[3] = '!';
	open_session(session);
	assert_int_equal(said.result, BOSON__LINK__SESSION_OPENED__RESULT__ERROR);
	assert_int_equal(world.admitted, 0);
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

#define RELAY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_session_that_the_relay_asks_for_is_admitted_and_carried),
		RELAY_TEST(test_newer_session_of_a_key_takes_the_place_of_the_older),
		RELAY_TEST(test_agent_that_is_away_means_an_error_at_once),
		RELAY_TEST(test_flows_of_a_session_are_reported_to_the_relay),
		RELAY_TEST(test_session_without_a_key_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

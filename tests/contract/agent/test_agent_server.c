/*
 * The agent towards a server over real TLS: proof of possession (T01, P01), tickets to the
 * forwarder, tokens that end, a node id bound to another key (L56), a server that is away.
 */
#include "../../temp_folder.h"
#include "agent_run.h"
#include "fleet_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

struct scene {
	struct fleet_server server;
	struct agent_run run;
};

static struct scene scene;

static int
setup(void **state)
{
	fleet_server_start(&scene.server);
	agent_run_open(&scene.run);
	agent_run_configure(&scene.run, fleet_server_lines(&scene.server));
	*state = &scene;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	agent_run_close(&scene.run);
	fleet_server_stop(&scene.server);
	return 0;
}

struct at_least {
	atomic_int *counter;
	int value;
};

static bool
is_at_least(struct agent_run *run, void *arg)
{
	struct at_least *wanted = arg;

	(void)run;
	return atomic_load(wanted->counter) >= wanted->value;
}

static void
until(struct scene *s, atomic_int *counter, int value, const char *what)
{
	struct at_least wanted = { counter, value };

	agent_run_until(&s->run, is_at_least, &wanted, what);
}

static bool
has_ticket(struct agent_run *run, void *arg)
{
	return run->attachment && run->attachment->relay_ticket &&
	       strcmp(run->attachment->relay_ticket, arg) == 0;
}

static void
until_ticket(struct scene *s, const char *ticket)
{
	agent_run_until(&s->run, has_ticket, (void *)(uintptr_t)ticket, ticket);
}

static void
test_t01_the_agent_proves_its_key_and_hands_the_relays_on(void **state)
{
	struct scene *s = *state;

	agent_run_start(&s->run);
	until_ticket(s, "ticket-1");
	assert_int_equal(atomic_load(&s->server.bad_proofs), 0);
	assert_int_equal(atomic_load(&s->server.proofs), 1);
	assert_string_equal(s->server.country, "CH");
	assert_string_equal(s->server.access_key, "");
	assert_int_equal(s->run.attachment->n_relay_endpoints, 2);
	assert_string_equal(s->run.attachment->relay_endpoints[0], "wss://relay.test:443");
	assert_string_equal(s->run.attachment->relay_endpoints[1], "wss://[2001:db8::2]:8443");
}

static void
test_a_configured_access_key_goes_with_the_registration(void **state)
{
	struct scene *s = *state;
	struct temp_folder folder;
	char lines[512];

	strcpy(folder.path, s->run.folder);
	temp_folder_write(&folder, "node.key", "let-me-in\n", 0600);
	snprintf(lines, sizeof(lines), "%saccess_key_file = %s\n", fleet_server_lines(&s->server),
		 temp_folder_file(&folder, "node.key"));
	agent_run_configure(&s->run, lines);
	agent_run_start(&s->run);
	until(s, &s->server.proofs, 1, "a registration");
	assert_string_equal(s->server.access_key, "let-me-in");
}

static void
test_a_fresh_ticket_of_a_heartbeat_reaches_the_forwarder(void **state)
{
	struct scene *s = *state;
	unsigned told;

	agent_run_configure(&s->run, fleet_server_lines(&s->server));
	atomic_store(&s->server.has_no_relays, true);
	agent_run_start(&s->run);
	/* No relay yet: the agent asks again soon, not after a whole interval. */
	until(s, &s->server.heartbeats, 1, "a heartbeat");
	atomic_store(&s->server.has_no_relays, false);
	atomic_store(&s->server.ticket, 2);
	until_ticket(s, "ticket-2");
	assert_int_equal(s->run.attachment->n_relay_endpoints, 2);
	/* Unchanged answers are not handed on. */
	told = s->run.relays_told;
	until(s, &s->server.heartbeats, atomic_load(&s->server.heartbeats) + 2, "heartbeats");
	assert_int_equal(s->run.relays_told, told);
	assert_int_equal(atomic_load(&s->server.proofs), 1);
}

static void
test_a_token_that_is_refused_leads_to_a_new_enrolment(void **state)
{
	struct scene *s = *state;

	atomic_store(&s->server.refuse_heartbeats, 1);
	atomic_store(&s->server.has_no_relays, true);
	agent_run_start(&s->run);
	until(s, &s->server.proofs, 2, "a second registration");
	until(s, &s->server.heartbeats, 1, "a heartbeat");
}

static void
test_a_server_that_is_busy_is_asked_again(void **state)
{
	struct scene *s = *state;

	atomic_store(&s->server.busy_challenges, 2);
	agent_run_start(&s->run);
	until_ticket(s, "ticket-1");
	assert_int_equal(atomic_load(&s->server.challenges), 3);
}

/* L56. */
static void
test_l56_a_node_id_of_another_key_ends_the_agent_with_77(void **state)
{
	struct scene *s = *state;

	atomic_store(&s->server.fail_register, 409);
	agent_run_start(&s->run);
	agent_run_wait_exit(&s->run);
	assert_int_equal(s->run.exit_code, 77);
	assert_int_equal(atomic_load(&s->server.challenges), 1);
}

/* Promise 2: what the forwarder needs is there although the server is not. */
static void
test_the_attachment_survives_a_restart_while_the_server_is_away(void **state)
{
	struct scene *s = *state;
	const Boson__Node__SnapshotReply *snapshot;
	char before[64];

	agent_run_start(&s->run);
	until_ticket(s, "ticket-1");
	snprintf(before, sizeof(before), "%s", s->run.attachment->node_id);
	agent_run_signal(&s->run, SIGKILL);
	agent_run_configure(&s->run, "server = https://127.0.0.1:1\n");
	s->run.relays_told = 0;
	agent_run_start(&s->run);
	snapshot = agent_run_snapshot(&s->run);
	assert_non_null(snapshot);
	assert_non_null(snapshot->attachment);
	assert_string_equal(snapshot->attachment->node_id, before);
	assert_string_equal(snapshot->attachment->relay_ticket, "ticket-1");
	assert_int_equal(snapshot->attachment->n_relay_endpoints, 2);
}

static bool
was_told_twice(struct agent_run *run, void *arg)
{
	(void)arg;
	return run->relays_told >= 2;
}

static void
test_a_forwarder_that_did_not_take_the_relays_is_told_again(void **state)
{
	struct scene *s = *state;

	s->run.answers_relays = false;
	agent_run_start(&s->run);
	agent_run_until(&s->run, was_told_twice, NULL, "SetRelays again");
	s->run.answers_relays = true;
	until_ticket(s, "ticket-1");
}

static void
test_a_server_with_another_authority_is_not_spoken_to(void **state)
{
	struct scene *s = *state;
	struct fleet_server other;
	struct at_least wanted = { &s->server.challenges, 1 };
	char lines[256];

	fleet_server_start(&other);
	snprintf(lines, sizeof(lines), "server = https://localhost:%u\nca_file = %s\n",
		 tls_server_port(s->server.tls), tls_server_ca_file(other.tls));
	agent_run_configure(&s->run, lines);
	agent_run_start(&s->run);
	/* It has tried, and not said a word. */
	while (tls_server_connections(s->server.tls) < 2)
		assert_non_null(agent_run_snapshot(&s->run));
	assert_false(is_at_least(&s->run, &wanted));
	fleet_server_stop(&other);
}

#define agent_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		agent_test(test_t01_the_agent_proves_its_key_and_hands_the_relays_on),
		agent_test(test_a_configured_access_key_goes_with_the_registration),
		agent_test(test_a_fresh_ticket_of_a_heartbeat_reaches_the_forwarder),
		agent_test(test_a_token_that_is_refused_leads_to_a_new_enrolment),
		agent_test(test_a_server_that_is_busy_is_asked_again),
		agent_test(test_l56_a_node_id_of_another_key_ends_the_agent_with_77),
		agent_test(test_the_attachment_survives_a_restart_while_the_server_is_away),
		agent_test(test_a_forwarder_that_did_not_take_the_relays_is_told_again),
		agent_test(test_a_server_with_another_authority_is_not_spoken_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

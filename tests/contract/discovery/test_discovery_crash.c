/* discovery: what was acknowledged is there after kill -9; a full disk answers 503 (F02, F17, F18).
 */
#include "enrolment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 10, NODES = 40 };

static struct rig rig;
static struct bus_peer *discovery;

RIG_CLOSURE(on_node, Boson__Discovery__Node)

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "[discovery]\nenrolment = open\n");
	discovery = rig_peer(&rig, "discovery", &boson__discovery__discovery__descriptor);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* Asks until discovery answers: it may be starting. */
static bool
is_there(const char *id)
{
	Boson__Discovery__GetNodeRequest request = BOSON__DISCOVERY__GET_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, NULL);
	struct rig_call call;

	request.node_id = (char *)(uintptr_t)id;
	request.caller = &caller;
	for (;;) {
		bool found;

		rig_call_init(&call, &rig, discovery);
		boson__discovery__discovery__get_node(bus_peer_service(discovery), &request,
						      on_node, &call);
		rig_call_wait(&call);
		found = call.reply != NULL;
		rig_call_fini(&call);
		if (found)
			return true;
		if (call.result.status == BUS_NOT_FOUND)
			return false;
	}
}

struct progress {
	struct rig_call *calls;
	size_t wanted;
};

static bool
enough_done(void *arg)
{
	const struct progress *progress = arg;
	size_t done = 0;

	for (size_t i = 0; i < NODES; i++)
		done += progress->calls[i].done ? 1 : 0;
	return done >= progress->wanted;
}

static void
test_no_acknowledged_registration_is_lost_by_kill_9_F02(void **state)
{
	static const uint8_t body[32] = { 5 };
	static struct enrolment_node nodes[ROUNDS][NODES];
	static bool acknowledged[ROUNDS][NODES];
	static struct rig_call calls[NODES];
	size_t total = 0;

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		pid_t process = rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
		static char proofs[NODES][PROOF_HEADER_MAX_BYTES];
		struct progress progress = { calls, 1 + round * 3 };

		rig_wait_up(&rig, discovery);
		for (size_t i = 0; i < NODES; i++) {
			enrolment_node_init(&nodes[round][i]);
			enrolment_prove(&rig, discovery, &nodes[round][i], body, proofs[i]);
			rig_call_init(&calls[i], &rig, discovery);
		}
		for (size_t i = 0; i < NODES; i++)
			enrolment_send(&calls[i], &nodes[round][i], proofs[i], body, NULL);
		rig_wait(&rig, enough_done, &progress, "some registrations");
		rig_kill(&rig, process);
		for (size_t i = 0; i < NODES; i++) {
			rig_call_wait(&calls[i]); /* answered, or failed by its deadline */
			acknowledged[round][i] = calls[i].reply != NULL;
			total += acknowledged[round][i] ? 1 : 0;
			rig_call_fini(&calls[i]);
		}
	}
	assert_true(total >= ROUNDS);
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
	rig_wait_up(&rig, discovery);
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < NODES; i++)
			if (acknowledged[round][i])
				assert_true(is_there(nodes[round][i].id_text));
}

static void
test_a_full_disk_answers_unavailable_and_forgets_nothing_F18(void **state)
{
	enum { FILE_LIMIT_BYTES = 160 * 1024, TRIES = 200 };
	struct enrolment_node first, node;
	struct rig_call call;
	bool failed = false;

	(void)state;
	if (getenv("RIG_POSTGRESQL") != NULL) {
		print_message("skipped: the disk is the database server's\n");
		skip();
	}
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, FILE_LIMIT_BYTES);
	rig_wait_up(&rig, discovery);
	enrolment_node_init(&first);
	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, &first);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	for (int i = 0; i < TRIES && !failed; i++) {
		enrolment_node_init(&node);
		rig_call_init(&call, &rig, discovery);
		enrolment_run(&call, &node);
		if (call.reply == NULL) {
			assert_int_equal(call.result.status, BUS_UNAVAILABLE);
			assert_string_equal(call.result.code, "store_failed");
			failed = true;
		}
		rig_call_fini(&call);
	}
	assert_true(failed);
	assert_true(is_there(first.id_text));
	assert_false(is_there(node.id_text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_no_acknowledged_registration_is_lost_by_kill_9_F02, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_answers_unavailable_and_forgets_nothing_F18, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

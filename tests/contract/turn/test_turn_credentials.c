/* turn: who gets what. That coturn takes it is in test_turn_coturn. */
#include "boson_rig.h"
#include "common.pb-c.h"
#include "identity/state_file.h"
#include "loop/clock.h"
#include "turn.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct rig rig;
static struct bus_peer *turn;

RIG_CLOSURE(on_servers, Boson__Turn__ServersReply)
RIG_CLOSURE(on_stun, Boson__Turn__StunReply)
RIG_CLOSURE(on_ice, Boson__Turn__IceReply)

static int
setup_with(void **state, const char *config)
{
	*state = &rig;
	rig_start(&rig, config);
	turn = rig_serve(&rig, PROGRAM_TURN, "turn", &boson__turn__turn__descriptor, NULL);
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state,
			  "[turn]\nservers = turn:127.0.0.1:1, turns:turn.example, stun:[::1]:1\n");
}

static int
setup_empty(void **state)
{
	return setup_with(state, "");
}

static void
make_request(Boson__Turn__ServersRequest *request, Boson__Common__Caller *caller)
{
	boson__turn__servers_request__init(request);
	*caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT,
			     "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f");
	request->caller = caller;
}

static void
ask_servers(struct rig_call *call)
{
	Boson__Turn__ServersRequest request;
	Boson__Common__Caller caller;

	make_request(&request, &caller);
	rig_call_init(call, &rig, turn);
	boson__turn__turn__servers(bus_peer_service(turn), &request, on_servers, call);
	rig_call_wait(call);
}

/* C19: there is no default secret: one is made, for nobody else to read. */
static void
test_C19_a_secret_is_made_at_the_first_start_P15(void **state)
{
	char path[RIG_PATH_BYTES], text[STATE_FILE_MAX_BYTES];
	struct stat status;

	(void)state;
	rig_path(&rig, "state/turn/turn.secret", path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(state_file_read(path, true, text, sizeof(text)), 65);
	assert_int_equal(strspn(text, "0123456789abcdef"), 64);
}

/* F44: nobody is sent to a server that answers nothing; one that cannot be probed is handed out. */
static void
test_a_server_that_does_not_answer_is_not_handed_out_F44(void **state)
{
	const Boson__Turn__ServersReply *reply;
	struct rig_call call;

	(void)state;
	ask_servers(&call);
	reply = (const Boson__Turn__ServersReply *)call.reply;
	assert_non_null(reply);
	assert_int_equal(reply->n_servers, 1);
	assert_string_equal(reply->servers[0]->url, "turns:turn.example");
	assert_true(reply->servers[0]->expires_at <= clock_wall_ms() + 600 * 1000);
	rig_call_fini(&call);
}

static void
test_stun_and_ice_list_the_servers(void **state)
{
	const Boson__Turn__StunReply *stun;
	const Boson__Turn__IceReply *ice;
	Boson__Turn__ServersRequest request;
	Boson__Common__Caller caller;
	struct rig_call call;

	(void)state;
	make_request(&request, &caller);
	rig_call_init(&call, &rig, turn);
	boson__turn__turn__stun(bus_peer_service(turn), &request, on_stun, &call);
	rig_call_wait(&call);
	stun = (const Boson__Turn__StunReply *)call.reply;
	assert_non_null(stun);
	assert_int_equal(stun->n_servers, 1);
	assert_string_equal(stun->servers[0]->host, "turn.example");
	assert_int_equal(stun->servers[0]->port, 5349);
	rig_call_fini(&call);
	rig_call_init(&call, &rig, turn);
	boson__turn__turn__ice(bus_peer_service(turn), &request, on_ice, &call);
	rig_call_wait(&call);
	ice = (const Boson__Turn__IceReply *)call.reply;
	assert_non_null(ice);
	assert_int_equal(ice->n_ice_servers, 1);
	assert_string_equal(ice->ice_servers[0]->urls[0], "turns:turn.example");
	assert_non_null(ice->ice_servers[0]->credential);
	rig_call_fini(&call);
}

static void
test_nobody_gets_a_credential_without_a_token_T25(void **state)
{
	Boson__Turn__ServersRequest request = BOSON__TURN__SERVERS_REQUEST__INIT;
	struct rig_call call;

	(void)state;
	rig_call_init(&call, &rig, turn);
	boson__turn__turn__servers(bus_peer_service(turn), &request, on_servers, &call);
	rig_call_wait(&call);
	assert_int_equal(call.result.status, BUS_UNAUTHENTICATED);
	rig_call_fini(&call);
}

static void
test_without_a_configured_server_the_answer_is_unavailable(void **state)
{
	struct rig_call call;

	(void)state;
	ask_servers(&call);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	assert_string_equal(call.result.code, "no_turn_server");
	rig_call_fini(&call);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_C19_a_secret_is_made_at_the_first_start_P15,
						setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_a_server_that_does_not_answer_is_not_handed_out_F44, setup,
			rig_teardown),
		cmocka_unit_test_setup_teardown(test_stun_and_ice_list_the_servers, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(test_nobody_gets_a_credential_without_a_token_T25,
						setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_without_a_configured_server_the_answer_is_unavailable, setup_empty,
			rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

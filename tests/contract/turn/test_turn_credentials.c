/* turn: what it hands out is what coturn takes, and nothing else is (T25). */
#include "common.pb-c.h"
#include "coturn.h"
#include "identity/key.h"
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
static bool has_coturn;

RIG_CLOSURE(on_servers, Boson__Turn__ServersReply)
RIG_CLOSURE(on_stun, Boson__Turn__StunReply)
RIG_CLOSURE(on_ice, Boson__Turn__IceReply)

static int
setup_with(const char *config)
{
	rig_start(&rig, config);
	(void)rig_spawn(&rig, PROGRAM_TURN, 0);
	turn = rig_peer(&rig, "turn", &boson__turn__turn__descriptor);
	rig_wait_up(&rig, turn);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return setup_with("[turn]\nservers = turn:127.0.0.1:3478?transport=udp, stun:[::1]:3479\n");
}

static int
setup_empty(void **state)
{
	(void)state;
	return setup_with("");
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void
make_request(Boson__Turn__ServersRequest *request, Boson__Common__Caller *caller)
{
	boson__turn__servers_request__init(request);
	boson__common__caller__init(caller);
	caller->has_role = 1;
	caller->role = BOSON__COMMON__CALLER__ROLE__CLIENT;
	caller->subject = "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f";
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

static void
read_secret(char *ret_text, size_t n)
{
	char path[RIG_PATH_BYTES];
	struct stat status;
	FILE *file;

	rig_path(&rig, "state/turn/turn.secret", path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(ret_text, (int)n, file));
	assert_int_equal(fclose(file), 0);
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

static void
test_coturn_takes_the_credential_and_refuses_a_forged_one_T25(void **state)
{
	const Boson__Turn__TurnServer *server;
	char secret[128], forged[64], stolen[160];
	struct rig_call call;
	pid_t coturn;

	(void)state;
	if (!has_coturn)
		skip();
	read_secret(secret, sizeof(secret));
	coturn = coturn_start(&rig, secret);
	ask_servers(&call);
	assert_non_null(call.reply);
	assert_int_equal(((Boson__Turn__ServersReply *)call.reply)->n_servers, 1);
	server = ((Boson__Turn__ServersReply *)call.reply)->servers[0];
	assert_string_equal(server->url, "turn:127.0.0.1:3478?transport=udp");
	assert_true(server->expires_at <= clock_wall_ms() + 600 * 1000);
	assert_true(coturn_accepts(server->username, server->credential));
	(void)snprintf(forged, sizeof(forged), "%s", server->credential);
	forged[3] = forged[3] == 'A' ? 'B' : 'A';
	assert_false(coturn_accepts(server->username, forged));
	/* The same password for a longer life. */
	(void)snprintf(stolen, sizeof(stolen), "9%s", server->username);
	assert_false(coturn_accepts(stolen, server->credential));
	rig_call_fini(&call);
	coturn_stop(coturn);
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
	assert_int_equal(stun->n_servers, 2);
	assert_string_equal(stun->servers[0]->host, "127.0.0.1");
	assert_string_equal(stun->servers[1]->host, "::1");
	assert_int_equal(stun->servers[1]->port, 3479);
	rig_call_fini(&call);
	rig_call_init(&call, &rig, turn);
	boson__turn__turn__ice(bus_peer_service(turn), &request, on_ice, &call);
	rig_call_wait(&call);
	ice = (const Boson__Turn__IceReply *)call.reply;
	assert_non_null(ice);
	assert_int_equal(ice->n_ice_servers, 2);
	assert_null(ice->ice_servers[0]->credential); /* STUN needs none */
	assert_non_null(ice->ice_servers[1]->credential);
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
		cmocka_unit_test_setup_teardown(
			test_coturn_takes_the_credential_and_refuses_a_forged_one_T25, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_stun_and_ice_list_the_servers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nobody_gets_a_credential_without_a_token_T25,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_without_a_configured_server_the_answer_is_unavailable, setup_empty,
			teardown),
	};

	has_coturn = coturn_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

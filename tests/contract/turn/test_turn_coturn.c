/*
 * turn beside a real coturn, which runs on the configuration that turn wrote: credentials that it
 * takes, peers that it refuses, and how soon it is missed.
 */
#include "common.pb-c.h"
#include "coturn.h"
#include "identity/state_file.h"
#include "loop/clock.h"
#include "turn.pb-c.h"
#include "turn/turn_credential.h"
#include "turn/turn_probe.h"
#include "turn_client.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SUBJECT "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f"
#define OLD	"00000000000000000000000000000000000000000000000000000000000000aa"
#define NEW	"00000000000000000000000000000000000000000000000000000000000000bb"

enum { UDP = 17, TCP = 6 };

/* F44 wants a dead server known within 5 s: a probe every 2 s, each of them 2 s at most. */
_Static_assert(2000 + TURN_PROBE_TIMEOUT_MS <= 5000, "a hung coturn is noticed in time");

static struct rig rig;
static struct bus_peer *turn;
static pid_t process, coturn, echo;
static char coturn_config[RIG_PATH_BYTES], coturn_nft[RIG_PATH_BYTES];

RIG_CLOSURE(on_servers, Boson__Turn__ServersReply)

static void
ask_servers(struct rig_call *call)
{
	Boson__Turn__ServersRequest request = BOSON__TURN__SERVERS_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, SUBJECT);

	request.caller = &caller;
	rig_call_init(call, &rig, turn);
	boson__turn__turn__servers(bus_peer_service(turn), &request, on_servers, call);
	rig_call_wait(call);
}

/* arg: how many servers are to be handed out; 0: the answer is to be 503. */
static bool
are_handed_out(void *arg)
{
	struct rig_call call;
	size_t n = 0;

	ask_servers(&call);
	if (call.reply != NULL)
		n = ((Boson__Turn__ServersReply *)call.reply)->n_servers;
	else
		assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	rig_call_fini(&call);
	return n == *(size_t *)arg;
}

static void
wait_for(size_t n)
{
	rig_wait(&rig, are_handed_out, &n, "the servers' health");
}

/* A credential as it is handed out. */
static void
get_credential(struct turn_credential *ret)
{
	const Boson__Turn__TurnServer *server;
	struct rig_call call;

	ask_servers(&call);
	assert_non_null(call.reply);
	server = ((Boson__Turn__ServersReply *)call.reply)->servers[0];
	assert_string_equal(server->url, "turn:" COTURN_SERVER ":3478?transport=udp");
	assert_true(server->expires_at <= clock_wall_ms() + TURN_TTL_MAX_MS);
	(void)snprintf(ret->username, sizeof(ret->username), "%s", server->username);
	(void)snprintf(ret->password, sizeof(ret->password), "%s", server->credential);
	rig_call_fini(&call);
}

static void
write_secrets(const char *text)
{
	char path[RIG_PATH_BYTES];

	rig_path(&rig, "secrets", path);
	assert_int_equal(state_file_replace(path, 0600, text, strlen(text)), 0);
}

static int
setup(void **state)
{
	char path[RIG_PATH_BYTES], config[4 * RIG_PATH_BYTES];

	(void)state;
	rig_start(&rig, "");
	rig_path(&rig, "coturn.conf", coturn_config);
	rig_path(&rig, "coturn.nft", coturn_nft);
	rig_path(&rig, "secrets", path);
	(void)snprintf(config, sizeof(config),
		       "[turn]\nservers = turn:" COTURN_SERVER ":3478?transport=udp\n"
		       "coturn_config = %s\nsecret = %s\ncoturn_nft = %s\n"
		       "coturn_account = root\n"
		       "coturn_listen = " COTURN_SERVER ", " COTURN_SERVER_OTHER ", " COTURN_SERVER6
		       "\n",
		       coturn_config, path, coturn_nft);
	rig_configure(&rig, config);
	write_secrets(OLD "\n");
	process = rig_spawn(&rig, PROGRAM_TURN, 0);
	turn = rig_peer(&rig, "turn", &boson__turn__turn__descriptor);
	rig_wait_up(&rig, turn);
	coturn = coturn_start(&rig, coturn_config);
	echo = coturn_start_echo(&rig, COTURN_PEER);
	wait_for(1);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	coturn_stop(echo);
	coturn_stop(coturn);
	rig_stop(&rig);
	return 0;
}

static void
test_coturn_relays_with_the_credential_and_with_no_other_T25_P15(void **state)
{
	struct turn_credential good, stale, forged, other;
	struct turn_client client;
	struct stat status;

	(void)state;
	assert_int_equal(stat(coturn_config, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	get_credential(&good);
	assert_true(coturn_relays(good.username, good.password, COTURN_PEER));
	forged = good;
	forged.password[3] = forged.password[3] == 'A' ? 'B' : 'A';
	assert_false(coturn_relays(forged.username, forged.password, COTURN_PEER));
	assert_int_equal(turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, forged.username,
					  forged.password),
			 401);
	turn_client_close(&client);
	/* rightly signed, but of an hour ago */
	assert_int_equal(turn_credential_make(OLD, "client", SUBJECT, clock_wall_ms() - 3600000,
					      60000, &stale),
			 0);
	assert_int_equal(turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, stale.username,
					  stale.password),
			 401);
	turn_client_close(&client);
	/* the same password for somebody else, or for longer */
	other = good;
	other.username[strlen(other.username) - 1] ^= 1;
	assert_int_equal(turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, other.username,
					  other.password),
			 401);
	turn_client_close(&client);
	other = good;
	other.username[0]++;
	assert_int_equal(turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, other.username,
					  other.password),
			 401);
	turn_client_close(&client);
}

/* An allocation by a credential of the service's. */
static void
open_client(struct turn_client *client, int family, struct turn_credential *ret_credential)
{
	get_credential(ret_credential);
	assert_int_equal(turn_client_open(client, COTURN_SERVER, family, UDP,
					  ret_credential->username, ret_credential->password),
			 0);
}

static void
test_no_peer_but_the_internets_can_be_reached_T26_P15(void **state)
{
	static const char *const refused[] = {
		"127.0.0.1",	   "127.8.9.1",	  "0.0.0.0",	       "0.1.2.3",
		COTURN_LAN,	   "10.0.0.1",	  "172.31.255.255",    COTURN_METADATA,
		"100.64.0.1",	   "192.0.0.8",	  "198.18.0.1",	       "224.0.0.251",
		"255.255.255.255", COTURN_SERVER, COTURN_SERVER_OTHER,
	};
	struct turn_credential credential;
	struct turn_client client;

	(void)state;
	open_client(&client, AF_INET, &credential);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (turn_client_permit(&client, refused[i]) != 403)
			fail_msg("%s may be reached", refused[i]);
	assert_int_equal(turn_client_permit(&client, COTURN_PEER), 0);
	turn_client_close(&client);
	assert_false(coturn_relays(credential.username, credential.password, COTURN_LAN));
}

static void
test_nor_by_ipv6_in_any_disguise_T26(void **state)
{
	static const char *const refused[] = {
		"::1",		 "::127.0.0.1",	     "64:ff9b::7f00:1", "2002:7f00:1::1",
		"2001:0:1::1",	 COTURN_METADATA6,   "fe80::1",		"fec0::1",
		"ff02::1",	 "64:ff9b:1::a00:1", "2001:db8::1",	COTURN_SERVER6,
		"::192.168.7.7",
	};
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	static const uint8_t mapped_lan[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 7, [15] = 7
	};
	static const uint8_t unspecified[16];
	struct turn_credential credential;
	struct turn_client client;

	(void)state;
	open_client(&client, AF_INET6, &credential);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (turn_client_permit(&client, refused[i]) != 403)
			fail_msg("%s may be reached", refused[i]);
	assert_int_not_equal(turn_client_permit_raw(&client, 2, mapped, 16), 0);
	assert_int_not_equal(turn_client_permit_raw(&client, 2, mapped_lan, 16), 0);
	assert_int_not_equal(turn_client_permit_raw(&client, 2, unspecified, 16), 0);
	assert_int_equal(turn_client_permit(&client, COTURN_PEER6), 0);
	turn_client_close(&client);
}

/* A coturn that could be talked past its list: here it has none. */
static void
start_coturn_without_its_list(void)
{
	char path[RIG_PATH_BYTES], command[3 * RIG_PATH_BYTES];

	rig_path(&rig, "open.conf", path);
	(void)snprintf(command, sizeof(command), "grep -v denied-peer-ip %s > %s", coturn_config,
		       path);
	assert_int_equal(system(command), 0);
	coturn_stop(coturn);
	coturn = coturn_start(&rig, path);
	wait_for(1);
}

/* As a user of its own: what turnutils_uclient leaves behind counts against its quota. */
static bool
relays_for(const char *subject, const char *peer)
{
	struct turn_credential credential;

	assert_int_equal(
		turn_credential_make(OLD, "client", subject, clock_wall_ms(), 60000, &credential),
		0);
	return coturn_relays(credential.username, credential.password, peer);
}

static void
test_the_kernel_holds_what_coturn_lets_through_T26(void **state)
{
	char command[3 * RIG_PATH_BYTES];
	pid_t lan;

	(void)state;
	start_coturn_without_its_list();
	lan = coturn_start_echo(&rig, COTURN_LAN);
	assert_true(relays_for("one", COTURN_LAN));
	(void)snprintf(command, sizeof(command), "nft -f %s && nft -f %s", coturn_nft, coturn_nft);
	assert_int_equal(system(command), 0); /* it may be loaded again */
	assert_false(relays_for("two", COTURN_LAN));
	assert_true(relays_for("three", COTURN_PEER));
	assert_int_equal(system("nft delete table inet boson_coturn"), 0);
	coturn_stop(lan);
}

static void
test_no_tcp_relay_and_four_allocations_for_a_user_T25(void **state)
{
	struct turn_client clients[5], tcp;
	struct turn_credential credential;

	(void)state;
	get_credential(&credential);
	assert_int_not_equal(turn_client_open(&tcp, COTURN_SERVER, AF_INET, TCP,
					      credential.username, credential.password),
			     0);
	turn_client_close(&tcp);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(turn_client_open(&clients[i], COTURN_SERVER, AF_INET, UDP,
						  credential.username, credential.password),
				 i < 4 ? 0 : 486);
	for (size_t i = 0; i < 5; i++)
		turn_client_close(&clients[i]);
}

static void
test_a_coturn_that_hangs_or_dies_is_missed_and_found_again_F44(void **state)
{
	(void)state;
	assert_int_equal(kill(coturn, SIGSTOP), 0);
	wait_for(0);
	assert_int_equal(kill(coturn, SIGCONT), 0);
	wait_for(1);
	coturn_stop(coturn);
	wait_for(0);
	coturn = coturn_start(&rig, coturn_config);
	wait_for(1);
}

static void
test_a_killed_turn_service_leaves_coturn_alone_F05(void **state)
{
	struct turn_credential credential;
	struct turn_client client;

	(void)state;
	open_client(&client, AF_INET, &credential);
	rig_kill(&rig, process);
	assert_int_equal(turn_client_permit(&client, COTURN_PEER), 0); /* it lives on */
	process = rig_spawn(&rig, PROGRAM_TURN, 0);
	rig_wait_up(&rig, turn);
	wait_for(1);
	assert_int_equal(turn_client_permit(&client, COTURN_PEER), 0);
	turn_client_close(&client);
}

static bool
has_both_secrets(void *arg)
{
	char text[STATE_FILE_MAX_BYTES] = "";

	(void)arg;
	(void)state_file_read(coturn_config, true, text, sizeof(text));
	return strstr(text, "static-auth-secret=" OLD) != NULL &&
	       strstr(text, "static-auth-secret=" NEW) != NULL;
}

static bool
signs_with(const char *secret)
{
	struct turn_credential credential, expected;

	get_credential(&credential);
	assert_int_equal(turn_credential_make(secret, "client", SUBJECT,
					      strtoll(credential.username, NULL, 10) * 1000 - 1000,
					      1000, &expected),
			 0);
	assert_string_equal(credential.username, expected.username);
	return strcmp(credential.password, expected.password) == 0;
}

static bool
signs_with_the_new_one(void *arg)
{
	(void)arg;
	return signs_with(NEW);
}

/* The new one is accepted before it signs, and the old one as long as credentials of it live. */
static void
test_a_secret_is_replaced_without_a_refusal_F35(void **state)
{
	struct turn_credential old, new;
	struct turn_client client;

	(void)state;
	get_credential(&old);
	write_secrets(OLD "\n" NEW "\n");
	rig_wait(&rig, has_both_secrets, NULL, "coturn's configuration");
	coturn_stop(coturn);
	coturn = coturn_start(&rig, coturn_config);
	wait_for(1);
	assert_true(signs_with(OLD));
	write_secrets(NEW "\n" OLD "\n");
	rig_wait(&rig, signs_with_the_new_one, NULL, "the new secret");
	get_credential(&new);
	assert_int_equal(
		turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, new.username, new.password),
		0);
	turn_client_close(&client);
	assert_int_equal(
		turn_client_open(&client, COTURN_SERVER, AF_INET, UDP, old.username, old.password),
		0);
	turn_client_close(&client);
	write_secrets(NEW "\n");
	coturn_stop(coturn);
	coturn = coturn_start(&rig, coturn_config);
	rig_wait(&rig, signs_with_the_new_one, NULL, "the new secret alone");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_coturn_relays_with_the_credential_and_with_no_other_T25_P15),
		IN_A_RIG(test_no_peer_but_the_internets_can_be_reached_T26_P15),
		IN_A_RIG(test_nor_by_ipv6_in_any_disguise_T26),
		IN_A_RIG(test_the_kernel_holds_what_coturn_lets_through_T26),
		IN_A_RIG(test_no_tcp_relay_and_four_allocations_for_a_user_T25),
		IN_A_RIG(test_a_coturn_that_hangs_or_dies_is_missed_and_found_again_F44),
		IN_A_RIG(test_a_killed_turn_service_leaves_coturn_alone_F05),
		IN_A_RIG(test_a_secret_is_replaced_without_a_refusal_F35),
	};

	if (!coturn_prepare())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Who gets in: over tcp by key and allow-list, over ipc by the folder. (T22, B08, B60)
 */
#include "echo_actor.h"

#include "bus/bus_zap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct echo echo;

static int
setup(void **state)
{
	fixture_setup(state);
	memset(&echo, 0, sizeof(echo));
	echo_start(&echo, *state);
	return 0;
}

static int
teardown(void **state)
{
	echo_stop(&echo);
	return fixture_teardown(state);
}

/* Another client, with keys of its own, in the same test. */
static struct bus *
other_bus(struct fixture *f, const struct fixture_keys *keys)
{
	struct bus_security security = { keys->public_key, keys->secret_key, NULL, NULL };
	struct bus *bus = NULL;

	assert_int_equal(bus_new(f->loop, f->metrics, "other", &security, &bus), 0);
	return bus;
}

static struct bus_peer *
peer_of(struct bus *bus, struct fixture *f, const char *server_key)
{
	struct bus_peer *peer = NULL;

	assert_int_equal(
		bus_peer_new(bus, f->endpoint, server_key, &boson__test__echo__descriptor, &peer),
		0);
	return peer;
}

static void
never(const ProtobufCMessage *event, bool gap, void *arg)
{
	(void)event, (void)gap, (void)arg;
	fail_msg("an event came");
}

/* B08 */
static void
test_key_that_is_not_on_the_list_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fixture_keys keys;
	struct bus_subscription *subscription = NULL;
	struct asked asked;

	fixture_keys_make(&keys);
	struct bus *bus = other_bus(f, &keys);
	struct bus_peer *peer = peer_of(bus, f, f->server_keys.public_key);
	assert_int_equal(bus_subscribe(bus, f->events_endpoint, f->server_keys.public_key,
				       &boson__test__shout__descriptor, never, NULL, &subscription),
			 0);
	ask_and_wait(&asked, f, peer, boson__test__echo__say, "let me in");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	/* One who may come in is served meanwhile, and the stranger hears nothing of it. */
	struct bus_peer *friend = echo_peer(f);
	ask_and_wait(&asked, f, friend, boson__test__echo__publish, "secret");
	assert_true(asked.answered);
	ask_and_wait(&asked, f, peer, boson__test__echo__say, "let me in");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	assert_int_equal(atomic_load(&echo.said), 0);
	bus_free(&bus);
	bus_peer_free(&friend);
}

static void
test_server_without_the_expected_key_gets_no_request(void **state)
{
	struct fixture *f = *state;
	struct fixture_keys impostor;
	struct asked asked;

	fixture_keys_make(&impostor);
	struct bus_peer *peer = peer_of(f->bus, f, impostor.public_key);
	bus_peer_next(peer, 4000,
		      NULL); /* libzmq says nothing: the handshake runs into its limit */
	ask_and_wait(&asked, f, peer, boson__test__echo__say, "for you alone");
	assert_false(asked.answered);
	assert_int_equal(atomic_load(&echo.said), 0);
	bus_peer_free(&peer);
}

static void
note_gap(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct fixture *f = *(struct fixture **)arg;

	(void)event;
	if (gap)
		*(struct fixture **)arg = NULL;
	loop_stop(f->loop);
}

static bool
is_null(void *arg)
{
	return *(struct fixture **)arg == NULL;
}

/* libzmq itself does not try again after it was refused. */
static void
test_client_gets_in_once_it_is_put_on_the_list(void **state)
{
	struct fixture *f = *state;
	struct fixture_keys keys;
	struct asked asked;

	fixture_keys_make(&keys);
	struct bus *bus = other_bus(f, &keys);
	struct bus_peer *peer = peer_of(bus, f, f->server_keys.public_key);
	struct fixture *unheard = f;
	struct bus_subscription *subscription = NULL;
	assert_int_equal(bus_subscribe(bus, f->events_endpoint, f->server_keys.public_key,
				       &boson__test__shout__descriptor, note_gap, &unheard,
				       &subscription),
			 0);
	ask_and_wait(&asked, f, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	echo_stop(&echo);
	f->allowed_keys[1] = keys.public_key;
	f->allowed_names[1] = "routing";
	echo_start(&echo, f);
	ask_until_answered(f, peer);
	ask_and_wait(&asked, f, peer, boson__test__echo__whoami, NULL);
	assert_string_equal(asked.text, "routing");
	fixture_run_until(f, is_null, &unheard);
	bus_free(&bus);
}

/* Without enforcement libzmq admits anyone when nobody answers for the list. */
static void
test_nobody_is_admitted_when_the_authenticator_is_dead(void **state)
{
	struct fixture *f = *state;
	struct fixture_keys keys;
	struct asked asked;

	struct bus_peer *early = echo_peer(f);
	ask_until_answered(f, early);
	bus_zap_kill();
	fixture_keys_make(&keys);
	struct bus *bus = other_bus(f, &keys); /* would start a new one, but the old list is... */
	bus_zap_kill();			       /* ...not to be asked either */
	struct bus_peer *stranger = peer_of(bus, f, f->server_keys.public_key);
	struct bus_peer *known = echo_peer(f);
	struct bus_subscription *subscription = NULL;
	/* A publisher cannot look at names: here enforcement is all there is. */
	assert_int_equal(bus_subscribe(bus, f->events_endpoint, f->server_keys.public_key,
				       &boson__test__shout__descriptor, never, NULL, &subscription),
			 0);
	bus_peer_next(stranger, 4000, NULL);
	ask_and_wait(&asked, f, stranger, boson__test__echo__say, "x");
	assert_false(asked.answered);
	bus_peer_next(known, 4000, NULL);
	ask_and_wait(&asked, f, known, boson__test__echo__say, "x");
	assert_false(asked.answered);
	/* Who was in stays in. */
	ask_and_wait(&asked, f, early, boson__test__echo__publish, "x");
	assert_true(asked.answered);
	bus_free(&bus);
	bus_peer_free(&early);
	bus_peer_free(&known);
}

static void
test_empty_allow_list_admits_nobody(void **state)
{
	struct fixture *f = *state;
	struct asked asked;

	echo_stop(&echo);
	f->allowed_keys[0] = NULL;
	echo_start(&echo, f);
	struct bus_peer *peer = echo_peer(f);
	ask_and_wait(&asked, f, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	bus_peer_free(&peer);
}

static void
test_tcp_without_keys_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bus *bus = NULL;
	struct bus_peer *peer = NULL;
	struct bus_publisher *publisher = NULL;

	assert_int_equal(bus_new(f->loop, f->metrics, "keyless", NULL, &bus), 0);
	assert_int_equal(bus_serve(bus, "tcp://127.0.0.1:*", &echo.service.base, NULL), -EPERM);
	assert_int_equal(bus_publisher_new(bus, "tcp://127.0.0.1:*", &publisher), -EPERM);
	assert_int_equal(bus_peer_new(bus, f->endpoint, f->server_keys.public_key,
				      &boson__test__echo__descriptor, &peer),
			 -EPERM);
	assert_int_equal(
		bus_peer_new(f->bus, f->endpoint, NULL, &boson__test__echo__descriptor, &peer),
		-EINVAL);
	bus_free(&bus);
}

static void
test_keys_that_are_none_are_refused(void **state)
{
	struct fixture *f = *state;
	const char *const keys[] = { "0123456789012345678901234567890123456789", "short", NULL };
	const char *const names[] = { "a", "b", NULL };
	struct bus_security security = f->client_security;
	struct bus *bus = NULL;

	security.allowed_keys = keys;
	security.allowed_names = names;
	assert_int_equal(bus_new(f->loop, f->metrics, "x", &security, &bus), -EINVAL);
	security = f->client_security;
	security.secret_key = "0123456789012345678901234567890123456~~~";
	assert_int_equal(bus_new(f->loop, f->metrics, "x", &security, &bus), -EINVAL);
	assert_null(bus);
}

/* ---- ipc ---- */

static int
serve_in(struct fixture *f, const char *folder, const char *name)
{
	char endpoint[256];

	snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s/%s", f->folder, folder, name);
	return bus_serve(f->bus, endpoint, &echo.service.base, NULL);
}

static void
path_of(struct fixture *f, char ret[256], const char *name)
{
	snprintf(ret, 256, "%s/%s", f->folder, name);
}

static void
test_ipc_folder_is_made_for_its_owner_alone(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	char folder[256];

	path_of(f, folder, "run");
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void
test_ipc_folder_that_others_may_enter_is_refused(void **state)
{
	struct fixture *f = *state;
	char folder[256];

	path_of(f, folder, "open");
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 0711), 0);
	assert_int_equal(serve_in(f, "open", "x"), -EPERM);
	assert_int_equal(chmod(folder, 0750), 0);
	assert_int_equal(serve_in(f, "open", "x"), -EPERM);
	assert_int_equal(rmdir(folder), 0);
}

/* B60 */
static void
test_ipc_folder_of_another_user_is_refused(void **state)
{
	struct fixture *f = *state;
	char folder[256];

	if (geteuid() != 0) {
		print_message("skipped: needs root to give a folder away\n");
		skip();
	}
	path_of(f, folder, "theirs");
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_int_equal(serve_in(f, "theirs", "x"), -EPERM);
	assert_int_equal(rmdir(folder), 0);
}

static void
test_ipc_folder_behind_a_link_is_refused(void **state)
{
	struct fixture *f = *state;
	char link[256], folder[256];

	path_of(f, link, "link");
	path_of(f, folder, "run");
	assert_int_equal(symlink(folder, link), 0);
	assert_int_equal(serve_in(f, "link", "x"), -EPERM);
	assert_int_equal(unlink(link), 0);
}

static void
test_ipc_socket_of_a_running_server_is_not_taken_over(void **state)
{
	struct fixture *f = *state;
	struct bus_peer *peer = echo_peer(f);

	assert_int_equal(serve_in(f, "run", "echo"), -EADDRINUSE);
	ask_until_answered(f, peer);
	bus_peer_free(&peer);
}

static void
test_ipc_socket_that_a_dead_server_left_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/run/left", f->folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(serve_in(f, "run", "left"), 0);
	assert_int_equal(unlink(address.sun_path), 0);
}

static void
test_endpoints_of_other_kinds_are_refused(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = { "ipc://@abstract", "ipc://relative/path",
					  "udp://1.2.3.4:5", "inproc://",
					  "pgm://x",	     "" };

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		assert_int_equal(bus_serve(f->bus, endpoints[i], &echo.service.base, NULL),
				 -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tcp[] = {
		TEST(test_key_that_is_not_on_the_list_is_refused),
		TEST(test_server_without_the_expected_key_gets_no_request),
		TEST(test_client_gets_in_once_it_is_put_on_the_list),
		TEST(test_nobody_is_admitted_when_the_authenticator_is_dead),
		TEST(test_empty_allow_list_admits_nobody),
		TEST(test_tcp_without_keys_is_refused),
		TEST(test_keys_that_are_none_are_refused),
	};
	const struct CMUnitTest ipc[] = {
		TEST(test_ipc_folder_is_made_for_its_owner_alone),
		TEST(test_ipc_folder_that_others_may_enter_is_refused),
		TEST(test_ipc_folder_of_another_user_is_refused),
		TEST(test_ipc_folder_behind_a_link_is_refused),
		TEST(test_ipc_socket_of_a_running_server_is_not_taken_over),
		TEST(test_ipc_socket_that_a_dead_server_left_is_replaced),
		TEST(test_endpoints_of_other_kinds_are_refused),
	};

	return fixture_run(FIXTURE_TCP, FIXTURE_TCP, tcp) +
	       fixture_run(FIXTURE_IPC, FIXTURE_IPC, ipc);
}

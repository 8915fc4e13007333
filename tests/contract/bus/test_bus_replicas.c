/*
 * Several servers behind one peer (F09, F10): processes that are stopped and killed, found by a
 * list of endpoints or by a name with several addresses. The name is looked up through a
 * getaddrinfo of this test.
 */
#include "echo_actor.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLICAS = 2, ENDPOINT_BYTES = 160 };

struct replica {
	pid_t pid; /* 0: none */
	const char *name;
	char endpoint[ENDPOINT_BYTES], events[ENDPOINT_BYTES];
};

static struct replica replicas[REPLICAS];
static struct bus_peer *peer;
static const struct bus_rule rules[] = {
	{ .name = "boson.test.Echo/Say", .senders = "gateway", .may_repeat = true },
	{ .name = "boson.test.Echo/Refuse", .senders = "gateway", .may_repeat = true },
	{ .name = "boson.test.Echo/Whoami" },
	{ 0 },
};

/* ---- the name "replicas.test" ---- */

static _Atomic(int) named_first, named_last; /* 127.0.0.first .. 127.0.0.last */

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
	    struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
	struct addrinfo **at = ret;
	char address[32];

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!host || strcmp(host, "replicas.test") != 0)
		return real(host, service, hints, ret);
	*ret = NULL;
	for (int i = atomic_load(&named_first); i <= atomic_load(&named_last); i++) {
		snprintf(address, sizeof(address), "127.0.0.%d", i);
		if (real(address, service, hints, at) == 0)
			at = &(*at)->ai_next; /* glibc frees each for itself */
	}
	return *ret ? 0 : EAI_NONAME;
}

/* ---- processes ---- */

static pid_t
spawn(char **argv, int output)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(output, STDOUT_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static void
replica_start(struct fixture *f, struct replica *replica, const char *name, const char *endpoint,
	      const char *events)
{
	char *argv[] = { (char *)(uintptr_t)ECHO_PROGRAM,
			 (char *)(uintptr_t)name,
			 (char *)(uintptr_t)endpoint,
			 (char *)(uintptr_t)events,
			 f->transport == FIXTURE_TCP ? f->server_keys.public_key : NULL,
			 f->server_keys.secret_key,
			 f->client_keys.public_key,
			 NULL };
	FILE *output;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	replica->name = name;
	replica->pid = spawn(argv, ends[1]);
	close(ends[1]);
	output = fdopen(ends[0], "r");
	assert_int_equal(fscanf(output, "%159s %159s", replica->endpoint, replica->events), 2);
	fclose(output);
}

static void
replica_kill(struct replica *replica)
{
	if (replica->pid == 0)
		return;
	assert_int_equal(kill(replica->pid, SIGKILL), 0);
	assert_int_equal(waitpid(replica->pid, NULL, 0), replica->pid);
	replica->pid = 0;
}

static void
replica_start_anywhere(struct fixture *f, struct replica *replica, const char *name)
{
	char endpoint[ENDPOINT_BYTES] = "tcp://127.0.0.1:*", events[ENDPOINT_BYTES];

	strcpy(events, endpoint);
	if (f->transport == FIXTURE_IPC) {
		snprintf(endpoint, sizeof(endpoint), "ipc://%s/%.8s.sock", f->folder, name);
		snprintf(events, sizeof(events), "ipc://%s/%.8s-events.sock", f->folder, name);
	}
	replica_start(f, replica, name, endpoint, events);
}

static const char *
list_of(const char *a, const char *b)
{
	static char list[2 * ENDPOINT_BYTES + 4];

	snprintf(list, sizeof(list), "%s, %s", a, b);
	return list;
}

static int
setup(void **state)
{
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	bus_set_rules(f->bus, rules);
	replica_start_anywhere(f, &replicas[0], "a");
	replica_start_anywhere(f, &replicas[1], "b");
	assert_int_equal(bus_peer_new(f->bus, list_of(replicas[0].endpoint, replicas[1].endpoint),
				      fixture_server_key(f), &boson__test__echo__descriptor, &peer),
			 0);
	return 0;
}

static int
teardown(void **state)
{
	const struct fixture *f = *state;
	char path[2 * ENDPOINT_BYTES];

	bus_peer_free(&peer);
	for (int i = 0; i < REPLICAS; i++) {
		replica_kill(&replicas[i]);
		snprintf(path, sizeof(path), "%s/%s.sock", f->folder, replicas[i].name);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s-events.sock", f->folder, replicas[i].name);
		unlink(path);
	}
	return fixture_teardown(state);
}

/* Who answers; fails when nobody does. */
static struct replica *
who_answers(struct fixture *f)
{
	struct asked asked;

	ask_and_wait(&asked, f, peer, boson__test__echo__say, "x");
	assert_string_equal(asked.result.code, "");
	assert_true(asked.answered);
	return strcmp(asked.text, replicas[0].name) == 0 ? &replicas[0] : &replicas[1];
}

static struct replica *
other_than(const struct replica *replica)
{
	return replica == &replicas[0] ? &replicas[1] : &replicas[0];
}

/* ---- calls ---- */

static void
test_calls_go_to_one_replica_as_long_as_it_lives(void **state)
{
	const struct replica *first = who_answers(*state);

	for (int i = 0; i < 50; i++)
		assert_ptr_equal(who_answers(*state), first);
}

static void
test_calls_go_on_at_another_replica_when_one_is_killed(void **state)
{
	struct replica *first = who_answers(*state);

	replica_kill(first);
	assert_ptr_equal(who_answers(*state), other_than(first));
}

/* Sent to one that was stopped, then killed: nobody knows whether it was done. */
static void
test_call_under_way_to_a_killed_replica_is_repeated_only_where_it_may_be(void **state)
{
	struct replica *first = who_answers(*state);
	struct asked say, whoami;

	assert_int_equal(kill(first->pid, SIGSTOP), 0);
	ask(&say, *state, peer, boson__test__echo__say, "x");
	ask(&whoami, *state, peer, boson__test__echo__whoami, "x");
	replica_kill(first);
	wait_end(&say);
	wait_end(&whoami);
	assert_true(say.answered);
	assert_string_equal(say.text, other_than(first)->name);
	assert_failed(&whoami, BUS_UNAVAILABLE, "peer_down");
}

/* F09: it is connected, but answers nothing. */
static void
test_call_under_way_to_a_stopped_replica_is_answered_by_another(void **state)
{
	struct replica *first = who_answers(*state);
	struct asked asked;

	assert_int_equal(kill(first->pid, SIGSTOP), 0);
	bus_peer_next(peer, BUS_DEADLINE_MAX_MS, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_true(asked.answered);
	assert_string_equal(asked.text, other_than(first)->name);
	assert_ptr_equal(who_answers(*state), other_than(first));
	assert_int_equal(kill(first->pid, SIGCONT), 0);
	assert_ptr_equal(who_answers(*state), other_than(first));
}

static void
test_replica_that_returns_serves_again_when_the_other_is_killed(void **state)
{
	struct fixture *f = *state;
	struct replica *first = who_answers(f), *second = other_than(first);
	char endpoint[ENDPOINT_BYTES], events[ENDPOINT_BYTES];

	strcpy(endpoint, first->endpoint);
	strcpy(events, first->events);
	replica_kill(first);
	assert_ptr_equal(who_answers(f), second);
	replica_start(f, first, first->name, endpoint, events);
	replica_kill(second);
	ask_until_answered(f, peer);
	assert_ptr_equal(who_answers(f), first);
}

static void
test_calls_fail_at_once_when_all_replicas_are_dead(void **state)
{
	struct asked asked;

	who_answers(*state);
	replica_kill(&replicas[0]);
	replica_kill(&replicas[1]);
	do {
		bus_peer_next(peer, BUS_DEADLINE_MAX_MS, NULL);
		ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	} while (asked.answered);
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
}

/* ---- a server that is killed while its answers are read ---- */

enum { MANY_CALLS = 900, PINGS = 30 };

/* Another bus and loop on the same thread, and the same threads of libzmq. */
struct witness {
	struct fixture fixture;
	struct bus_peer *peer;
};

static void
witness_init(struct witness *witness, const struct fixture *f, const char *endpoint)
{
	witness->fixture = *f;
	assert_int_equal(loop_new(&witness->fixture.loop), 0);
	assert_int_equal(bus_new(witness->fixture.loop, f->metrics, "witness", &f->client_security,
				 &witness->fixture.bus),
			 0);
	assert_int_equal(bus_peer_new(witness->fixture.bus, endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &witness->peer),
			 0);
}

static void
witness_fini(struct witness *witness)
{
	bus_free(&witness->fixture.bus);
	loop_free(&witness->fixture.loop);
}

static struct {
	struct fixture *fixture;
	struct witness *witness;
	unsigned ended, answered;
} reading;

/* At the first answer the server is killed, and the rest is read when libzmq knows. */
static void
on_answer_of_many(const Boson__Test__Words *reply, void *data)
{
	struct asked asked = { .answered = reply != NULL };

	(void)data;
	reading.answered += reply != NULL;
	if (reading.ended++ == 0)
		replica_kill(&replicas[0]);
	while (reading.ended == 1 && asked.answered)
		ask_and_wait(&asked, &reading.witness->fixture, reading.witness->peer,
			     boson__test__echo__say, "x");
	if (reading.ended == MANY_CALLS)
		loop_stop(reading.fixture->loop);
}

static bool
all_have_ended(void *arg)
{
	(void)arg;
	return reading.ended == MANY_CALLS;
}

/* libzmq looks at what its threads told it in the middle of a message, too, and would not find the
 * rest of one of several frames. */
static void
test_answers_of_a_server_that_is_killed_are_read_or_fail(void **state)
{
	static const Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	struct fixture *f = *state;
	struct bus_peer *one = NULL;
	struct witness witness;

	witness_init(&witness, f, replicas[0].endpoint);
	assert_int_equal(bus_peer_new(f->bus, replicas[0].endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &one),
			 0);
	ask_until_answered(f, one);
	memset(&reading, 0, sizeof(reading));
	reading.fixture = f;
	reading.witness = &witness;
	for (int i = 0; i < MANY_CALLS; i++)
		boson__test__echo__say(bus_peer_service(one), &words, on_answer_of_many, NULL);
	for (int i = 0; i < PINGS; i++) /* meanwhile answers pile up */
		assert_true(fixture_ping(&witness.fixture, witness.peer, 5000));
	fixture_run_until(f, all_have_ended, NULL);
	assert_true(reading.answered > 0);
	bus_peer_free(&one);
	witness_fini(&witness);
}

/* What a server says of a third is an answer like any other, though the call might be repeated. */
static void
test_refusal_by_a_replica_is_an_answer_and_not_tried_elsewhere(void **state)
{
	const struct replica *first = who_answers(*state);
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__refuse, "x");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	assert_string_equal(asked.result.field, first->name);
	assert_ptr_equal(who_answers(*state), first);
}

static void
test_ping_of_replicas_is_answered_by_whoever_lives(void **state)
{
	struct replica *first = who_answers(*state);

	assert_true(fixture_ping(*state, peer, 5000));
	replica_kill(first);
	assert_true(fixture_ping(*state, peer, 5000));
}

static void
test_freeing_a_peer_of_replicas_ends_its_calls(void **state)
{
	struct asked sent, waiting;

	ask(&waiting, *state, peer, boson__test__echo__keep, "x"); /* nobody is connected yet */
	bus_peer_free(&peer);
	assert_true(waiting.ended);
	assert_int_equal(waiting.times, 1);

	struct fixture *f = *state;
	assert_int_equal(bus_peer_new(f->bus, list_of(replicas[0].endpoint, replicas[1].endpoint),
				      fixture_server_key(f), &boson__test__echo__descriptor, &peer),
			 0);
	who_answers(f);
	ask(&sent, f, peer, boson__test__echo__keep, "x");
	bus_peer_free(&peer);
	assert_true(sent.ended);
	assert_int_equal(sent.times, 1);
}

static void
free_peer(const Boson__Test__Words *reply, void *arg)
{
	struct fixture *f = arg;

	assert_non_null(reply);
	bus_peer_free(&peer);
	loop_stop(f->loop);
}

static bool
peer_is_gone(void *arg)
{
	(void)arg;
	return peer == NULL;
}

static void
test_closure_may_free_a_peer_of_replicas(void **state)
{
	static const Boson__Test__Words words = BOSON__TEST__WORDS__INIT;

	boson__test__echo__say(bus_peer_service(peer), &words, free_peer, *state);
	fixture_run_until(*state, peer_is_gone, NULL);
}

static void
test_list_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "ipc:///a,", ",ipc:///a", "ipc:///a,http://b", "," };
	struct fixture *f = *state;
	struct bus_peer *none = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bus_peer_new(f->bus, bad[i], fixture_server_key(f),
					      &boson__test__echo__descriptor, &none),
				 -EINVAL);
}

/* ---- events ---- */

struct heard {
	struct fixture *fixture;
	unsigned from[REPLICAS], gaps;
};

static void
on_shout(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct heard *heard = arg;

	heard->gaps += gap;
	if (event)
		heard->from[strcmp(((const Boson__Test__Shout *)event)->text, "b") == 0]++;
	loop_stop(heard->fixture->loop);
}

static bool
has_two_publishers(void *arg)
{
	return ((struct heard *)arg)->gaps >= REPLICAS;
}

static bool
has_heard_both(void *arg)
{
	return ((struct heard *)arg)->from[0] > 0 && ((struct heard *)arg)->from[1] > 0;
}

static void
publish(struct fixture *f, const char *endpoint)
{
	struct bus_peer *one = NULL;
	struct asked asked;

	assert_int_equal(bus_peer_new(f->bus, endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &one),
			 0);
	ask_and_wait(&asked, f, one, boson__test__echo__publish, "x");
	assert_true(asked.answered);
	bus_peer_free(&one);
}

static void
test_events_of_all_replicas_are_heard(void **state)
{
	struct bus_subscription *subscription = NULL;
	struct heard heard = { .fixture = *state };
	struct fixture *f = *state;

	assert_int_equal(bus_subscribe(f->bus, list_of(replicas[0].events, replicas[1].events),
				       fixture_server_key(f), &boson__test__shout__descriptor,
				       on_shout, &heard, &subscription),
			 0);
	fixture_run_until(f, has_two_publishers, &heard);
	publish(f, replicas[0].endpoint);
	publish(f, replicas[1].endpoint);
	fixture_run_until(f, has_heard_both, &heard);
	assert_int_equal(heard.from[0], 1);
	assert_int_equal(heard.from[1], 1);
	bus_unsubscribe(&subscription);
}

/* ---- names ---- */

/* Two of the same port, as behind a headless service of Kubernetes. */
static int
setup_named(void **state)
{
	char endpoint[ENDPOINT_BYTES];
	struct fixture *f;
	const char *port;

	fixture_setup(state);
	f = *state;
	bus_set_rules(f->bus, rules);
	replica_start(f, &replicas[0], "a", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*");
	port = strrchr(replicas[0].endpoint, ':'); /* the host may be in IPv6's notation */
	snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.2%s", port);
	replica_start(f, &replicas[1], "b", endpoint, "tcp://127.0.0.2:*");
	snprintf(endpoint, sizeof(endpoint), "tcp://replicas.test%s", port);
	atomic_store(&named_first, 1);
	atomic_store(&named_last, 2);
	assert_int_equal(bus_peer_new(f->bus, endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &peer),
			 0);
	return 0;
}

static void
test_name_stands_for_all_its_addresses(void **state)
{
	struct replica *first = who_answers(*state);

	replica_kill(first);
	assert_ptr_equal(who_answers(*state), other_than(first));
}

static void
look_up_anew(struct fixture *f)
{
	char endpoint[ENDPOINT_BYTES];

	bus_peer_free(&peer);
	snprintf(endpoint, sizeof(endpoint), "tcp://replicas.test%s",
		 strrchr(replicas[0].endpoint, ':'));
	assert_int_equal(bus_peer_new(f->bus, endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &peer),
			 0);
}

static void
test_name_is_looked_up_again_when_a_connection_dies(void **state)
{
	atomic_store(&named_last, 1); /* b is not on the list yet */
	look_up_anew(*state);
	assert_ptr_equal(who_answers(*state), &replicas[0]);
	atomic_store(&named_first, 2);
	atomic_store(&named_last, 2);
	replica_kill(&replicas[0]);
	ask_until_answered(*state, peer);
	assert_ptr_equal(who_answers(*state), &replicas[1]);
}

static void
test_name_that_nobody_knows_fails_calls_at_once_until_somebody_does(void **state)
{
	struct asked asked;

	atomic_store(&named_last, 0);
	look_up_anew(*state);
	bus_peer_next(peer, BUS_DEADLINE_MAX_MS, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	atomic_store(&named_last, 1);
	ask_until_answered(*state, peer);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define NAMED(name) cmocka_unit_test_setup_teardown(name, setup_named, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_calls_go_to_one_replica_as_long_as_it_lives),
		TEST(test_calls_go_on_at_another_replica_when_one_is_killed),
		TEST(test_call_under_way_to_a_killed_replica_is_repeated_only_where_it_may_be),
		TEST(test_call_under_way_to_a_stopped_replica_is_answered_by_another),
		TEST(test_replica_that_returns_serves_again_when_the_other_is_killed),
		TEST(test_answers_of_a_server_that_is_killed_are_read_or_fail),
		TEST(test_calls_fail_at_once_when_all_replicas_are_dead),
		TEST(test_refusal_by_a_replica_is_an_answer_and_not_tried_elsewhere),
		TEST(test_ping_of_replicas_is_answered_by_whoever_lives),
		TEST(test_freeing_a_peer_of_replicas_ends_its_calls),
		TEST(test_closure_may_free_a_peer_of_replicas),
		TEST(test_list_that_is_none_is_refused),
		TEST(test_events_of_all_replicas_are_heard),
	};
	const struct CMUnitTest named[] = {
		NAMED(test_name_stands_for_all_its_addresses),
		NAMED(test_name_is_looked_up_again_when_a_connection_dies),
		NAMED(test_name_that_nobody_knows_fails_calls_at_once_until_somebody_does),
	};

	return fixture_run(FIXTURE_IPC, FIXTURE_TCP, tests) +
	       fixture_run(FIXTURE_TCP, FIXTURE_TCP, named);
}

/*
 * F11: the bus by a bad postman, who loses one message in twenty, brings one in twenty twice and
 * one in twenty late, so that others overtake it, both ways. Whoever asks again until there is an
 * answer gets the right one, each call ends once, and nothing that was asked once is done twice.
 * POSTMAN_ROUNDS=100, twenty of them side by side, each with a POSTMAN_SEED of its own, are the
 *long run: a million answers.
 *
 *	test's bus ---ipc--- ROUTER  postman  DEALER ---ipc--- echo
 */
#include "echo_stage.h"

#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUNDS = 10, /* unless POSTMAN_ROUNDS says more */
	CALLS = 500, /* under way at once */
	TIMEOUT_MS = 500,
	LETTERS_MAX = 8192,
	USUAL_MS = 2,
	LATE_MS = 200,
	ONE_IN = 20,
};

struct letter {
	zmsg_t *message;
	int64_t due_ms;
	bool is_back; /* to the client */
};

struct postman {
	char front[160], back[160];
	zactor_t *actor;
	struct letter letters[LETTERS_MAX];
	size_t count;
	uint64_t dice;
	_Atomic(unsigned) lost, doubled, late, brought /* requests, once or twice */;
};

static struct postman postman;

static unsigned
throw_dice(unsigned sides)
{
	postman.dice ^= postman.dice << 13;
	postman.dice ^= postman.dice >> 7;
	postman.dice ^= postman.dice << 17;
	return (unsigned)(postman.dice % sides);
}

static void
keep(zmsg_t **message, bool is_back, int64_t delay_ms)
{
	assert_true(postman.count < LETTERS_MAX);
	postman.letters[postman.count++] =
		(struct letter){ *message, clock_monotonic_ms() + delay_ms, is_back };
	*message = NULL;
}

static void
collect(zsock_t *from, bool is_back)
{
	zmsg_t *message, *again;

	while ((zsock_events(from) & ZMQ_POLLIN) && (message = zmsg_recv(from)) != NULL) {
		if (throw_dice(ONE_IN) == 0) {
			postman.lost++;
			zmsg_destroy(&message);
			continue;
		}
		postman.brought += !is_back;
		if (throw_dice(ONE_IN) == 0) {
			postman.doubled++;
			again = zmsg_dup(message);
			keep(&again, is_back, USUAL_MS);
		}
		if (throw_dice(ONE_IN) == 0) {
			postman.late++;
			keep(&message, is_back, LATE_MS);
		} else {
			keep(&message, is_back, USUAL_MS);
		}
	}
}

/* In the order they came in, but for those that are late. The client is one, so its routing id is
 * kept from what it sends, and put before what it is sent. */
static void
bring(zsock_t *front, zsock_t *back, zframe_t **client)
{
	int64_t now_ms = clock_monotonic_ms();
	size_t kept = 0;

	for (size_t i = 0; i < postman.count; i++) {
		struct letter letter = postman.letters[i];

		if (letter.due_ms > now_ms) {
			postman.letters[kept++] = letter;
		} else if (letter.is_back) {
			zframe_t *id = zframe_dup(*client);

			zmsg_prepend(letter.message, &id);
			(void)zmsg_send(&letter.message, front);
		} else {
			zframe_destroy(client);
			*client = zmsg_pop(letter.message);
			(void)zmsg_send(&letter.message, back);
		}
	}
	postman.count = kept;
}

static void
walk(zsock_t *pipe, void *arg)
{
	zsock_t *front = zsock_new_router(postman.front), *back = zsock_new_dealer(postman.back);
	zpoller_t *poller = zpoller_new(pipe, front, back, NULL);
	zframe_t *client = NULL;
	const void *which = NULL;

	(void)arg;
	zsock_set_unbounded(front);
	zsock_set_unbounded(back);
	(void)zsock_signal(pipe, 0);
	while (which != pipe) {
		which = zpoller_wait(poller, 1);
		if (which == front)
			collect(front, false);
		else if (which == back)
			collect(back, true);
		bring(front, back, &client);
	}
	for (size_t i = 0; i < postman.count; i++)
		zmsg_destroy(&postman.letters[i].message);
	zframe_destroy(&client);
	zpoller_destroy(&poller);
	zsock_destroy(&front);
	zsock_destroy(&back);
}

static unsigned
read_number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static int
setup(void **state)
{
	struct fixture *f;

	stage_setup(state);
	f = *state;
	memset(&postman, 0, sizeof(postman));
	postman.dice = 88172645463325252U + read_number("POSTMAN_SEED", 0);
	snprintf(postman.front, sizeof(postman.front), "@ipc://%s/postman.sock", f->folder);
	snprintf(postman.back, sizeof(postman.back), ">%s", f->endpoint);
	postman.actor = zactor_new(walk, NULL);
	return postman.actor == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	zactor_destroy(&postman.actor);
	return stage_teardown(state);
}

static bool
all_ended(void *arg)
{
	const struct asked *asked = arg;

	for (int i = 0; i < CALLS; i++)
		if (!asked[i].ended)
			return false;
	return true;
}

/* Asks those that have no answer yet; how many. */
static unsigned
ask_all(struct fixture *f, struct bus_peer *by_postman, struct asked *asked, unsigned round)
{
	unsigned n = 0;
	char text[32];

	for (unsigned i = 0; i < CALLS; i++) {
		if (asked[i].answered)
			continue;
		snprintf(text, sizeof(text), "word %u of %u", i, round);
		bus_peer_next(by_postman, TIMEOUT_MS, NULL);
		ask(&asked[i], f, by_postman, boson__test__echo__say, text);
		n++;
	}
	return n;
}

static void
assert_right(const struct asked *asked, unsigned round)
{
	char text[32];

	for (unsigned i = 0; i < CALLS; i++) {
		assert_int_equal(asked[i].times, 1);
		snprintf(text, sizeof(text), "word %u of %u", i, round);
		if (asked[i].answered)
			assert_string_equal(asked[i].text, text);
		else
			assert_int_equal(asked[i].result.status, BUS_DEADLINE);
	}
}

static void
test_a_bad_postman_makes_no_answer_wrong_and_nothing_happen_twice(void **state)
{
	static struct asked asked[CALLS];
	struct fixture *f = *state;
	struct bus_peer *by_postman = NULL;
	unsigned rounds = read_number("POSTMAN_ROUNDS", ROUNDS);
	unsigned said, tries = 0, n;

	assert_int_equal(bus_peer_new(f->bus, postman.front + 1, NULL,
				      &boson__test__echo__descriptor, &by_postman),
			 0);
	said = atomic_load(&echo.said);
	for (unsigned round = 0; round < rounds; round++) {
		memset(asked, 0, sizeof(asked));
		while ((n = ask_all(f, by_postman, asked, round)) > 0) {
			tries += n;
			fixture_run_until(f, all_ended, asked);
			assert_right(asked, round);
		}
	}
	said = atomic_load(&echo.said) - said;
	print_message("%u answers, asked %u times, done %u times; lost %u, doubled %u, late %u\n",
		      rounds * CALLS, tries, said, atomic_load(&postman.lost),
		      atomic_load(&postman.doubled), atomic_load(&postman.late));
	assert_in_range(said, rounds * CALLS, atomic_load(&postman.brought));
	assert_true(tries > rounds * CALLS && atomic_load(&postman.doubled) > 0);
	bus_peer_free(&by_postman);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_bad_postman_makes_no_answer_wrong_and_nothing_happen_twice, setup,
			teardown),
	};
	return fixture_run(FIXTURE_IPC, FIXTURE_IPC, tests);
}

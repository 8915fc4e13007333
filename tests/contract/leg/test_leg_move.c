/*
 * From one relay to the next, and what must not come of it: a ticket that leaves TLS, an order that
 * is half forgotten, an owner that waits for a name server. T19, T20. Names that end in ".slow" are
 * not found until the test allows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include "loop/clock.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RESOLVER_SEC = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned asked, given_up;
static bool is_answered;

/* ---- the resolver ---- */

static int
ask_slowly(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RESOLVER_SEC;
	pthread_mutex_lock(&lock);
	asked++;
	while (!is_answered && pthread_cond_timedwait(&changed, &lock, &until) != ETIMEDOUT)
		;
	given_up += !is_answered;
	pthread_mutex_unlock(&lock);
	return EAI_AGAIN;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
	    struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	size_t n = host != NULL ? strlen(host) : 0;

	if (n > 5 && strcmp(host + n - 5, ".slow") == 0)
		return ask_slowly();
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(host, service, hints, ret);
}

static unsigned
read_counter(const unsigned *counter)
{
	pthread_mutex_lock(&lock);
	unsigned n = *counter;
	pthread_mutex_unlock(&lock);
	return n;
}

static bool
resolver_is_asked(struct rig *rig)
{
	(void)rig;
	return read_counter(&asked) > 0;
}

/* A sanitizer may have one of its own. */
static unsigned threads_at_rest;

static unsigned
count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(tasks);
	while (readdir(tasks) != NULL)
		n++;
	closedir(tasks);
	return n - 2; /* . and .. */
}

static int
begin(void **state)
{
	(void)state;
	pthread_mutex_lock(&lock);
	asked = given_up = 0;
	is_answered = false;
	pthread_mutex_unlock(&lock);
	threads_at_rest = count_threads();
	return 0;
}

/* The resolver answers now, and the threads that it kept are gone. */
static void
let_resolver_answer(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;

	pthread_mutex_lock(&lock);
	is_answered = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	while (count_threads() > threads_at_rest && clock_monotonic_ms() < deadline_ms)
		continue;
}

/* ---- moves ---- */

static size_t
count_moves(const struct rig *rig)
{
	size_t n = 0;

	for (size_t i = 0; i < rig->noted_n; i++)
		n += strcmp(rig->noted[i].reason, "moved") == 0;
	return n;
}

static bool
has_moved(struct rig *rig)
{
	return count_moves(rig) > rig->wanted;
}

static bool
is_down(struct rig *rig)
{
	return leg_client_state(rig->client) == LEG_DOWN;
}

static bool
has_one_line(struct rig *rig)
{
	return leg_client_send_on(rig->client, leg_client_line(rig->client) - 1, rig->last_message,
				  0, true) == -ENOTCONN;
}

/* A leg that is up at 127.0.0.1, and may go to localhost. */
static struct rig *
open_with_two(void)
{
	struct rig *rig = rig_new(NULL, 0);
	char here[64], there[64];
	const char *urls[] = { here, there, NULL };

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	snprintf(here, sizeof here, "ws://127.0.0.1:%u/echo", rig->relay.port);
	snprintf(there, sizeof there, "ws://localhost:%u/echo", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, is_up);
	return rig;
}

static void
test_an_order_that_cannot_be_leaves_the_last_one(void **state)
{
	struct rig *rig = open_with_two();
	const char *bad[] = { "ws://127.0.0.1:1/", "ws://a b/", NULL };
	const char *good[] = { "ws://127.0.0.1:1/", NULL };
	const char *many[20] = { 0 };

	(void)state;
	for (size_t i = 0; i < 17; i++)
		many[i] = "ws://127.0.0.1:1/";
	assert_int_equal(leg_client_target(rig->client, bad, "another"), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, good, "not a ticket"), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, many, "another"), -EINVAL);
	rig->relay.authorization[0] = '\0';
	assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_string_equal(rig->relay.authorization, "Bearer the-ticket");
	assert_non_null(strstr(leg_client_url(rig->client), "localhost"));
	rig_free(rig);
}

/* libwebsockets 4.1 loses the certificates that it trusts, most of a MiB, with each of its contexts
 * that begins before another one ends. */
static void
test_moves_lose_no_memory(void **state)
{
	enum { FIRST = 2, MOVES = 6, GROWTH_MAX_BYTES = 1024 * 1024 };
	struct rig *rig = open_with_two();
	size_t before = 0;

	(void)state;
	for (rig->wanted = 0; rig->wanted < MOVES; rig->wanted++) {
		if (rig->wanted == FIRST)
			before = mallinfo2().uordblks;
		assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
		wait_until(rig, has_moved);
	}
	assert_in_range(mallinfo2().uordblks, 0, before + GROWTH_MAX_BYTES);
	rig_free(rig);
}

/* With a full list, too. */
static void
test_t20_a_drain_to_a_relay_that_is_in_no_list_is_followed(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	const char *urls[17] = { NULL };
	char bytes[16][64], relay[64];

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(bytes[i], sizeof bytes[i], "ws://127.0.0.%u:%u/echo", i + 1,
			 rig->relay.port);
		urls[i] = bytes[i];
	}
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	assert_int_equal(leg_client_move(rig->client, "ws://127.0.0.1:1", 0, 0), -ENOTCONN);
	wait_until(rig, is_up);
	snprintf(relay, sizeof relay, "ws://127.0.0.1:%u", rig->relay.port);
	assert_int_equal(leg_client_move(rig->client, relay, 0, 0), -ENOENT); /* it is there */
	assert_int_equal(leg_client_move(rig->client, "localhost", 0, 0), -EINVAL);
	snprintf(relay, sizeof relay, "ws://localhost:%u", rig->relay.port);
	assert_int_equal(leg_client_move(rig->client, relay, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_non_null(strstr(leg_client_url(rig->client), "localhost"));
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 2);
	rig_free(rig);
}

/* T19: who drains names where to go; out of TLS it leads no ticket. */
static void
test_t19_a_drain_leads_no_ticket_out_of_tls(void **state)
{
	struct rig *rig = rig_new(certificate, 0);
	char plain_relay[64], other_relay[64];

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, certificate, key), 0);
	target(rig, "wss", "localhost", "/echo");
	wait_until(rig, is_up);
	snprintf(plain_relay, sizeof plain_relay, "ws://127.0.0.1:%u", rig->relay.port);
	snprintf(other_relay, sizeof other_relay, "wss://127.0.0.1:%u", rig->relay.port);
	assert_int_equal(leg_client_move(rig->client, plain_relay, 0, 0), -EPERM);
	assert_int_equal(leg_client_move(rig->client, other_relay, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 2);
	rig_free(rig);
}

/* ---- names ---- */

static void
test_t20_a_relay_that_is_not_found_holds_up_nobody(void **state)
{
	struct rig *rig = open_with_two();

	(void)state;
	assert_int_equal(leg_client_move(rig->client, "ws://relay.slow:7000", 0, 50), 0);
	wait_until(rig, resolver_is_asked);
	/* The next wish waits until the first is given up, with the resolver still asked. */
	assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_int_equal(read_counter(&given_up), 0);
	rig_free(rig);
	let_resolver_answer();
}

static void
test_a_move_to_a_pinned_name_asks_no_name_server(void **state)
{
	struct rig *rig = open_with_two();
	char relay[64];

	(void)state;
	assert_int_equal(leg_client_pin(rig->client, "relay.slow", "127.0.0.1"), 0);
	snprintf(relay, sizeof relay, "ws://relay.slow:%u", rig->relay.port);
	assert_int_equal(leg_client_move(rig->client, relay, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_non_null(strstr(leg_client_url(rig->client), "relay.slow"));
	assert_int_equal(read_counter(&asked), 0);
	rig_free(rig);
}

static void
test_the_next_url_does_not_wait_for_a_name_server(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	char good[64];
	const char *urls[] = { "ws://relay.slow:7000/echo", good, NULL };

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	snprintf(good, sizeof good, "ws://127.0.0.1:%u/echo", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, is_up);
	assert_int_equal(read_counter(&asked), 1);
	assert_int_equal(read_counter(&given_up), 0);
	rig_free(rig);
	let_resolver_answer();
}

static void
test_a_leg_whose_name_is_looked_up_obeys_at_once(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	const char *urls[] = { "ws://relay.slow:7000/echo", NULL };

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, resolver_is_asked);
	leg_client_disconnect(rig->client);
	wait_until(rig, has_gone_down);
	target(rig, "ws", "127.0.0.1", "/echo");
	wait_until(rig, is_up);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	rig->wanted = rig->noted_n;
	wait_until(rig, has_gone_down);
	rig_free(rig);
	assert_int_equal(read_counter(&given_up), 0);
	let_resolver_answer();
}

static void
test_a_name_that_does_not_exist_is_said(void **state)
{
	struct rig *rig = rig_new(NULL, 0);

	(void)state;
	is_answered = true; /* "Temporary failure in name resolution" */
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "relay.slow", "/echo");
	wait_until(rig, has_gone_down);
	assert_non_null(strstr(first_down(rig)->reason, "relay.slow"));
	assert_non_null(strstr(first_down(rig)->reason, gai_strerror(EAI_AGAIN)));
	rig_free(rig);
}

static bool
is_at_first(struct rig *rig)
{
	return is_up(rig) && strstr(leg_client_url(rig->client), "127.0.0.1") != NULL;
}

/* A list may be older than what a relay said; a newer one has it, and then is right again. */
static void
test_a_relay_it_was_told_to_go_to_is_a_target_until_the_list_had_it(void **state)
{
	struct rig *rig = open_with_two();
	char here[64], there[64], relay[64];
	const char *both[] = { here, there, NULL }, *first[] = { here, NULL };

	(void)state;
	snprintf(here, sizeof here, "ws://127.0.0.1:%u/echo", rig->relay.port);
	snprintf(there, sizeof there, "ws://localhost:%u/echo", rig->relay.port);
	snprintf(relay, sizeof relay, "ws://localhost:%u", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, first, "the-ticket"), 0);
	assert_int_equal(leg_client_move(rig->client, relay, 0, 0), 0);
	wait_until(rig, has_moved);
	wait_until(rig, has_one_line);
	assert_int_equal(leg_client_target(rig->client, first, "the-ticket"), 0);
	send_numbered(rig, 1, 50);
	leg_client_flush(rig->client);
	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_non_null(strstr(leg_client_url(rig->client), "localhost"));
	assert_int_equal(leg_client_target(rig->client, both, "the-ticket"), 0);
	assert_int_equal(leg_client_target(rig->client, first, "the-ticket"), 0);
	wait_until(rig, is_at_first);
	rig_free(rig);
}

static bool
has_tried_twice(struct rig *rig)
{
	return figure(rig, "leg_attempts_total", NULL) >= rig->wanted;
}

/* What was being tried is gone with the leg, threads and all. */
static void
test_a_move_that_is_called_off_leaves_nothing(void **state)
{
	struct rig *rig = open_with_two();
	char here[64], mute[64];
	const char *urls[] = { here, mute, NULL };

	(void)state;
	snprintf(here, sizeof here, "ws://127.0.0.1:%u/echo", rig->relay.port);
	snprintf(mute, sizeof mute, "ws://127.0.0.1:%u/mute", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	unsigned threads = count_threads();
	for (rig->wanted = 2; rig->wanted <= 4; rig->wanted += 2) {
		wait_until(rig, is_up);
		assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
		wait_until(rig, has_tried_twice);
		leg_client_disconnect(rig->client);
		wait_until(rig, is_down);
		assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	}
	wait_until(rig, is_up);
	atomic_store(&rig->relay.stop, true); /* the mute ones' threads go */
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (count_threads() > threads && clock_monotonic_ms() < deadline_ms)
		continue;
	assert_true(count_threads() <= threads);
	rig_free(rig);
}

/* Any callback may free the client: also the one that says that what was being tried is gone. */
static void
test_it_can_be_freed_when_a_move_is_called_off(void **state)
{
	struct rig *rig = open_with_two();
	char here[64], mute[64];
	const char *urls[] = { here, mute, NULL };

	(void)state;
	snprintf(here, sizeof here, "ws://127.0.0.1:%u/echo", rig->relay.port);
	snprintf(mute, sizeof mute, "ws://127.0.0.1:%u/mute", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
	rig->wanted = 2;
	wait_until(rig, has_tried_twice);
	rig->free_when_left = true;
	leg_client_disconnect(rig->client);
	assert_null(rig->client);
	rig_free(rig);
}

#define LEG_TEST(test) cmocka_unit_test_setup(test, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LEG_TEST(test_an_order_that_cannot_be_leaves_the_last_one),
		LEG_TEST(test_moves_lose_no_memory),
		LEG_TEST(test_t20_a_drain_to_a_relay_that_is_in_no_list_is_followed),
		LEG_TEST(test_t19_a_drain_leads_no_ticket_out_of_tls),
		LEG_TEST(test_t20_a_relay_that_is_not_found_holds_up_nobody),
		LEG_TEST(test_a_move_to_a_pinned_name_asks_no_name_server),
		LEG_TEST(test_the_next_url_does_not_wait_for_a_name_server),
		LEG_TEST(test_a_leg_whose_name_is_looked_up_obeys_at_once),
		LEG_TEST(test_a_name_that_does_not_exist_is_said),
		LEG_TEST(test_a_relay_it_was_told_to_go_to_is_a_target_until_the_list_had_it),
		LEG_TEST(test_a_move_that_is_called_off_leaves_nothing),
		LEG_TEST(test_it_can_be_freed_when_a_move_is_called_off),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}

/*
 * A door: how many one address may bring, that it listens again (F31), and F36: who waits at a door
 * does not stop packets. Its thread and a shard's may share a processor, so between two that it
 * serves in one turn it sleeps for a moment.
 */
#include "loop/clock.h"
#include "relay/relay_leg.h"
#include "relay/relay_shard.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAITING = 16 };

static struct {
	struct relay_settings settings; /* a test changes them before it opens the door */
	struct relay_mailbox control;
	struct relay_shard *door, *all[1];
	int fds[WAITING]; /* who came: their ends */
} rig;

static int
set_up(void **state)
{
	(void)state;
	rig.settings = (struct relay_settings){
		.legs_max = 100,
		.shards = 1,
		.half_frame_ms = 10000,
		.ping_ms = 10000,
		.silence_ms = 10000,
		.congestion = "",
	};
	memset(rig.fds, 0xff, sizeof(rig.fds));
	return relay_mailbox_init(&rig.control);
}

static void
go_away(void)
{
	for (unsigned i = 0; i < WAITING; i++) {
		if (rig.fds[i] >= 0)
			close(rig.fds[i]);
		rig.fds[i] = -1;
	}
}

static int
tear_down(void **state)
{
	(void)state;
	go_away();
	relay_shard_free(&rig.door);
	relay_mailbox_fini(&rig.control);
	return 0;
}

/* How often this thread has slept of its own accord. */
static long
times_slept(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* One whose request is here; our end. */
static int
ask(struct relay_shard *door)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: relay\r\n\r\n";
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	struct relay_leg *leg = relay_leg_new(door, fds[1]);
	assert_non_null(leg);
	assert_int_equal(relay_leg_enter(door, leg), 0);
	assert_int_equal(write(fds[0], request, sizeof(request) - 1), sizeof(request) - 1);
	return fds[0];
}

/* To the connection and the millisecond. */
static void
test_an_address_has_its_burst_and_then_its_rate(void **state)
{
	static const struct relay_settings some = { .accept_rate = 10, .accept_burst = 3 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = 1 };
	const struct sockaddr *from = (const struct sockaddr *)&address;
	struct relay_accept accept;

	(void)state;
	assert_int_equal(relay_accept_init(&accept, socket(AF_INET, SOCK_STREAM, 0)), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(relay_accept_is_allowed(&accept, &some, from, 1000));
	assert_false(relay_accept_is_allowed(&accept, &some, from, 1000));
	assert_false(relay_accept_is_allowed(&accept, &some, from, 1099));
	assert_true(relay_accept_is_allowed(&accept, &some, from, 1100));
	assert_false(relay_accept_is_allowed(&accept, &some, from, 1100));
	for (unsigned i = 0; i < 3; i++) /* rest is worth a burst and no more */
		assert_true(relay_accept_is_allowed(&accept, &some, from, INT64_C(1) << 40));
	assert_false(relay_accept_is_allowed(&accept, &some, from, INT64_C(1) << 40));
	/* A proxy's address stands for all who come by way of it. */
	const struct relay_settings proxied = { .accept_rate = 10,
						.accept_burst = 3,
						.behind_proxy = true };
	for (unsigned i = 0; i < 10; i++)
		assert_true(relay_accept_is_allowed(&accept, &proxied, from, 1000));
	relay_accept_fini(&accept);
}

/* ---- who comes at once ---- */

static struct relay_shard *
open_door(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(listen(fd, WAITING), 0);
	assert_int_equal(relay_shard_new(0, &rig.settings, NULL, &rig.control, fd, NULL, &rig.door),
			 0);
	rig.all[0] = rig.door;
	rig.door->all = rig.all;
	rig.door->count = 1;
	return rig.door;
}

/* All of them wait at the door. */
static struct relay_shard *
open_door_to_all(void)
{
	struct relay_shard *door = open_door();
	struct sockaddr_in address;
	socklen_t n = sizeof(address);

	assert_int_equal(getsockname(door->accept.fd, (struct sockaddr *)&address, &n), 0);
	for (unsigned i = 0; i < WAITING; i++) {
		rig.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(rig.fds[i], (struct sockaddr *)&address, sizeof(address)),
				 0);
	}
	return door;
}

/* T45: so many in a step, the others wait; and none at all while all places are taken. */
static void
test_T45_a_door_lets_in_so_many_in_a_step_and_at_once(void **state)
{
	struct relay_shard *door;

	(void)state;
	rig.settings.accept_pace = 300; /* three in 10 ms, and one */
	door = open_door_to_all();
	for (uint32_t step = 1; step <= 2; step++, door->now_ms += RELAY_ACCEPT_PACE_MS) {
		relay_accept_on_event(door);
		relay_accept_on_event(door);
		assert_int_equal(door->leg_count, 4 * step);
		assert_int_not_equal(door->accept.resume_ms, 0);
	}
	uint32_t upgrading = door->accept.places.taken;
	door->accept.places.taken = RELAY_PLACES_A_SHARD;
	relay_accept_on_event(door);
	assert_int_equal(door->leg_count, 8);
	door->accept.places.taken = upgrading;
	relay_accept_on_event(door);
	assert_int_equal(door->leg_count, 12);
	go_away();
	while (door->leg_count > 0) /* all that came have gone, too */
		assert_int_equal(relay_shard_turn(door), 0);
	assert_int_equal(door->accept.places.taken, 0);
}

/* As if all places of the door were taken, but for those that the list has. Returns how many there
 * were. */
static uint32_t
fill(struct relay_shard *door)
{
	uint32_t before = door->accept.places.taken;

	door->accept.places.taken = RELAY_PLACES_A_SHARD;
	return before;
}

/* T09: strangers sit in all places, each from another address, and say nothing. Who came first goes
 * for one that waits, but nobody before he had a moment; and no more go than come. */
static void
test_t09_who_has_had_a_place_for_long_makes_room_when_none_is_left(void **state)
{
	struct relay_shard *door;
	uint32_t before;

	(void)state;
	rig.settings.handshake_ms = 60 * 1000;
	rig.settings.accept_pace = 100; /* one in 10 ms, and one */
	door = open_door_to_all();
	relay_accept_on_event(door);
	assert_int_equal(door->leg_count, 2);
	const struct relay_upgrade *oldest = TAILQ_FIRST(&door->accept.places.by_age);
	struct relay_leg *first = oldest->leg, *second = TAILQ_NEXT(oldest, by_age)->leg;
	door->now_ms += RELAY_PLACE_MS - 1;
	before = fill(door);
	relay_accept_on_event(door);
	assert_int_equal(first->state, RELAY_LEG_UPGRADING);
	assert_int_equal(door->leg_count, 2);
	door->now_ms += RELAY_ACCEPT_PACE_MS;
	relay_accept_on_event(door);
	assert_int_equal(first->state, RELAY_LEG_DOOMED);
	assert_int_equal(door->leg_count, 3);
	assert_int_equal(door->accept.places.taken, RELAY_PLACES_A_SHARD);
	assert_int_equal(relay_counter_get(&door->counters, RELAY_CROWDED_OUT), 1);
	door->accept.places.taken = before;
	assert_true(relay_leg_reap(door));
	assert_int_equal(door->leg_count, 2);
	assert_int_equal(recv(rig.fds[0], &(char){ 0 }, 1, 0), 0);
	fill(door);
	door->now_ms += RELAY_ACCEPT_PACE_MS;
	relay_accept_on_event(door); /* as old as the first, and one came */
	assert_int_equal(second->state, RELAY_LEG_DOOMED);
	door->accept.places.taken = before;
}

/* Whoever leaves, the others stay in order of their coming. */
static void
test_a_place_may_be_given_back_in_any_order(void **state)
{
	static const unsigned leaves[] = { 1, WAITING - 1, 0, 5, 6 };
	struct relay_shard *door = open_door_to_all();
	struct relay_upgrade *came[WAITING], *u;
	unsigned n = 0;

	(void)state;
	relay_accept_on_event(door);
	TAILQ_FOREACH (u, &door->accept.places.by_age, by_age)
		came[n++] = u;
	assert_int_equal(n, WAITING);
	for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		relay_places_put(came[leaves[i]]);
		came[leaves[i]] = NULL;
		u = TAILQ_FIRST(&door->accept.places.by_age);
		for (unsigned k = 0; k < WAITING; k++) {
			if (came[k] == NULL)
				continue;
			assert_ptr_equal(u, came[k]);
			u = TAILQ_NEXT(u, by_age);
		}
		assert_null(u);
		assert_int_equal(door->accept.places.taken, --n);
	}
}

/* T45: one address calls without end. Those that its limit turns away take nobody's turn. */
static void
test_T45_who_is_turned_away_at_once_takes_nobodys_turn(void **state)
{
	struct relay_shard *door;

	(void)state;
	rig.settings.accept_pace = 100;
	rig.settings.accept_rate = rig.settings.accept_burst = 1;
	rig.settings.pending_max = 100;
	door = open_door_to_all();
	relay_accept_on_event(door);
	assert_int_equal(door->leg_count, 1);
	assert_int_equal(relay_counter_get(&door->counters, RELAY_ACCEPT_LIMITED), WAITING - 1);
	assert_int_equal(door->accept.resume_ms, 0);
}

/* Those that are on their way from a door to a shard are there as well, and are told. */
static void
test_connections_between_door_and_shard_count_among_all(void **state)
{
	struct relay_shard *door;

	(void)state;
	rig.settings.legs_max = 5;
	door = open_door_to_all();
	relay_count_shared(&door->counters, RELAY_LEGS_MOVING, 3);
	relay_accept_on_event(door);
	assert_int_equal(door->leg_count, 2);
	assert_int_equal(relay_counter_get(&door->counters, RELAY_ACCEPT_LIMITED), WAITING - 2);
}

/* F31: the kernel has no memory to watch the listening socket with, just when the door would listen
 * again: it tries once more. */
static void
test_f31_a_door_that_cannot_listen_tries_again(void **state)
{
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	struct relay_shard *door = open_door();

	(void)state;
	int epoll_fd = door->epoll_fd;
	door->epoll_fd = -1;
	relay_accept_watch(door, true);
	assert_false(door->accept.is_listening);
	door->epoll_fd = epoll_fd;
	while (!door->accept.is_listening && clock_monotonic_ms() < end_ms) {
		assert_true(door->accept.resume_ms != 0); /* else it would sleep for ever */
		assert_int_equal(relay_shard_turn(door), 0);
	}
	assert_true(door->accept.is_listening);
}

static void
test_f36_a_door_sleeps_after_each_that_it_serves(void **state)
{
	const struct relay_settings *settings = &rig.settings;
	struct relay_shard *shard, *door;
	char answer[512];

	(void)state;
	assert_int_equal(relay_shard_new(0, settings, NULL, &rig.control, -1, NULL, &shard), 0);
	assert_int_equal(relay_shard_new(1, settings, NULL, &rig.control, -1, NULL, &door), 0);
	rig.door = door;
	rig.all[0] = shard;
	door->all = rig.all;
	door->count = 1;
	for (unsigned i = 0; i < WAITING; i++)
		rig.fds[i] = ask(door);

	long before = times_slept();
	assert_int_equal(relay_shard_turn(door), 0);
	long slept = times_slept() - before;

	long served = 0;
	for (unsigned i = 0; i < WAITING; i++)
		served += read(rig.fds[i], answer, sizeof(answer)) > 0;
	/* A turn may end before all are served: on a busy machine, not after the first. */
	assert_in_range(served, 1, WAITING);
	assert_in_range(slept, served, LONG_MAX);
	relay_shard_free(&rig.door);
	relay_shard_free(&shard);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_an_address_has_its_burst_and_then_its_rate),
		TEST(test_T45_a_door_lets_in_so_many_in_a_step_and_at_once),
		TEST(test_t09_who_has_had_a_place_for_long_makes_room_when_none_is_left),
		TEST(test_a_place_may_be_given_back_in_any_order),
		TEST(test_T45_who_is_turned_away_at_once_takes_nobodys_turn),
		TEST(test_connections_between_door_and_shard_count_among_all),
		TEST(test_f31_a_door_that_cannot_listen_tries_again),
		TEST(test_f36_a_door_sleeps_after_each_that_it_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

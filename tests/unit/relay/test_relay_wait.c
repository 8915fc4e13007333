/*
 * When a shard waits awake for its next work, and that waiting either way is epoll's.
 */
#include "relay/relay_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 200 };

/* Turn after turn of `work_us`; one in `each` gaps is `soon_us` long, the others a millisecond. */
static bool
is_awake_after_work(struct relay_wait *wait, unsigned each, int64_t soon_us, int64_t work_us)
{
	int64_t now_us = 1000000;

	for (unsigned i = 0; i < ROUNDS; i++) {
		now_us += work_us;
		relay_wait_begin(wait, now_us);
		now_us += i % each == 0 ? soon_us : 1000;
		relay_wait_learn(wait, true, now_us);
	}
	relay_wait_begin(wait, now_us);
	return relay_wait_is_awake(wait, now_us);
}

static bool
is_awake_after(struct relay_wait *wait, unsigned each, int64_t soon_us)
{
	return is_awake_after_work(wait, each, soon_us, 0);
}

/* What it would win by being awake sooner it would lose by turns for one message each. */
static void
test_it_sleeps_when_it_works_most_of_the_time(void **state)
{
	struct relay_wait wait = { 0 };

	(void)state;
	assert_true(is_awake_after_work(&wait, 1, 20, 10));
	assert_false(is_awake_after_work(&wait, 1, 5, 20));
	assert_true(is_awake_after_work(&wait, 1, 20, 10));
}

static void
test_it_waits_awake_while_work_comes_soon(void **state)
{
	struct relay_wait wait = { 0 };

	(void)state;
	assert_false(relay_wait_is_awake(&wait, 0));
	assert_true(is_awake_after(&wait, 1, 5));
	assert_true(is_awake_after(&wait, 2, 5)); /* a question and its answer, then a rest */
	assert_false(is_awake_after(&wait, 20, 5));
	assert_false(is_awake_after(&wait, 1, 40)); /* 20,000 messages a second, one by one */
	assert_true(is_awake_after(&wait, 1, 20));
}

static void
test_it_does_not_wait_awake_for_long(void **state)
{
	struct relay_wait wait = { 0 };
	unsigned n = 0;

	(void)state;
	assert_true(is_awake_after(&wait, 1, 5));
	assert_true(relay_wait_is_awake(&wait, wait.since_us + RELAY_WAIT_AWAKE_US - 1));
	assert_false(relay_wait_is_awake(&wait, wait.since_us + RELAY_WAIT_AWAKE_US));
	/* Nothing comes any more: it asks in vain a few times, then no longer. */
	for (; relay_wait_is_awake(&wait, wait.since_us); n++)
		relay_wait_learn(&wait, false, wait.since_us + 1000);
	assert_in_range(n, 1, 2 * RELAY_WAIT_WEIGHT);
}

static void
test_what_is_ready_is_told_and_nothing_is_when_time_is_up(void **state)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(1, EFD_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd }, got[4];
	struct relay_wait awake = { .soon = RELAY_WAIT_ALWAYS }, asleep = { 0 };
	int64_t now_us;
	uint64_t one;

	(void)state;
	assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(relay_wait(&awake, epoll_fd, got, 4, -1, &now_us), 1);
	assert_int_equal(got[0].data.fd, fd);
	assert_int_equal(relay_wait(&asleep, epoll_fd, got, 4, -1, &now_us), 1);
	assert_true(now_us > 0);
	assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(relay_wait(&awake, epoll_fd, got, 4, 1, &now_us), 0);
	assert_int_equal(relay_wait(&asleep, epoll_fd, got, 4, 1, &now_us), 0);
	assert_int_equal(relay_wait(&asleep, -1, got, 4, 1, &now_us), -1);
	close(fd);
	close(epoll_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_waits_awake_while_work_comes_soon),
		cmocka_unit_test(test_it_sleeps_when_it_works_most_of_the_time),
		cmocka_unit_test(test_it_does_not_wait_awake_for_long),
		cmocka_unit_test(test_what_is_ready_is_told_and_nothing_is_when_time_is_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

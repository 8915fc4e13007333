/*
 * gateway_watcher: who does not take what it is sent is ended, and costs no more than its queue
 * (T13); who falls silent or whose time is up is ended, too.
 */
#include "gateway/gateway_watcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4000 };

struct lab {
	struct loop *loop;
	struct gateway_watcher *watcher;
	int ours, theirs;
	int ends;
	bool is_slow;
};

static void
on_over(bool is_slow, void *arg)
{
	struct lab *lab = arg;
	lab->ends++;
	lab->is_slow = is_slow;
	close(lab->ours);
}

static void
lab_start(struct lab *lab, int64_t lifetime_ms)
{
	int pair[2];
	memset(lab, 0, sizeof(*lab));
	assert_int_equal(loop_new(&lab->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	lab->ours = pair[0];
	lab->theirs = pair[1];
	assert_int_equal(gateway_watcher_new(lab->loop, lab->ours,
					     loop_now_ms(lab->loop) + lifetime_ms, on_over, lab,
					     &lab->watcher),
			 0);
}

static void
lab_stop(struct lab *lab)
{
	assert_int_equal(lab->ends, 1);
	assert_true(gateway_watcher_is_over(lab->watcher));
	gateway_watcher_free(&lab->watcher);
	loop_free(&lab->loop);
	close(lab->theirs);
}

static void
test_T13_who_takes_nothing_is_ended_when_its_queue_is_full(void **state)
{
	(void)state;
	static const char text[TEXT_BYTES];
	struct lab lab;
	size_t sent = 0;
	lab_start(&lab, 60000);
	for (; lab.ends == 0 && sent < 16 * 1024 * 1024; sent += TEXT_BYTES)
		gateway_watcher_send(lab.watcher, text, sizeof(text));
	assert_true(lab.is_slow);
	assert_true(sent > WATCHER_QUEUE_MAX_BYTES);
	/* What comes after the end is nothing. */
	gateway_watcher_send(lab.watcher, text, sizeof(text));
	gateway_watcher_end(lab.watcher, 1000, "");
	gateway_watcher_tick(lab.watcher);
	lab_stop(&lab);
}

static void
test_one_whose_time_is_up_is_told_to_come_again(void **state)
{
	(void)state;
	unsigned char frame[64];
	struct lab lab;
	lab_start(&lab, 0);
	gateway_watcher_tick(lab.watcher);
	assert_false(lab.is_slow);
	assert_true(read(lab.theirs, frame, sizeof(frame)) > 4);
	assert_int_equal(frame[0], 0x88);
	assert_int_equal(frame[2] << 8 | frame[3], 1012);
	lab_stop(&lab);
}

static void
stop_loop(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
test_a_peer_that_is_gone_ends_it(void **state)
{
	(void)state;
	struct lab lab;
	struct loop_timer *timer;
	lab_start(&lab, 60000);
	shutdown(lab.theirs, SHUT_RDWR);
	assert_int_equal(loop_timer_start(lab.loop, 0, 1, stop_loop, NULL, &timer), 0);
	for (int i = 0; i < 1000 && lab.ends == 0; i++)
		assert_int_equal(loop_run(lab.loop), 0);
	loop_timer_stop(&timer);
	assert_false(lab.is_slow);
	lab_stop(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T13_who_takes_nothing_is_ended_when_its_queue_is_full),
		cmocka_unit_test(test_one_whose_time_is_up_is_told_to_come_again),
		cmocka_unit_test(test_a_peer_that_is_gone_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

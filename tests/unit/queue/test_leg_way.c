/*
 * leg_way: what follows from TCP_INFO, and that of a real socket whose reader does not read.
 */
#include "queue/leg_way.h"

#include "tcp_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Slow start over 300 ms, and all of its window is under way. */
static const struct tcp_info grows = {
	.tcpi_ca_state = TCP_CA_Open,
	.tcpi_snd_cwnd = 40,
	.tcpi_snd_ssthresh = INT32_MAX,
	.tcpi_unacked = 40,
	.tcpi_notsent_bytes = 50000,
	.tcpi_snd_mss = 1448,
	.tcpi_bytes_sent = 157920,
	.tcpi_bytes_acked = 100000,
	.tcpi_snd_wnd = 500000,
	.tcpi_rtt = 302000,
	.tcpi_min_rtt = 300000,
};

static void
test_tcp_that_begins_is_growing(void **state)
{
	(void)state;
	assert_true(leg_way_of(&grows).is_growing);
	assert_false(leg_way_of(&grows).is_queued);
	assert_int_equal(leg_way_of(&grows).least_us, 300000);
}

/* A socket's memory grows with the congestion window, and may be full before that is; and what an
 * interface's queue takes at once is less than both. */
static void
test_tcp_that_sends_less_than_its_window_as_yet_is_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_unacked = 20;
	assert_true(leg_way_of(&info).is_growing);
	info.tcpi_notsent_bytes = 0;
	assert_true(leg_way_of(&info).is_growing);
}

/* Linux takes the window away, and keeps what it knows of the way. */
static void
test_tcp_that_begins_again_after_a_pause_is_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_snd_cwnd = info.tcpi_unacked = 10;
	info.tcpi_snd_ssthresh = 400;
	assert_true(leg_way_of(&info).is_growing);
}

static void
test_tcp_that_has_found_the_rate_is_not_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_snd_ssthresh = info.tcpi_snd_cwnd;
	assert_false(leg_way_of(&info).is_growing);
}

static void
test_tcp_that_lost_something_is_not_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_ca_state = TCP_CA_Recovery;
	assert_false(leg_way_of(&info).is_growing);
	info.tcpi_ca_state = TCP_CA_Loss;
	assert_false(leg_way_of(&info).is_growing);
}

static void
test_tcp_whose_packets_wait_on_the_way_is_not_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_rtt = 600000;
	assert_true(leg_way_of(&info).is_queued);
	assert_false(leg_way_of(&info).is_growing);
}

static void
test_tcp_whose_reader_takes_no_more_is_not_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_snd_wnd = 58000;
	assert_false(leg_way_of(&info).is_growing);
	info.tcpi_bytes_acked = info.tcpi_bytes_sent;
	info.tcpi_snd_wnd = 0;
	assert_false(leg_way_of(&info).is_growing);
}

/* What was sent again is not under way twice. */
static void
test_tcp_that_has_sent_something_again_is_growing(void **state)
{
	struct tcp_info info = grows;

	(void)state;
	info.tcpi_bytes_sent += info.tcpi_bytes_retrans = 600000;
	assert_true(leg_way_of(&info).is_growing);
}

/* TCP lost nothing and nothing waits on the way, so it never left slow start. */
static void
test_a_reader_who_does_not_read_is_not_taken_for_growth(void **state)
{
	int ends[2];

	(void)state;
	tcp_pair_connect(ends);
	assert_true(tcp_pair_fill(ends[0]));
	assert_true(leg_way_look(ends[0]).least_us > 0);
	assert_true(leg_way_unread(ends[0]) > 0);
	close(ends[0]);
	close(ends[1]);
}

static void
test_of_what_is_no_tcp_nothing_is_known(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct leg_way way = leg_way_look(fd);

	(void)state;
	assert_int_equal(way.least_us, 0);
	assert_false(way.is_queued);
	assert_false(way.is_growing);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_that_begins_is_growing),
		cmocka_unit_test(test_tcp_that_sends_less_than_its_window_as_yet_is_growing),
		cmocka_unit_test(test_tcp_that_begins_again_after_a_pause_is_growing),
		cmocka_unit_test(test_tcp_that_has_found_the_rate_is_not_growing),
		cmocka_unit_test(test_tcp_that_lost_something_is_not_growing),
		cmocka_unit_test(test_tcp_whose_packets_wait_on_the_way_is_not_growing),
		cmocka_unit_test(test_tcp_that_has_sent_something_again_is_growing),
		cmocka_unit_test(test_tcp_whose_reader_takes_no_more_is_not_growing),
		cmocka_unit_test(test_a_reader_who_does_not_read_is_not_taken_for_growth),
		cmocka_unit_test(test_of_what_is_no_tcp_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What an interface got, as link_ends hands it over: over loopback in a network of the test's own.
 */
#include "link_ends.h"

#include "forwarder/own_network.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { FRAME_BYTES = 60, WAIT_MS = 10 * 1000 };

static const int64_t AWAY_NS = 20 * 1000 * 1000;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
send_frame(void)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_LOOPBACK),
					.sll_ifindex = (int)if_nametoindex("lo") };
	uint8_t frame[FRAME_BYTES] = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to)),
		sizeof(frame));
	close(fd);
}

static void
note(const uint8_t *frame, size_t n, int64_t came_ns, void *arg)
{
	(void)frame;
	assert_int_equal(n, FRAME_BYTES);
	*(int64_t *)arg = came_ns;
}

/* When a frame came and when it may have come, it being read long after. */
struct arrival {
	int64_t came_ns, earliest_ns, latest_ns;
};

static struct arrival
receive_late(struct link_end *end)
{
	struct arrival arrival = { .earliest_ns = now_ns() - AWAY_NS / 4 };
	struct pollfd readable = { end->fd, POLLIN, 0 };

	send_frame();
	assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
	arrival.latest_ns = now_ns() + AWAY_NS / 4;
	while (now_ns() < arrival.latest_ns + AWAY_NS)
		;
	assert_int_equal(link_end_receive(end, note, &arrival.came_ns), 1);
	return arrival;
}

/* Who joins two interfaces and is not run for a while is no queue of the line. The kernel begins to
 * say when frames came a little after the first socket asked for it, by a worker of its own. */
static void
test_a_frame_has_come_when_the_interface_got_it_however_late_it_is_read(void **state)
{
	const int64_t deadline_ns = now_ns() + INT64_C(1000000) * WAIT_MS;
	struct arrival arrival;
	struct link_end end;

	(void)state;
	if (!own_network())
		skip();
	assert_int_equal(link_end_open(&end, "lo"), 0);
	do
		arrival = receive_late(&end);
	while (arrival.came_ns > arrival.latest_ns && now_ns() < deadline_ns);
	assert_in_range(arrival.came_ns, arrival.earliest_ns, arrival.latest_ns);
	link_end_close(&end);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_frame_has_come_when_the_interface_got_it_however_late_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * UDP is tried beside the leg: what is tried goes by the leg a little later, and not when UDP has
 * answered. The relay is a socket of the test's.
 */
#include "client/client_udp.h"
#include "wg/datagram.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { DATAGRAM_BYTES = 128, PATIENCE_MS = 10 * 1000 };

static const uint8_t datagram[2 * DATAGRAM_BYTES] = { DATAGRAM_TRANSPORT };

static struct {
	struct loop *loop;
	struct metrics *metrics;
	struct client_shim *shim;
	struct client_udp *udp;
	int relay_fd;
	unsigned by_leg, changes;
	bool is_out_of_patience;
} rig;

static void
on_change(bool is_up, void *arg)
{
	(void)is_up, (void)arg;
	rig.changes++;
	loop_stop(rig.loop);
}

static void
send_by_leg(const uint8_t *bytes, size_t n, void *arg)
{
	(void)arg;
	assert_int_equal(n, DATAGRAM_BYTES);
	assert_memory_equal(bytes, datagram, n);
	rig.by_leg++;
	loop_stop(rig.loop);
}

static int
set_up(void **state)
{
	static const struct client_udp_events events = { .on_change = on_change,
							 .send_by_leg = send_by_leg };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t n = sizeof address;

	(void)state;
	memset(&rig, 0, sizeof rig);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rig.relay_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig.relay_fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(getsockname(rig.relay_fd, (struct sockaddr *)&address, &n), 0);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(metrics_new("test", &rig.metrics), 0);
	assert_int_equal(client_shim_new(rig.loop, rig.metrics, &rig.shim), 0);
	assert_int_equal(client_udp_new(rig.loop, rig.shim, &events, &rig.udp), 0);
	assert_int_equal(client_udp_target(rig.udp, "127.0.0.1", ntohs(address.sin_port)), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	client_udp_free(&rig.udp);
	client_shim_free(&rig.shim);
	metrics_free(&rig.metrics);
	loop_free(&rig.loop);
	close(rig.relay_fd);
	return 0;
}

static void
out_of_patience(struct loop *loop, void *arg)
{
	(void)arg;
	rig.is_out_of_patience = true;
	loop_stop(loop);
}

/* Until something of the above happens. */
static void
run(void)
{
	struct loop_timer *guard = NULL;

	assert_int_equal(loop_timer_start(rig.loop, PATIENCE_MS, 0, out_of_patience, NULL, &guard),
			 0);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_false(rig.is_out_of_patience);
	loop_timer_stop(&guard);
}

/* Where it came from. */
static struct sockaddr_in
hear_at_the_relay(void)
{
	uint8_t bytes[2 * sizeof datagram];
	struct sockaddr_in from;
	socklen_t n = sizeof from;

	assert_int_equal(
		recvfrom(rig.relay_fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &n),
		DATAGRAM_BYTES);
	return from;
}

static void
test_one_that_is_tried_in_vain_goes_by_the_leg_later(void **state)
{
	(void)state;
	assert_true(client_udp_carry(rig.udp, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES));
	assert_int_equal(rig.by_leg, 0);
	hear_at_the_relay();
	assert_false(client_udp_carry(rig.udp, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES));
	run();
	assert_int_equal(rig.by_leg, 1);
	assert_int_equal(rig.changes, 0);
}

static void
test_one_that_was_answered_does_not_go_by_the_leg(void **state)
{
	(void)state;
	assert_true(client_udp_carry(rig.udp, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES));
	const struct sockaddr_in from = hear_at_the_relay();
	assert_int_equal(sendto(rig.relay_fd, datagram, DATAGRAM_BYTES, 0,
				(const struct sockaddr *)&from, sizeof from),
			 DATAGRAM_BYTES);
	run();
	assert_int_equal(rig.changes, 1);
	assert_true(client_udp_is_up(rig.udp));
	/* Nobody answers any more: by then the time is over for which it was held. */
	for (unsigned i = 0; i < 4; i++)
		assert_true(client_udp_carry(rig.udp, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES));
	run();
	assert_int_equal(rig.changes, 2);
	assert_int_equal(rig.by_leg, 0);
}

/* Of those that the kernel joined the first is tried; all go by the leg. */
static void
test_several_at_once_are_not_held(void **state)
{
	(void)state;
	assert_false(client_udp_carry(rig.udp, datagram, sizeof datagram, DATAGRAM_BYTES));
	hear_at_the_relay();
}

/* No way there: as if it had not been tried. */
static void
test_one_that_cannot_leave_is_not_held(void **state)
{
	(void)state;
	assert_int_equal(client_udp_target(rig.udp, "255.255.255.255", 9), 0);
	assert_false(client_udp_carry(rig.udp, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_that_is_tried_in_vain_goes_by_the_leg_later),
		TEST(test_one_that_was_answered_does_not_go_by_the_leg),
		TEST(test_several_at_once_are_not_held),
		TEST(test_one_that_cannot_leave_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

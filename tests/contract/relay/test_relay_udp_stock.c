/*
 * A stock WireGuard app, wireguard-go, and a relay whose ration for the app's network others have
 * used up: it is sent a cookie that it can open, and gets through with it. In a network namespace
 * of this process's own. The node is a raw leg. T16.
 */
#include "udp_rig.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"
#include "loop/loop.h"
#include "relay/relay_udp_bucket.h"
#include "relay/relay_udp_mac1.h"
#include "wg/device.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOOD = 4 * RELAY_UDP_BURST, PATIENCE_MS = 30 * 1000 };

static bool can_run;

static int
make_network(void **state)
{
	(void)state;
	can_run = geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
		  system("ip link set lo up") == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
	if (!can_run)
		print_message("skipped: needs root, a network namespace and /dev/net/tun\n");
	return 0;
}

static int
set_up(void **state)
{
	return can_run ? udp_rig_set_up(state) : 0;
}

static int
tear_down(void **state)
{
	return can_run ? udp_rig_tear_down(state) : 0;
}

/* wireguard-go, which shakes hands with the node by way of the relay. */
static struct device *
open_app(struct loop *loop, const struct key *secret)
{
	static const char *const addresses[] = { "10.90.0.2/16", NULL };
	char name[16], endpoint[32];
	struct device *device;

	snprintf(name, sizeof(name), "hgs%d", getpid() % 1000000);
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", relay.udp_port);
	struct device_options options = { .name = name,
					  .command = "wireguard-go",
					  .force_userspace = true,
					  .private_key = secret,
					  .mtu = 1280,
					  .addresses = addresses };
	struct device_peer peer = { .public_key = key_a,
				    .endpoint = endpoint,
				    .allowed_ips = "10.90.0.1/32",
				    .keepalive_sec = 1 };

	assert_int_equal(device_open(loop, &options, &device), 0);
	assert_int_equal(device_peer_set(device, &peer, 1), 0);
	return device;
}

/* Initiations with the node's mac1, each from a port of its own, in the app's network. */
static void
flood(void)
{
	uint8_t message[UDP_TALK_INITIATION_BYTES];

	for (unsigned i = 0; i < FLOOD; i++) {
		struct udp_app forger = udp_app_open(&relay, "127.0.0.2", 0);

		udp_talk_initiation(message, &key_a, forger.index);
		udp_app_send(&forger, message, sizeof(message));
		udp_app_close(&forger);
	}
}

/* Whether what the node was sent is an initiation that shows a cookie. */
static bool
shows_cookie(const struct raw_frame *frame)
{
	static const uint8_t none[MAC1_BYTES];
	struct leg_reader reader;
	const uint8_t *datagram;
	size_t n;

	return leg_reader_init(&reader, true, frame->payload, frame->n) == 0 &&
	       leg_reader_next(&reader, &datagram, &n) == 1 && n == UDP_TALK_INITIATION_BYTES &&
	       memcmp(datagram + n - MAC1_BYTES, none, sizeof(none)) != 0;
}

static void
test_T16_stock_app_shakes_hands_in_a_flooded_network(void **state)
{
	struct udp_app client = { .fd = -1 };
	struct raw_frame frame;
	struct key secret;
	struct loop *loop;
	bool is_through = false;

	(void)state;
	if (!can_run)
		skip();
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, &client.key), 0);
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	assert_int_equal(udp_talk_bind(&relay, session_1, node_a, &key_a, &client.key,
				       UDP_RIG_HOUR_MS, "127.0.0.1"),
			 BUS_OK);
	flood();
	struct device *device = open_app(loop, &secret);
	for (int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	     !is_through && clock_monotonic_ms() < end_ms;) {
		flood();
		while (!is_through && raw_leg_receive_within(node, &frame, 5))
			is_through = shows_cookie(&frame);
	}
	assert_true(is_through);
	assert_true(relay_fixture_counter(&relay, "udp_cookies_total") > 0);
	device_close(&device);
	raw_leg_close(&node);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_T16_stock_app_shakes_hands_in_a_flooded_network, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, make_network, NULL);
}

/*
 * The socket of stock WireGuard apps: bundles, marks of congestion, clients that are gone. One
 * shard; the node is a raw leg. U54 U56 U58.
 */
#include "udp_rig.h"

#include "leg/leg_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* U54: a client whose port is gone answers with ICMP errors. U60 is the same from the sender's
 * side: what the system does not take is counted or lost, and nothing stops. */
static void
test_U54_unreachable_client_disturbs_nobody(void **state)
{
	struct udp_pair pair = udp_rig_open();
	struct udp_app gone = udp_app_open(&relay, "127.0.2.1", 0);
	uint8_t message[128];

	(void)state;
	udp_rig_bind(session_2, node_a, &key_a, &gone);
	udp_rig_shake_hands(&pair);
	uint32_t dead = udp_talk_shake_hands(pair.node, &key_a, &gone, session_2, 12);
	udp_app_close(&gone);
	for (unsigned i = 0; i < 200; i++) {
		udp_talk_transport(message, sizeof(message), gone.index, i);
		udp_talk_node_send(pair.node, dead, message, sizeof(message));
	}
	for (uint64_t i = 1; i < 20; i++)
		udp_rig_exchange(&pair, i);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"), 2);
	udp_rig_close(&pair);
}

/* U56: datagrams of mixed sizes, sent and joined as one bundle, arrive as they were. */
static void
test_U56_bundle_is_split_as_it_was_sent(void **state)
{
	static const size_t sizes[] = { 1312, 1312, 1312, 96, 1312, 32, 32, 640, 1312 };
	enum { COUNT = sizeof(sizes) / sizeof(*sizes) };
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[LEG_MESSAGE_MAX_BYTES], got[2048];
	uint8_t datagrams[COUNT][1312];
	struct leg_writer writer;

	(void)state;
	/* Down: one message of the node, runs of equal size are one send. */
	leg_writer_init(&writer, true, pair.channel, message, sizeof(message));
	for (size_t i = 0; i < COUNT; i++) {
		udp_talk_transport(datagrams[i], sizes[i], pair.app.index, i);
		assert_int_equal(leg_writer_add(&writer, datagrams[i], sizes[i]), 0);
	}
	assert_true(raw_leg_send(pair.node, 0x82, message, writer.n));
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(udp_app_receive(&pair.app, got, sizeof(got)), sizes[i]);
		assert_memory_equal(got, datagrams[i], sizes[i]);
	}
	/* Up: what the kernel joined on its way. */
	struct iovec parts[3] = { { datagrams[0], 1312 },
				  { datagrams[1], 1312 },
				  { datagrams[3], 96 } };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .bytes = { 0 } };
	struct msghdr header = { .msg_iov = parts,
				 .msg_iovlen = 3,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	const uint16_t segment = 1312;
	for (size_t i = 0; i < 4; i++)
		udp_talk_transport(datagrams[i], sizes[i], pair.index, 50 + i);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = 103; /* UDP_SEGMENT */
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	assert_int_equal(sendmsg(pair.app.fd, &header, 0), 1312 + 1312 + 96);
	struct leg_reader reader;
	struct raw_frame frame;
	const uint8_t *datagram;
	size_t n, seen = 0;
	static const size_t order[] = { 0, 1, 3 };
	while (seen < 3) {
		assert_true(raw_leg_receive(pair.node, &frame));
		assert_int_equal(leg_reader_init(&reader, true, frame.payload, frame.n), 0);
		while (leg_reader_next(&reader, &datagram, &n) == 1) {
			assert_int_equal(n, sizes[order[seen]]);
			assert_memory_equal(datagram, datagrams[order[seen]], n);
			seen++;
		}
	}
	udp_rig_close(&pair);
}

/* U58: a mark of congestion on the way is no reason to fall. */
static void
test_U58_congestion_mark_is_taken(void **state)
{
	struct udp_pair pair = udp_rig_open();
	int congestion_experienced = 3;

	(void)state;
	assert_int_equal(setsockopt(pair.app.fd, IPPROTO_IP, IP_TOS, &congestion_experienced,
				    sizeof(congestion_experienced)),
			 0);
	udp_rig_shake_hands(&pair);
	udp_rig_close(&pair);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_U54_unreachable_client_disturbs_nobody),
		UDP_TEST(test_U56_bundle_is_split_as_it_was_sent),
		UDP_TEST(test_U58_congestion_mark_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

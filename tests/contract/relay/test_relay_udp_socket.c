/*
 * The socket of stock WireGuard apps: bundles, marks of congestion, clients that are gone. One
 * shard; the node is a raw leg. U54 U56 U58.
 */
#include "udp_rig.h"

#include "leg/leg_frame.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000 };

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

/* The congestion bits of the next datagram's IP header. */
static uint8_t
receive_mark(const struct udp_app *app)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	uint8_t got[256];
	struct iovec part = { got, sizeof(got) };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };

	assert_false(udp_app_is_quiet(app, PATIENCE_MS));
	assert_true(recvmsg(app->fd, &header, 0) > 0);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	assert_non_null(c);
	assert_int_equal(c->cmsg_type, IP_TOS);
	return *CMSG_DATA(c) & IPTOS_ECN_MASK;
}

/* U58: a mark of congestion on the way here is no reason to fall. It ends here: what the relay
 * sends has none. */
static void
test_U58_congestion_mark_is_taken_and_not_copied(void **state)
{
	struct udp_pair pair = udp_rig_open();
	const int congestion_experienced = IPTOS_ECN_CE, yes = 1;
	uint8_t message[128];

	(void)state;
	assert_int_equal(setsockopt(pair.app.fd, IPPROTO_IP, IP_TOS, &congestion_experienced,
				    sizeof(congestion_experienced)),
			 0);
	assert_int_equal(setsockopt(pair.app.fd, IPPROTO_IP, IP_RECVTOS, &yes, sizeof(yes)), 0);
	udp_rig_shake_hands(&pair);
	udp_rig_exchange(&pair, 1);
	udp_talk_transport(message, sizeof(message), pair.app.index, 2);
	udp_talk_node_send(pair.node, pair.channel, message, sizeof(message));
	assert_int_equal(receive_mark(&pair.app), 0);
	udp_rig_close(&pair);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_U54_unreachable_client_disturbs_nobody),
		UDP_TEST(test_U56_bundle_is_split_as_it_was_sent),
		UDP_TEST(test_U58_congestion_mark_is_taken_and_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

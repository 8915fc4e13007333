/*
 * The UDP port of a relay at public addresses: whom it does not hear, by where a datagram came from
 * and was sent to, and what it does when the system does not take what it sends. In a network
 * namespace of its own; one shard; the node is a raw leg. U26 U30 U32 U34 U60; U28 needs two relays
 * (test_relay_mesh_udp).
 *
 *	outside (veth)   203.0.113.10/24, 2001:db8::10/64: the relay
 *	                 2001:db8::11, fe80::7: clients there
 *	lo               198.51.100.7, 10.1.2.3: other clients
 */
#include "udp_rig.h"

#include "leg/leg_frame.h"
#include "relay/relay_control.h"
#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define RELAY_4	     "203.0.113.10"
#define RELAY_6	     "2001:db8::10"
#define EVERYBODY_4  "203.0.113.255"
#define CLIENT_4     "198.51.100.7"
#define CLIENT_6     "2001:db8::11"
#define PRIVATE_4    "10.1.2.3"
#define LINK_LOCAL_6 "fe80::7%outside"

static bool has_network;

static bool
run(const char *command)
{
	return system(command) == 0;
}

static int
make_network(void **state)
{
	(void)state;
	has_network = unshare(CLONE_NEWNET) == 0 &&
		      run("ip link set lo up && ip link add outside type veth peer name beyond && "
			  "ip link set beyond up && "
			  "ip address add " RELAY_4 "/24 brd + dev outside && "
			  "ip address add " CLIENT_4 "/32 dev lo && "
			  "ip address add " PRIVATE_4 "/32 dev lo && ip link set outside up && "
			  "ip address add " RELAY_6 "/64 dev outside nodad && "
			  "ip address add " CLIENT_6 "/64 dev outside nodad && "
			  "ip address add fe80::7/64 dev outside nodad");
	if (!has_network)
		print_message("skipped: needs root, ip and a network namespace\n");
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	if (has_network)
		udp_rig_start_at("[::]:0", "");
	return 0;
}

static int
tear_down(void **state)
{
	return has_network ? udp_rig_tear_down(state) : 0;
}

/* ---- whom it does not hear ---- */

/* An initiation that is good in all but the addresses. */
static void
initiate(const struct udp_app *app)
{
	uint8_t message[UDP_TALK_INITIATION_BYTES];

	udp_talk_initiation(message, &key_a, app->index);
	udp_app_send(app, message, sizeof(message));
}

/* From one address it is dropped for this reason and reaches nobody; from the other, at the same
 * relay, it opens a leg. */
static void
expect_not_heard(const char *bad_from, const char *bad_to, const char *reason,
		 const char *good_from, const char *good_to)
{
	if (!has_network)
		skip();
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	struct udp_app bad = udp_app_open_to(&relay, bad_from, 0, bad_to);
	struct udp_app good = udp_app_open_to(&relay, good_from, 0, good_to);

	udp_rig_bind(session_1, node_a, &key_a, &good);
	initiate(&bad);
	udp_rig_await_drops(reason, 1);
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"opened\"}"), 0);
	udp_talk_shake_hands(node, &key_a, &good, session_1, 11);
	assert_int_equal(udp_rig_drops(reason), 1);
	assert_true(udp_app_is_quiet(&bad, 0));
	udp_app_close(&bad);
	udp_app_close(&good);
	raw_leg_close(&node);
}

static void
test_U30_private_source_at_a_public_address_is_not_heard(void **state)
{
	(void)state;
	expect_not_heard(PRIVATE_4, RELAY_4, "martian", CLIENT_4, RELAY_4);
}

static void
test_U32_broadcast_is_not_heard(void **state)
{
	(void)state;
	expect_not_heard(CLIENT_4, EVERYBODY_4, "destination", CLIENT_4, RELAY_4);
}

static void
test_U34_link_local_source_is_not_heard(void **state)
{
	(void)state;
	expect_not_heard(LINK_LOCAL_6, RELAY_6, "martian", CLIENT_6, RELAY_6);
}

/* U26: no socket sends from port 0, so it is made by hand. */
static void
test_U26_source_port_0_is_not_heard(void **state)
{
	uint8_t packet[sizeof(struct udphdr) + UDP_TALK_INITIATION_BYTES];
	struct udphdr header = { .len = htons(sizeof(packet)) };
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };

	(void)state;
	if (!has_network)
		skip();
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open_to(&relay, CLIENT_4, 0, RELAY_4);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	assert_true(fd >= 0);
	udp_rig_bind(session_1, node_a, &key_a, &app);
	header.dest = htons(relay.udp_port);
	memcpy(packet, &header, sizeof(header));
	udp_talk_initiation(packet + sizeof(header), &key_a, app.index);
	assert_int_equal(inet_pton(AF_INET, CLIENT_4, &from.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, RELAY_4, &to.sin_addr), 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(
		sendto(fd, packet, sizeof(packet), 0, (const struct sockaddr *)&to, sizeof(to)),
		sizeof(packet));
	udp_rig_await_drops("source", 1);
	assert_true(raw_leg_is_quiet(node, 50));
	udp_talk_shake_hands(node, &key_a, &app, session_1, 11);
	close(fd);
	udp_app_close(&app);
	raw_leg_close(&node);
}

/* ---- what the system does not take ---- */

enum { REFUSED = 30 };

/* Datagrams of the node, singly and in one message. All are counted, once, and the next client has
 * nothing of it. */
static void
expect_refused(struct raw_leg *node, uint32_t channel, const struct udp_app *app, uint64_t so_far)
{
	uint8_t datagram[128], message[LEG_MESSAGE_MAX_BYTES];
	struct leg_writer writer;

	leg_writer_init(&writer, true, channel, message, sizeof(message));
	for (unsigned i = 0; i < REFUSED / 2; i++) {
		udp_talk_transport(datagram, sizeof(datagram), app->index, i);
		udp_talk_node_send(node, channel, datagram, sizeof(datagram));
		assert_int_equal(leg_writer_add(&writer, datagram, sizeof(datagram)), 0);
	}
	assert_true(raw_leg_send(node, 0x82, message, writer.n));
	udp_rig_await_drops("send", so_far + REFUSED);
}

/* U60: EPERM, by a firewall of the relay's own host, and EHOSTUNREACH. Counted, nothing is tried
 * again, nobody is removed; once the system takes it again, it goes. */
static void
test_U60_what_the_system_refuses_is_counted_and_not_repeated(void **state)
{
	(void)state;
	if (!has_network || !run("nft add table ip refusal && nft 'add chain ip refusal out "
				 "{ type filter hook output priority 0; }'"))
		skip();
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open_to(&relay, CLIENT_4, 0, RELAY_4);
	struct udp_app other = udp_app_open_to(&relay, CLIENT_6, 0, RELAY_6);
	udp_rig_bind(session_1, node_a, &key_a, &app);
	udp_rig_bind(session_2, node_a, &key_a, &other);
	uint32_t channel = udp_talk_shake_hands(node, &key_a, &app, session_1, 11);
	uint32_t others = udp_talk_shake_hands(node, &key_a, &other, session_2, 12);

	assert_true(run("nft add rule ip refusal out ip daddr " CLIENT_4 " meta l4proto udp drop"));
	expect_refused(node, channel, &app, 0);
	udp_talk_exchange(node, others, &other, 12, 1);
	assert_true(run("nft delete table ip refusal"));
	udp_talk_exchange(node, channel, &app, 11, 1);
	assert_int_equal(udp_rig_drops("send"), REFUSED);

	assert_true(run("ip address delete " CLIENT_4 "/32 dev lo && "
			"ip route add unreachable " CLIENT_4));
	expect_refused(node, channel, &app, REFUSED);
	udp_talk_exchange(node, others, &other, 12, 2);
	assert_true(run("ip route delete unreachable " CLIENT_4 " && "
			"ip address add " CLIENT_4 "/32 dev lo"));
	udp_talk_exchange(node, channel, &app, 11, 2);
	assert_int_equal(udp_rig_drops("send"), 2 * REFUSED);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"), 2);
	udp_app_close(&app);
	udp_app_close(&other);
	raw_leg_close(&node);
}

/* U60: ENOBUFS: a datagram that goes in fragments needs more room than the least buffer has. What
 * was sent with it as one bundle goes all the same. (A device's full queue says nothing to a UDP
 * socket that does not ask for errors: the kernel takes its ENOBUFS back and counts it itself.) */
static void
test_U60_what_finds_no_buffer_is_counted_and_the_rest_goes(void **state)
{
	enum { LARGE_BYTES = 9008, SMALL_BYTES = 64, LARGE = 2 };
	static uint8_t message[LEG_MESSAGE_MAX_BYTES], large[LARGE_BYTES], small[SMALL_BYTES];
	static uint8_t got[LARGE_BYTES + 1];
	const struct relay_control *control = relay.state;
	int least = 1, much = 1024 * 1024;
	struct leg_writer writer;

	(void)state;
	if (!has_network || !run("ip link set lo mtu 1400"))
		skip();
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open_to(&relay, CLIENT_4, 0, RELAY_4);
	int fd = control->shards[0]->udp->fd;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(node, &key_a, &app, session_1, 11);
	udp_talk_exchange(node, channel, &app, 11, 1);
	udp_talk_transport(large, sizeof(large), app.index, 2);
	udp_talk_transport(small, sizeof(small), app.index, 3);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	leg_writer_init(&writer, true, channel, message, sizeof(message));
	for (int i = 0; i < LARGE; i++)
		assert_int_equal(leg_writer_add(&writer, large, sizeof(large)), 0);
	assert_int_equal(leg_writer_add(&writer, small, sizeof(small)), 0);
	assert_true(raw_leg_send(node, 0x82, message, writer.n));
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), sizeof(small));
	udp_rig_await_drops("send", LARGE);

	/* With room it goes: a bundle whose pieces do not fit the path, one by one. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much)), 0);
	assert_true(raw_leg_send(node, 0x82, message, writer.n));
	for (int i = 0; i < LARGE; i++)
		assert_int_equal(udp_app_receive(&app, got, sizeof(got)), sizeof(large));
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), sizeof(small));
	assert_int_equal(udp_rig_drops("send"), LARGE);
	udp_app_close(&app);
	raw_leg_close(&node);
}

#define IN_NETWORK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_NETWORK(test_U26_source_port_0_is_not_heard),
		IN_NETWORK(test_U30_private_source_at_a_public_address_is_not_heard),
		IN_NETWORK(test_U32_broadcast_is_not_heard),
		IN_NETWORK(test_U34_link_local_source_is_not_heard),
		IN_NETWORK(test_U60_what_the_system_refuses_is_counted_and_not_repeated),
		IN_NETWORK(test_U60_what_finds_no_buffer_is_counted_and_the_rest_goes),
	};

	return cmocka_run_group_tests(tests, make_network, NULL);
}

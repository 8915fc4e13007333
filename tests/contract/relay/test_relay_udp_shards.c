/*
 * UDP legs where the kernel spreads sources over several shards: whichever hears a source, its
 * node's shard has it; answers, moves and rehashing included.
 */
#include "udp_rig.h"

#include "relay/relay_control.h"
#include "relay/relay_mailbox.h"
#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { CLIENTS = 16, STEPS = 10 };

static void
session_id(unsigned i, uint8_t ret[UUID_BYTES + 1])
{
	snprintf((char *)ret, UUID_BYTES + 1, "session-%08u", i);
}

static int
set_up(void **state)
{
	(void)state;
	udp_rig_start("shards = 3");
	return 0;
}

struct client {
	struct udp_app app;
	uint32_t channel, index;
};

static void
start_clients(struct raw_leg *const nodes[2], struct client clients[CLIENTS])
{
	uint8_t id[UUID_BYTES + 1];
	char address[INET_ADDRSTRLEN];

	for (unsigned i = 0; i < CLIENTS; i++) {
		bool is_b = i % 2 == 1;

		snprintf(address, sizeof(address), "127.0.%u.1", 1 + i);
		session_id(i, id);
		clients[i].app = udp_app_open(&relay, address, 0);
		clients[i].index = 1000 + i;
		assert_int_equal(udp_talk_bind(&relay, id, is_b ? node_b : node_a,
					       is_b ? &key_b : &key_a, &clients[i].app.key,
					       UDP_RIG_HOUR_MS, NULL),
				 0);
		clients[i].channel = udp_talk_shake_hands(nodes[is_b], is_b ? &key_b : &key_a,
							  &clients[i].app, id, clients[i].index);
	}
}

static void
end_clients(struct raw_leg *nodes[2], struct client clients[CLIENTS])
{
	for (unsigned i = 0; i < CLIENTS; i++)
		udp_app_close(&clients[i].app);
	raw_leg_close(&nodes[0]);
	raw_leg_close(&nodes[1]);
}

static void
exchange(struct raw_leg *const nodes[2], const struct client clients[CLIENTS], uint64_t counter)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		udp_talk_exchange(nodes[i % 2], clients[i].channel, &clients[i].app,
				  clients[i].index, counter);
}

static void
test_any_shard_hears_for_all(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	struct client clients[CLIENTS];

	(void)state;
	start_clients(nodes, clients);
	for (uint64_t i = 1; i < 10; i++)
		exchange(nodes, clients, i);
	assert_true(relay_fixture_counter(&relay, "udp_handed_total") > 0);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"), CLIENTS);
	end_clients(nodes, clients);
}

/* It hears one peer only, who never says anything; the kernel gives it no other's datagrams. */
static void
deafen(const struct relay_shard *shard)
{
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(9) };

	assert_int_equal(inet_pton(AF_INET, "127.0.99.99", &nobody.sin_addr), 1);
	assert_int_equal(connect(shard->udp->fd, (const struct sockaddr *)&nobody, sizeof(nobody)),
			 0);
}

/* U62: when shards hear no more, their sources arrive at the one that is left. Both ways go on for
 * everybody: of the second that may be lost, nothing is. (Shards are threads: they do not die
 * alone.) */
static void
test_U62_sources_of_a_deaf_shard_go_on(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	const struct relay_control *control = relay.state;
	struct client clients[CLIENTS];

	(void)state;
	start_clients(nodes, clients);
	uint64_t handed = relay_fixture_counter(&relay, "udp_handed_total");
	deafen(control->shards[0]);
	deafen(control->shards[1]);
	exchange(nodes, clients, 77);
	/* All of them came by the third shard, which has at most one of the two nodes. */
	relay_fixture_await(&relay, "udp_handed_total", handed + CLIENTS / 2);
	for (uint64_t i = 78; i < 88; i++)
		exchange(nodes, clients, i);
	end_clients(nodes, clients);
}

/* A client that moves arrives anywhere: what the node announced is known to all shards. */
static void
test_client_that_moves_is_known_anywhere(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	struct client clients[CLIENTS];
	uint8_t message[96], got[256];
	char address[INET_ADDRSTRLEN];

	(void)state;
	start_clients(nodes, clients);
	for (unsigned i = 0; i < CLIENTS; i++) {
		snprintf(address, sizeof(address), "127.1.%u.1", 1 + i);
		struct udp_app moved = udp_app_open(&relay, address, 0);
		udp_talk_transport(message, sizeof(message), clients[i].index, 50);
		udp_app_send(&moved, message, sizeof(message));
		uint32_t channel = udp_talk_channel(nodes[i % 2], NULL);
		udp_talk_node_receive(nodes[i % 2], channel, got, sizeof(got));
		assert_memory_equal(got, message, sizeof(message));
		udp_app_close(&moved);
		udp_app_close(&clients[i].app);
	}
	raw_leg_close(&nodes[0]);
	raw_leg_close(&nodes[1]);
}

/* T17: what a stranger forges in a client's name, for another shard's node, whose key he knows,
 * takes nothing over: the client's leg stays where it is, whichever shard hears it. */
static void
test_T17_forged_initiation_takes_no_source_to_another_shard(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	struct client clients[CLIENTS];
	uint8_t forged[UDP_TALK_INITIATION_BYTES];

	(void)state;
	start_clients(nodes, clients);
	for (unsigned i = 0; i < CLIENTS; i++) {
		udp_talk_initiation(forged, i % 2 == 1 ? &key_a : &key_b, 9000 + i);
		udp_app_send(&clients[i].app, forged, sizeof(forged));
	}
	udp_rig_await_drops("mac1", CLIENTS);
	for (uint64_t i = 1; i < 5; i++)
		exchange(nodes, clients, i);
	end_clients(nodes, clients);
}

/* A source whose session is over is free: its next one, with a node of another shard, begins with
 * its first initiation. */
static void
test_source_goes_on_with_a_node_of_another_shard(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	struct client clients[CLIENTS];
	uint8_t id[UUID_BYTES + 1];

	(void)state;
	start_clients(nodes, clients);
	for (unsigned i = 0; i < CLIENTS; i++) {
		bool was_b = i % 2 == 1;
		struct client *client = &clients[i];

		session_id(i, id);
		assert_int_equal(udp_talk_unbind(&relay, id), 0);
		udp_talk_closed(nodes[was_b], client->channel);
		session_id(100 + i, id);
		client->index = 2000 + i;
		assert_int_equal(udp_talk_bind(&relay, id, was_b ? node_a : node_b,
					       was_b ? &key_a : &key_b, &client->app.key,
					       UDP_RIG_HOUR_MS, NULL),
				 0);
		client->channel = udp_talk_shake_hands(nodes[!was_b], was_b ? &key_a : &key_b,
						       &client->app, id, client->index);
		udp_talk_exchange(nodes[!was_b], client->channel, &client->app, client->index, 1);
	}
	/* The hearers know it now: each goes there in one step. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t handed = relay_fixture_counter(&relay, "udp_handed_total");
		for (uint64_t counter = 2; counter < 2 + STEPS; counter++)
			udp_talk_exchange(nodes[i % 2 == 0], clients[i].channel, &clients[i].app,
					  clients[i].index, counter);
		assert_in_range(relay_fixture_counter(&relay, "udp_handed_total"), handed,
				handed + STEPS + STEPS / 2);
	}
	end_clients(nodes, clients);
}

/* A datagram as one shard gives it back to another. */
static void
give_back(struct relay_shard *to, unsigned from, const uint8_t *datagram, size_t n)
{
	struct relay_udp_tuple tuple = { .port = htons(7) };
	struct relay_message *message =
		relay_message_new(RELAY_UDP_RETURNED, NULL, sizeof(tuple) + 2 + n);

	assert_non_null(message);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.1.1", &tuple.remote), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &tuple.local), 1);
	message->from_shard = from;
	memcpy(message->bytes, &tuple, sizeof(tuple));
	message->bytes[sizeof(tuple)] = (uint8_t)(n >> 8);
	message->bytes[sizeof(tuple) + 1] = (uint8_t)n;
	memcpy(message->bytes + sizeof(tuple) + 2, datagram, n);
	atomic_fetch_add(&to->udp_bytes, (int64_t)message->n);
	assert_int_equal(relay_mailbox_send(&to->mailbox, &message), 0);
}

/* Shards that do not agree on whose a node is, since one of them has not heard of it yet, send no
 * datagram round in circles: what comes back from the shard that it is for goes nowhere. */
static void
test_shards_that_disagree_make_no_circle(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	const struct relay_control *control = relay.state;
	unsigned owner = relay_shard_of(node_a, 3), hearer = (owner + 1) % 3;
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	udp_talk_initiation(message, &key_a, app.index);
	give_back(control->shards[hearer], owner, message, sizeof(message));
	udp_rig_await_drops("no_node", 1);
	/* From any other it is passed on. */
	give_back(control->shards[hearer], (owner + 2) % 3, message, sizeof(message));
	uint32_t channel = udp_talk_channel(node, NULL);
	assert_int_equal(udp_talk_node_receive(node, channel, got, sizeof(got)), sizeof(message));
	assert_int_equal(udp_rig_drops("no_node"), 1);
	udp_app_close(&app);
	raw_leg_close(&node);
}

#define SHARD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SHARD_TEST(test_any_shard_hears_for_all),
		SHARD_TEST(test_U62_sources_of_a_deaf_shard_go_on),
		SHARD_TEST(test_client_that_moves_is_known_anywhere),
		SHARD_TEST(test_T17_forged_initiation_takes_no_source_to_another_shard),
		SHARD_TEST(test_shards_that_disagree_make_no_circle),
		SHARD_TEST(test_source_goes_on_with_a_node_of_another_shard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

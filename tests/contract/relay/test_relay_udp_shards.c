/*
 * UDP legs where the kernel spreads sources over several shards: whichever hears a source, its
 * node's shard has it; answers, moves and rehashing included.
 */
#include "udp_rig.h"

#include "relay/relay_control.h"
#include "relay/relay_udp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLIENTS = 16 };

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
	for (unsigned i = 0; i < CLIENTS; i++)
		udp_app_close(&clients[i].app);
	raw_leg_close(&nodes[0]);
	raw_leg_close(&nodes[1]);
}

/* U62: when a shard hears no more, its sources arrive at the others and go on. */
static void
test_U62_sources_of_a_deaf_shard_go_on(void **state)
{
	struct raw_leg *nodes[2] = { raw_leg_open(&relay, node_a, NULL),
				     raw_leg_open(&relay, node_b, NULL) };
	const struct relay_control *control = relay.state;
	struct client clients[CLIENTS];

	(void)state;
	start_clients(nodes, clients);
	for (unsigned i = 0; i < 2; i++) {
		int deaf = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_true(deaf >= 0);
		assert_true(dup3(deaf, control->shards[i]->udp->fd, O_CLOEXEC) >= 0);
		close(deaf);
	}
	/* Answers that would leave by the deaf shards' sockets are of another port now: upwards
	 * only. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint8_t message[96], got[256];

		udp_talk_transport(message, sizeof(message), clients[i].index, 77);
		udp_app_send(&clients[i].app, message, sizeof(message));
		assert_int_equal(
			udp_talk_node_receive(nodes[i % 2], clients[i].channel, got, sizeof(got)),
			sizeof(message));
		assert_memory_equal(got, message, sizeof(message));
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		udp_app_close(&clients[i].app);
	raw_leg_close(&nodes[0]);
	raw_leg_close(&nodes[1]);
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

#define SHARD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SHARD_TEST(test_any_shard_hears_for_all),
		SHARD_TEST(test_U62_sources_of_a_deaf_shard_go_on),
		SHARD_TEST(test_client_that_moves_is_known_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What a source without a leg gets by what it sends, and how what is good goes on to its node: a
 * shard alone, whose time the test sets; the node's far end is read here. T16 T17.
 */
#include "shard_alone.h"
#include "shard_leg.h"
#include "udp_message.h"

#include "leg/leg_frame.h"
#include "relay/relay_gone.h"
#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { INDEX = 77, RESPONSE_BYTES = 92, KEEPALIVE_BYTES = 32 };

static const uint8_t node_id[UUID_BYTES] = "a node", absent_id[UUID_BYTES] = "another node";
static const struct key node_key = { .bytes = { 1 } }, absent_key = { .bytes = { 2 } };

static struct relay_settings settings;
static struct shard_alone rig;
static struct relay_leg *node_leg;
static struct relay_udp_session *session;
static int node_fd;

/* ---- the node ---- */

static void
node_comes(void)
{
	struct ticket ticket = { .role = TICKET_ROLE_NODE };
	char answer[1024];

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	node_fd = shard_leg_attach(rig.shard, &ticket, false, &node_leg);
	assert_in_range(node_fd, 0, INT32_MAX);
	assert_true(read(node_fd, answer, sizeof(answer)) > 0);
}

static void
node_goes(void)
{
	close(node_fd);
	node_fd = -1;
	shard_alone_turn(&rig, NULL);
}

static void
flush(void)
{
	relay_udp_batch_flush(rig.shard);
	do
		relay_round_flush(rig.shard);
	while (relay_leg_reap(rig.shard));
}

/* The next data message that reached the node; 0: none has. */
static size_t
next_message(uint8_t message[LEG_MESSAGE_MAX_BYTES])
{
	uint8_t head[4];

	flush();
	do {
		size_t n;

		if (read(node_fd, head, 2) != 2)
			return 0;
		assert_in_range(head[1], 0, 126);
		n = head[1];
		if (n == 126) {
			assert_int_equal(read(node_fd, head + 2, 2), 2);
			n = (size_t)head[2] << 8 | head[3];
		}
		assert_int_equal(read(node_fd, message, n), n);
		if (head[0] == 0x82 && message[0] == LEG_KIND_DATA)
			return n;
	} while (true);
}

/* ---- sources ---- */

static struct relay_udp_tuple
tuple_of(const char *address, uint16_t port)
{
	struct relay_udp_tuple tuple = { .port = htons(port) };
	char text[INET6_ADDRSTRLEN + 8];

	snprintf(text, sizeof(text), "::ffff:%s", address);
	assert_int_equal(inet_pton(AF_INET6, text, &tuple.remote), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &tuple.local), 1);
	return tuple;
}

/* Each of a network of its own, so that none is rationed for another. */
static struct relay_udp_tuple
tuple_of_network(unsigned i)
{
	char address[INET_ADDRSTRLEN];

	snprintf(address, sizeof(address), "127.%u.%u.1", 1 + i / 256 % 100, i % 256);
	return tuple_of(address, 1);
}

static void
take(const struct relay_udp_tuple *tuple, const uint8_t *message, size_t n)
{
	relay_udp_take(rig.shard, tuple, message, n);
	flush();
}

static void
initiate(const struct relay_udp_tuple *tuple, const struct key *key)
{
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];

	udp_message_initiation(message, key, 1);
	take(tuple, message, sizeof(message));
}

/* Of 16 times `blocks` bytes. */
static const uint8_t *
transport(uint8_t *message, uint32_t index, unsigned blocks, uint8_t mark)
{
	memset(message, mark, (size_t)16 * blocks);
	memcpy(message, (const uint8_t[]){ DATAGRAM_TRANSPORT, 0, 0, 0 }, 4);
	memcpy(message + 4, &index, sizeof(index));
	memset(message + 8, 0, 8); /* the counter */
	return message;
}

static void
keep_alive(const struct relay_udp_tuple *tuple, uint32_t index)
{
	uint8_t message[KEEPALIVE_BYTES];

	take(tuple, transport(message, index, 2, 0), sizeof(message));
}

static struct relay_udp_flow *
flow_of(const struct relay_udp_tuple *tuple)
{
	return relay_udp_flows_find(&rig.shard->udp->flows, tuple);
}

/* A source whose leg the node answered. */
static struct relay_udp_flow *
open_proven(const struct relay_udp_tuple *tuple)
{
	uint8_t message[LEG_MESSAGE_MAX_BYTES];

	initiate(tuple, &node_key);
	assert_non_null(flow_of(tuple));
	relay_udp_flow_answered(&rig.shard->udp->flows, flow_of(tuple), session, RELAY_UDP_PROVEN,
				rig.shard->now_ms);
	assert_true(next_message(message) > 0);
	return flow_of(tuple);
}

static uint64_t
count(enum relay_counter which)
{
	return atomic_load(&rig.shard->counters.value[which]);
}

/* ---- sessions ---- */

static struct relay_udp_session *
bind_session(const uint8_t id[UUID_BYTES], const struct key *key, uint8_t number)
{
	struct relay_udp_binding binding = { .session_id = { number }, .node_key = *key };

	memcpy(binding.node_id, id, UUID_BYTES);
	binding.ends_ms = rig.shard->now_ms + 3600 * 1000;
	relay_udp_bind(rig.shard, &binding);
	return relay_udp_sessions_find(&rig.shard->udp->sessions, binding.session_id);
}

static int
set_up(void **state)
{
	static const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES] = { 5 };
	uint16_t port = 0;
	int fd;

	(void)state;
	settings = shard_alone_settings;
	settings.legs_max = settings.channels_max = 1000;
	shard_alone_start(&rig, &settings);
	assert_int_equal(relay_udp_socket_open("127.0.0.1", false, &port, &fd), 0);
	assert_int_equal(relay_udp_new(rig.shard, fd, secret), 0);
	node_comes();
	session = bind_session(node_id, &node_key, 1);
	relay_udp_sessions_learn(&rig.shard->udp->sessions, session, INDEX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shard_alone_stop(&rig);
	if (node_fd >= 0)
		close(node_fd);
	return 0;
}

/* ---- what an index opens ---- */

static void
test_T17_cookie_with_a_known_index_opens_nothing(void **state)
{
	struct relay_udp_tuple tuple = tuple_of_network(0);
	uint8_t message[UDP_MESSAGE_COOKIE_BYTES] = { DATAGRAM_COOKIE, 0, 0, 0, INDEX };

	(void)state;
	take(&tuple, message, sizeof(message));
	assert_null(flow_of(&tuple));
	assert_int_equal(count(RELAY_UDP_DROP_INDEX), 1);
}

static void
test_T17_response_with_a_known_index_opens_a_leg_only_by_its_mac1(void **state)
{
	struct relay_udp_tuple tuple = tuple_of_network(0);
	uint8_t message[RESPONSE_BYTES] = { DATAGRAM_RESPONSE, 0, 0, 0, 1, 0, 0, 0, INDEX };
	struct mac1_key key;

	(void)state;
	take(&tuple, message, sizeof(message));
	assert_null(flow_of(&tuple));
	assert_int_equal(count(RELAY_UDP_DROP_MAC1), 1);
	mac1_key_init(&key, node_key.bytes);
	mac1_compute(&key, message, RESPONSE_BYTES - 2 * MAC1_BYTES,
		     message + RESPONSE_BYTES - 2 * MAC1_BYTES);
	take(&tuple, message, sizeof(message));
	assert_non_null(flow_of(&tuple));
}

static void
test_T17_stranger_with_an_index_has_so_many_tries_and_no_more(void **state)
{
	enum { MORE = 7 };
	struct relay_udp_tuple tuple = tuple_of_network(0);

	(void)state;
	for (unsigned i = 0; i < RELAY_UDP_TRY_RATE + MORE; i++)
		keep_alive(&tuple, INDEX);
	assert_int_equal(count(RELAY_DATAGRAMS_TRANSPORT), RELAY_UDP_TRY_RATE);
	assert_int_equal(count(RELAY_UDP_DROP_RATE), MORE);
	assert_int_equal(flow_of(&tuple)->bytes_in, RELAY_UDP_TRY_RATE * KEEPALIVE_BYTES);
}

/* Legs that were opened by mac1 may turn out to use one index, more of them than it may open. */
static void
test_T17_legs_that_came_to_use_an_index_make_way_for_the_next(void **state)
{
	enum { MANY = RELAY_UDP_HALF_OPEN_SESSION_MAX + 3 };
	struct relay_udp_tuple tuple;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		tuple = tuple_of_network(i);
		initiate(&tuple, &node_key);
		keep_alive(&tuple, INDEX);
	}
	assert_int_equal(session->half_count, MANY);
	tuple = tuple_of_network(MANY);
	keep_alive(&tuple, INDEX);
	assert_non_null(flow_of(&tuple));
	assert_int_equal(session->half_count, RELAY_UDP_HALF_OPEN_SESSION_MAX);
	assert_int_equal(count(RELAY_UDP_EVICTED), 4);
	assert_int_equal(count(RELAY_UDP_ALARMS), 4);
}

static void
test_a_full_node_is_no_sign_of_an_index_that_many_use(void **state)
{
	struct relay_udp_tuple tuple;

	(void)state;
	for (unsigned i = 0; i < RELAY_UDP_HALF_OPEN_NODE_MAX; i++) {
		tuple = tuple_of_network(i);
		initiate(&tuple, &node_key);
	}
	tuple = tuple_of_network(RELAY_UDP_HALF_OPEN_NODE_MAX);
	keep_alive(&tuple, INDEX);
	assert_non_null(flow_of(&tuple));
	assert_int_equal(count(RELAY_UDP_EVICTED), 1);
	assert_int_equal(count(RELAY_UDP_ALARMS), 0);
}

static void
test_an_index_of_another_shards_node_opens_nothing_here(void **state)
{
	struct relay_udp_tuple tuple = tuple_of_network(0);
	uint8_t id[UUID_BYTES] = { 1 };

	(void)state;
	rig.shard->count = 2;
	while (relay_shard_of(id, 2) != 1)
		id[0]++;
	relay_udp_sessions_learn(&rig.shard->udp->sessions, bind_session(id, &absent_key, 2),
				 INDEX + 1);
	keep_alive(&tuple, INDEX + 1);
	assert_null(flow_of(&tuple));
	assert_int_equal(rig.shard->udp->hand.routes.count, 1);
}

/* ---- for whom there is no leg ---- */

static void
test_there_is_no_leg_to_a_node_that_is_not_here(void **state)
{
	struct relay_udp_tuple first = tuple_of_network(0), next = tuple_of_network(1);

	(void)state;
	bind_session(absent_id, &absent_key, 2);
	initiate(&next, &absent_key); /* never was */
	assert_null(flow_of(&next));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 1);
	open_proven(&first);
	relay_leg_doom(rig.shard, node_leg, 0, "test");
	initiate(&next, &node_key); /* is about to go */
	assert_null(flow_of(&next));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 2);
	node_goes();
	initiate(&next, &node_key); /* is waited for */
	assert_null(flow_of(&next));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 3);
	assert_non_null(flow_of(&first));
	assert_int_equal(count(RELAY_UDP_OPENED), 1);
}

static void
test_a_source_for_which_there_is_no_room_leaves_nothing(void **state)
{
	struct relay_udp_tuple tuple;

	(void)state;
	rig.settings.channels_max = 2;
	for (unsigned i = 0; i < 3; i++) {
		tuple = tuple_of_network(i);
		initiate(&tuple, &node_key);
		assert_int_equal(flow_of(&tuple) != NULL, i < 2);
	}
	assert_int_equal(count(RELAY_UDP_DROP_NO_ROOM), 1);
	assert_int_equal(count(RELAY_UDP_OPENED), 2);
	assert_int_equal(rig.shard->udp->flows.half_open.n, 2);
	assert_int_equal(session->node->half_count, 2);
}

/* A mesh could lead to it, were it not deleted. */
static void
test_a_deleted_node_is_no_lack_of_memory(void **state)
{
	static uint8_t mesh[256];
	struct relay_udp_tuple tuple = tuple_of_network(0);

	(void)state;
	bind_session(absent_id, &absent_key, 2);
	relay_gone_add(&rig.shard->deleted, absent_id, NULL);
	rig.shard->mesh = (struct relay_mesh_mail *)(void *)mesh; /* not used */
	initiate(&tuple, &absent_key);
	rig.shard->mesh = NULL;
	assert_null(flow_of(&tuple));
	assert_int_equal(count(RELAY_UDP_DROP_MEMORY), 0);
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 1);
}

static void
test_T16_nodes_that_could_not_be_tried_are_told_from_junk(void **state)
{
	struct relay_udp_tuple tuple = tuple_of_network(0);
	struct key key = node_key;

	(void)state;
	initiate(&tuple, &absent_key);
	assert_int_equal(count(RELAY_UDP_DROP_MAC1), 1);
	for (unsigned i = 0; i < RELAY_UDP_CANDIDATES_MAX; i++) {
		struct relay_udp_binding binding = { .ends_ms = INT64_MAX };

		memcpy(binding.session_id + 1, &i, sizeof(i));
		memcpy(binding.node_id + 1, &i, sizeof(i));
		key.bytes[5] = 1;
		memcpy(key.bytes + 1, &i, sizeof(i));
		binding.node_key = key;
		relay_udp_bind(rig.shard, &binding);
	}
	initiate(&tuple, &absent_key);
	assert_int_equal(count(RELAY_UDP_DROP_MAC1), 1);
	assert_int_equal(count(RELAY_UDP_DROP_BUDGET), 1);
}

/* ---- on to the node ---- */

/* What is next in a message, all of it `mark` from byte 16 on. */
static void
expect_next(struct leg_reader *reader, size_t n, uint8_t mark)
{
	const uint8_t *datagram;
	size_t datagram_n;

	assert_int_equal(leg_reader_next(reader, &datagram, &datagram_n), 1);
	assert_int_equal(datagram_n, n);
	assert_int_equal(datagram[0], DATAGRAM_TRANSPORT);
	for (size_t i = 16; i < n; i++)
		assert_int_equal(datagram[i], mark);
}

static void
expect_end(struct leg_reader *reader)
{
	const uint8_t *datagram;
	size_t n;

	assert_int_equal(leg_reader_next(reader, &datagram, &n), 0);
}

static void
expect_message(struct leg_reader *reader, const struct relay_udp_flow *flow)
{
	static uint8_t message[LEG_MESSAGE_MAX_BYTES];
	size_t n = next_message(message);

	assert_int_equal(leg_reader_init(reader, true, message, n), 0);
	assert_int_equal(reader->channel, flow->leg->channel->number);
}

static void
test_so_many_datagrams_of_a_source_go_in_one_message_and_are_counted(void **state)
{
	enum { N = RELAY_UDP_BATCH_MAX + 1 };
	static uint8_t messages[N][16 * 40];
	struct relay_udp_tuple tuple = tuple_of_network(0);
	struct relay_udp_flow *flow = open_proven(&tuple);
	struct relay_carried before = flow->leg->channel->carried;
	uint64_t bytes = count(RELAY_BYTES_UP), up = count(RELAY_MESSAGES_UP), sent = 0;
	struct leg_reader reader;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		relay_udp_take(rig.shard, &tuple,
			       transport(messages[i], INDEX, 2 + 2 * i, (uint8_t)i), 32 + 32 * i);
		sent += 32 + 32 * i;
	}
	expect_message(&reader, flow);
	for (unsigned i = 0; i < RELAY_UDP_BATCH_MAX; i++)
		expect_next(&reader, 32 + 32 * i, (uint8_t)i);
	expect_end(&reader);
	expect_message(&reader, flow);
	expect_next(&reader, 32 + 32 * (N - 1), N - 1);
	expect_end(&reader);
	assert_int_equal(count(RELAY_MESSAGES_UP) - up, 2);
	assert_int_equal(count(RELAY_BYTES_UP) - bytes, sent);
	assert_int_equal(count(RELAY_DATAGRAMS_TRANSPORT), N);
	assert_int_equal(count(RELAY_DATAGRAMS_INITIATION), 1);
	assert_int_equal(flow->leg->channel->carried.bytes_up - before.bytes_up, sent);
	/* What WireGuard carried in them: all but the one that is a keepalive has something. */
	assert_int_equal(flow->leg->channel->carried.data_up - before.data_up,
			 sent - (uint64_t)N * KEEPALIVE_BYTES);
	assert_int_equal(before.bytes_up, UDP_MESSAGE_INITIATION_BYTES);
	assert_int_equal(before.data_up, 0);
}

/* Handshakes are bytes and no packets. */
static void
test_what_wireguard_says_by_itself_is_no_data(void **state)
{
	uint8_t response[RESPONSE_BYTES] = { DATAGRAM_RESPONSE, 0, 0, 0, 1, 0, 0, 0, INDEX };
	uint8_t cookie[UDP_MESSAGE_COOKIE_BYTES] = { DATAGRAM_COOKIE, 0, 0, 0, INDEX };
	struct relay_udp_tuple tuple = tuple_of_network(0);
	struct relay_udp_flow *flow = open_proven(&tuple);
	struct mac1_key key;

	(void)state;
	mac1_key_init(&key, node_key.bytes);
	mac1_compute(&key, response, RESPONSE_BYTES - 2 * MAC1_BYTES,
		     response + RESPONSE_BYTES - 2 * MAC1_BYTES);
	relay_udp_take(rig.shard, &tuple, response, sizeof(response));
	relay_udp_take(rig.shard, &tuple, response, sizeof(response));
	relay_udp_take(rig.shard, &tuple, cookie, sizeof(cookie));
	flush();
	assert_int_equal(count(RELAY_DATAGRAMS_RESPONSE), 2);
	assert_int_equal(count(RELAY_DATAGRAMS_COOKIE), 1);
	assert_int_equal(flow->leg->channel->carried.bytes_up, UDP_MESSAGE_INITIATION_BYTES +
								       2 * RESPONSE_BYTES +
								       UDP_MESSAGE_COOKIE_BYTES);
	assert_int_equal(flow->leg->channel->carried.data_up, 0);
}

static void
test_so_many_bytes_of_a_source_go_in_one_message(void **state)
{
	enum { THIRD = RELAY_UDP_BATCH_BYTES / 3 };
	static uint8_t messages[6][THIRD + 16];
	struct relay_udp_tuple tuple = tuple_of_network(0);
	struct relay_udp_flow *flow = open_proven(&tuple);
	struct leg_reader reader;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		relay_udp_take(rig.shard, &tuple,
			       transport(messages[i], INDEX, THIRD / 16 + (i == 5), (uint8_t)i),
			       THIRD + 16 * (i == 5));
	expect_message(&reader, flow);
	for (uint8_t i = 0; i < 3; i++)
		expect_next(&reader, THIRD, i);
	expect_end(&reader);
	expect_message(&reader, flow);
	expect_next(&reader, THIRD, 3);
	expect_next(&reader, THIRD, 4);
	expect_end(&reader);
	expect_message(&reader, flow);
	expect_next(&reader, THIRD + 16, 5);
	expect_end(&reader);
}

static void
test_datagrams_of_two_sources_go_in_messages_of_their_own_in_order(void **state)
{
	uint8_t messages[4][KEEPALIVE_BYTES];
	struct relay_udp_tuple tuples[2] = { tuple_of_network(0), tuple_of_network(1) };
	struct relay_udp_flow *flows[2] = { open_proven(&tuples[0]), open_proven(&tuples[1]) };
	struct leg_reader reader;

	(void)state;
	assert_int_not_equal(flows[0]->leg->channel->number, flows[1]->leg->channel->number);
	for (unsigned i = 0; i < 4; i++)
		relay_udp_take(rig.shard, &tuples[i / 2 % 2 ^ (i == 3)],
			       transport(messages[i], INDEX, 2, (uint8_t)i), KEEPALIVE_BYTES);
	expect_message(&reader, flows[0]);
	expect_next(&reader, KEEPALIVE_BYTES, 0);
	expect_next(&reader, KEEPALIVE_BYTES, 1);
	expect_end(&reader);
	expect_message(&reader, flows[1]);
	expect_next(&reader, KEEPALIVE_BYTES, 2);
	expect_end(&reader);
	expect_message(&reader, flows[0]);
	expect_next(&reader, KEEPALIVE_BYTES, 3);
	expect_end(&reader);
}

/* F25: an app makes its next initiation only after five seconds. */
static void
test_the_newest_initiation_waits_for_the_nodes_leg_and_the_rest_is_dropped(void **state)
{
	uint8_t initiations[4][UDP_MESSAGE_INITIATION_BYTES], data[KEEPALIVE_BYTES];
	struct relay_udp_tuple tuple = tuple_of_network(0);
	struct relay_udp_flow *flow = open_proven(&tuple);
	static uint8_t message[LEG_MESSAGE_MAX_BYTES];

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		udp_message_initiation(initiations[i], &node_key, 100 + i);
	relay_leg_doom(rig.shard, node_leg, 0, "test");
	take(&tuple, initiations[3], sizeof(*initiations)); /* it is about to go */
	assert_memory_equal(flow->held, initiations[3], sizeof(*initiations));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 0);
	node_goes();
	relay_udp_close_flow(rig.shard, flow, "test"); /* and what it held is freed */
	node_comes();
	flow = open_proven(&tuple);
	node_goes();
	take(&tuple, transport(data, INDEX, 2, 0), sizeof(data));
	assert_null(flow->held);
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 1);
	relay_udp_take(rig.shard, &tuple, data, sizeof(data));
	relay_udp_take(rig.shard, &tuple, initiations[0], sizeof(*initiations));
	relay_udp_take(rig.shard, &tuple, initiations[1], sizeof(*initiations));
	relay_udp_take(rig.shard, &tuple, data, sizeof(data));
	flush();
	assert_memory_equal(flow->held, initiations[1], sizeof(*initiations));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 4);
	take(&tuple, initiations[2], sizeof(*initiations));
	assert_int_equal(count(RELAY_UDP_DROP_NO_NODE), 5);
	node_comes();
	size_t n = next_message(message);
	assert_int_equal(n, LEG_DATA_HEADER_NODE_BYTES + 2 + sizeof(*initiations));
	assert_memory_equal(message + LEG_DATA_HEADER_NODE_BYTES + 2, initiations[2],
			    sizeof(*initiations));
	assert_null(flow->held);
	node_goes();
	take(&tuple, initiations[3], sizeof(*initiations)); /* freed with its leg */
	assert_non_null(flow->held);
}

#define STRANGERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STRANGERS(test_T17_cookie_with_a_known_index_opens_nothing),
		STRANGERS(test_T17_response_with_a_known_index_opens_a_leg_only_by_its_mac1),
		STRANGERS(test_T17_stranger_with_an_index_has_so_many_tries_and_no_more),
		STRANGERS(test_T17_legs_that_came_to_use_an_index_make_way_for_the_next),
		STRANGERS(test_a_full_node_is_no_sign_of_an_index_that_many_use),
		STRANGERS(test_an_index_of_another_shards_node_opens_nothing_here),
		STRANGERS(test_there_is_no_leg_to_a_node_that_is_not_here),
		STRANGERS(test_a_source_for_which_there_is_no_room_leaves_nothing),
		STRANGERS(test_a_deleted_node_is_no_lack_of_memory),
		STRANGERS(test_T16_nodes_that_could_not_be_tried_are_told_from_junk),
		STRANGERS(test_so_many_datagrams_of_a_source_go_in_one_message_and_are_counted),
		STRANGERS(test_what_wireguard_says_by_itself_is_no_data),
		STRANGERS(test_so_many_bytes_of_a_source_go_in_one_message),
		STRANGERS(test_datagrams_of_two_sources_go_in_messages_of_their_own_in_order),
		STRANGERS(
			test_the_newest_initiation_waits_for_the_nodes_leg_and_the_rest_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

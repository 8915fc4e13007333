/*
 * Floods of initiations in others' names, with a mac1 that is right, as any client of the node can
 * make it, or wrong: whoever is really there shakes hands all the same, by showing a cookie. A
 * shard alone, whose time the test sets; apps have real sockets, for what they are sent. T15 T16.
 */
#include "shard_alone.h"
#include "shard_leg.h"
#include "udp_message.h"

#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOOD = 3 * RELAY_UDP_BURST };

static const uint8_t node_id[UUID_BYTES] = "the flooded node";
static const struct key node = { .bytes = { 1 } }, nobody = { .bytes = { 2 } };

static struct shard_alone rig;
static int node_fd;
static uint16_t forged_port;

/* A session whose client the gateway saw at 127.0.1.x, of a node that is here. */
static int
set_up(void **state)
{
	static const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES] = { 5 };
	struct relay_settings settings = shard_alone_settings;
	struct ticket ticket = { .role = TICKET_ROLE_NODE };
	struct relay_udp_binding binding = { .session_id = { 1 }, .has_address = true };
	struct relay_leg *leg;
	uint16_t port = 0;
	int fd;

	(void)state;
	settings.legs_max = settings.channels_max = 1000;
	shard_alone_start(&rig, &settings);
	assert_int_equal(relay_udp_socket_open("127.0.0.1", false, &port, &fd), 0);
	assert_int_equal(relay_udp_new(rig.shard, fd, secret), 0);
	memcpy(ticket.node_id, node_id, UUID_BYTES);
	node_fd = shard_leg_attach(rig.shard, &ticket, false, &leg);
	assert_true(node_fd >= 0);
	memcpy(binding.node_id, node_id, UUID_BYTES);
	binding.node_key = node;
	binding.ends_ms = rig.shard->now_ms + 3600 * 1000;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.1.200", &binding.address), 1);
	relay_udp_bind(rig.shard, &binding);
	forged_port = 1000;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shard_alone_stop(&rig);
	close(node_fd);
	return 0;
}

/* ---- sources ---- */

struct app {
	int fd;
	struct relay_udp_tuple tuple;
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];
};

static struct relay_udp_tuple
tuple_of(const char *address, in_port_t port)
{
	struct relay_udp_tuple tuple = { .port = port };
	char text[INET6_ADDRSTRLEN + 8];

	snprintf(text, sizeof(text), "::ffff:%s", address);
	assert_int_equal(inet_pton(AF_INET6, text, &tuple.remote), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &tuple.local), 1);
	return tuple;
}

static struct app
open_app(const char *address)
{
	struct app app = { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	socklen_t n = sizeof(own);

	assert_int_equal(inet_pton(AF_INET, address, &own.sin_addr), 1);
	assert_int_equal(bind(app.fd, (const struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(getsockname(app.fd, (struct sockaddr *)&own, &n), 0);
	app.tuple = tuple_of(address, own.sin_port);
	udp_message_initiation(app.message, &node, own.sin_port);
	return app;
}

static void
take(const struct relay_udp_tuple *tuple, const uint8_t *message)
{
	relay_udp_take(rig.shard, tuple, message, UDP_MESSAGE_INITIATION_BYTES);
	relay_udp_batch_flush(rig.shard);
	do
		relay_round_flush(rig.shard);
	while (relay_leg_reap(rig.shard));
}

/* Each from another port that nobody has. */
static void
flood(const char *address, const struct key *key, unsigned n)
{
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];

	udp_message_initiation(message, key, 1);
	while (n-- > 0) {
		struct relay_udp_tuple tuple = tuple_of(address, htons(forged_port++));
		take(&tuple, message);
	}
}

/* The app tries, as often as it does by itself: once. */
static void
try(const struct app *app)
{
	take(&app->tuple, app->message);
}

static bool
has_leg(const struct app *app)
{
	return relay_udp_flows_find(&rig.shard->udp->flows, &app->tuple) != NULL;
}

/* It was sent a cookie, and nothing else, and will show it. */
static void
take_cookie(struct app *app)
{
	uint8_t reply[256];

	assert_int_equal(recv(app->fd, reply, sizeof(reply), 0), UDP_MESSAGE_COOKIE_BYTES);
	assert_int_equal(recv(app->fd, reply + 64, sizeof(reply) - 64, 0), -1);
	udp_message_show_cookie(app->message, &node, reply);
}

static uint64_t
count(enum relay_counter which)
{
	return atomic_load(&rig.shard->counters.value[which]);
}

/* ---- a network's ration ---- */

static void
expect_neighbour_shakes_hands(const struct key *forgers_key)
{
	struct app app = open_app("127.0.1.1");

	flood("127.0.1.2", forgers_key, FLOOD);
	try(&app);
	assert_false(has_leg(&app));
	take_cookie(&app);
	flood("127.0.1.1", forgers_key, FLOOD); /* its own address, too */
	try(&app);
	assert_true(has_leg(&app));
	close(app.fd);
}

static void
test_T16_forged_sources_keep_no_neighbour_from_its_handshake(void **state)
{
	(void)state;
	expect_neighbour_shakes_hands(&node);
}

static void
test_T16_junk_of_a_network_keeps_no_neighbour_from_its_handshake(void **state)
{
	(void)state;
	expect_neighbour_shakes_hands(&nobody);
	/* Nor is junk answered. */
	assert_int_equal(count(RELAY_UDP_COOKIES), 1);
}

/* A cookie that was made for another port or address vouches for nobody. */
static void
test_T16_cookie_of_another_source_opens_nothing(void **state)
{
	struct app app = open_app("127.0.1.1"), thief = open_app("127.0.1.1");

	(void)state;
	flood("127.0.1.2", &node, FLOOD);
	try(&app);
	take_cookie(&app);
	take(&thief.tuple, app.message);
	assert_false(has_leg(&thief));
	close(app.fd);
	close(thief.fd);
}

/* Who is really there has a ration of its line; what goes beyond it is met with silence. */
static void
test_T16_those_who_are_there_have_a_ration_of_their_own(void **state)
{
	struct app apps[RELAY_UDP_BURST + 1], other = open_app("127.0.1.2");
	uint64_t cookies;

	(void)state;
	flood("127.0.1.9", &node, FLOOD);
	for (unsigned i = 0; i <= RELAY_UDP_BURST; i++) {
		apps[i] = open_app("127.0.1.1");
		try(&apps[i]);
		take_cookie(&apps[i]);
	}
	try(&other);
	take_cookie(&other);
	cookies = count(RELAY_UDP_COOKIES);
	for (unsigned i = 0; i <= RELAY_UDP_BURST; i++) {
		try(&apps[i]);
		assert_int_equal(has_leg(&apps[i]), i < RELAY_UDP_BURST);
	}
	try(&other);
	assert_true(has_leg(&other));
	assert_int_equal(count(RELAY_UDP_COOKIES), cookies);
	rig.shard->now_ms += 1000 / RELAY_UDP_RATE;
	try(&apps[RELAY_UDP_BURST]);
	assert_true(has_leg(&apps[RELAY_UDP_BURST]));
	for (unsigned i = 0; i <= RELAY_UDP_BURST; i++)
		close(apps[i].fd);
	close(other.fd);
}

/* Where no client was ever seen, what is out of the ration costs no search and no answer. */
static void
test_T16_junk_from_nowhere_is_not_looked_up(void **state)
{
	struct app app = open_app("127.0.77.1");
	uint64_t hashes;

	(void)state;
	flood("127.0.77.2", &node, FLOOD);
	hashes = rig.shard->udp->sessions.hashes;
	try(&app);
	assert_int_equal(rig.shard->udp->sessions.hashes, hashes);
	assert_int_equal(count(RELAY_UDP_COOKIES), 0);
	assert_int_equal(count(RELAY_UDP_DROP_RATE), FLOOD - RELAY_UDP_BURST + 1);
	close(app.fd);
}

/* ---- a node's places ---- */

/* A node's half-open legs are taken by sources that do not exist, faster than it answers: nobody
 * loses its place to those, and who is there gets one. */
static void
test_T16_forged_sources_take_no_place_from_a_handshake_under_way(void **state)
{
	struct app first = open_app("127.0.1.1"), later = open_app("127.0.1.2");
	char address[INET_ADDRSTRLEN];

	(void)state;
	try(&first);
	for (unsigned i = 0; i < 2 * RELAY_UDP_HALF_OPEN_NODE_MAX; i++) {
		snprintf(address, sizeof(address), "127.9.%u.1", i % 256);
		flood(address, &node, 1);
	}
	assert_true(has_leg(&first));
	assert_int_equal(count(RELAY_UDP_OPENED), RELAY_UDP_HALF_OPEN_NODE_MAX);
	assert_int_equal(count(RELAY_UDP_EVICTED), 0);
	try(&later);
	assert_false(has_leg(&later));
	take_cookie(&later);
	try(&later);
	assert_true(has_leg(&later));
	assert_false(has_leg(&first)); /* the oldest, and it would have been answered by now */
	/* Those that the node did not answer make way for anybody. */
	rig.shard->now_ms += RELAY_UDP_ANSWER_MS;
	try(&first);
	assert_true(has_leg(&first));
	assert_int_equal(count(RELAY_UDP_EVICTED), 2);
	close(first.fd);
	close(later.fd);
}

/* ---- a source's own ration ---- */

/* Who knows a client's address and port can use up what its leg may shake hands; the client goes
 * on by showing that it is there. */
static void
test_T16_forged_handshakes_of_a_client_do_not_keep_it_from_its_own(void **state)
{
	struct app app = open_app("127.0.1.1");
	uint64_t passed, cookies;
	uint8_t got[64];

	(void)state;
	for (unsigned i = 0; i < FLOOD; i++)
		try(&app);
	assert_int_equal(count(RELAY_UDP_DROP_RATE), FLOOD - RELAY_UDP_BURST);
	cookies = count(RELAY_UDP_COOKIES);
	assert_int_equal(cookies, FLOOD - RELAY_UDP_BURST);
	for (uint64_t i = 1; i < cookies; i++)
		assert_int_equal(recv(app.fd, got, sizeof(got), 0), sizeof(got));
	take_cookie(&app);
	passed = count(RELAY_DATAGRAMS_INITIATION);
	try(&app);
	assert_int_equal(count(RELAY_DATAGRAMS_INITIATION), passed + 1);
	close(app.fd);
}

/* ---- which shard a source is of ---- */

/* Another shard's node: what this one hears for it is handed over, and it remembers to whom. */
static struct relay_udp_session *
bind_elsewhere(void)
{
	struct relay_udp_binding binding = { .session_id = { 2 }, .node_id = { 1 } };

	rig.shard->count = 2;
	while (relay_shard_of(binding.node_id, 2) != 1)
		binding.node_id[0]++;
	binding.node_key = nobody;
	binding.ends_ms = rig.shard->now_ms + 3600 * 1000;
	relay_udp_bind(rig.shard, &binding);
	return relay_udp_sessions_find(&rig.shard->udp->sessions, binding.session_id);
}

/* Many forged initiations for another shard's node do not have a client forgotten that uses an
 * index which only that node's answer tells, however long it says nothing meanwhile. */
static void
test_T16_forged_sources_take_no_clients_way_to_another_shard(void **state)
{
	enum { AT_ONCE = 10000, INDEX = 77 };
	struct relay_udp_session *session = bind_elsewhere();
	const struct idtable *routes = &rig.shard->udp->hand.routes;
	struct relay_udp_tuple client = tuple_of("127.0.1.1", 1), forged = client;
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];
	uint8_t transport[32] = { DATAGRAM_TRANSPORT, 0, 0, 0, INDEX };

	(void)state;
	udp_message_initiation(message, &nobody, 1);
	take(&client, message);
	assert_non_null(idtable_find(routes, &client));
	relay_udp_sessions_learn(&rig.shard->udp->sessions, session, INDEX);
	relay_udp_take(rig.shard, &client, transport, sizeof(transport));
	memset(&forged.remote, 0x20, sizeof(forged.remote));
	for (uint32_t i = 0; i < RELAY_UDP_ROUTES_MAX + AT_ONCE; i++) {
		memcpy(forged.remote.s6_addr + 2, &i, sizeof(i)); /* each of another network */
		rig.shard->now_ms += i % AT_ONCE == 0 ? 100 : 0;
		take(&forged, message);
	}
	assert_int_equal(routes->count, RELAY_UDP_ROUTES_MAX);
	assert_non_null(idtable_find(routes, &forged));
	assert_non_null(idtable_find(routes, &client));
	rig.shard->now_ms += RELAY_UDP_ROUTE_MS;
	relay_udp_hand_expire(rig.shard);
	assert_int_equal(routes->count, 0);
}

#define FORGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FORGED(test_T16_forged_sources_keep_no_neighbour_from_its_handshake),
		FORGED(test_T16_junk_of_a_network_keeps_no_neighbour_from_its_handshake),
		FORGED(test_T16_cookie_of_another_source_opens_nothing),
		FORGED(test_T16_those_who_are_there_have_a_ration_of_their_own),
		FORGED(test_T16_junk_from_nowhere_is_not_looked_up),
		FORGED(test_T16_forged_sources_take_no_place_from_a_handshake_under_way),
		FORGED(test_T16_forged_handshakes_of_a_client_do_not_keep_it_from_its_own),
		FORGED(test_T16_forged_sources_take_no_clients_way_to_another_shard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

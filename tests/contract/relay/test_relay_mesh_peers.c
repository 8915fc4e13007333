/*
 * The far end of a link between relays, played by the test over ZeroMQ's sockets themselves: what
 * no relay says (T24), and a relay that is not who it was taken for. One whole relay.
 */
#include "leg_talk.h"
#include "relay_group.h"

#include "loop/clock.h"
#include "relay/relay_mesh_peers.h"
#include "relay/relay_mesh_wire.h"
#include "service/service_bus.h"

#include <czmq.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000, HELLO_MS = 200, PART_BYTES = 256 };

static const uint8_t node_id[UUID_BYTES] = { 0x11, [6] = 0x40, [8] = 0x80, [15] = 1 };
static const uint8_t session_a[UUID_BYTES] = { 0x22, [6] = 0x40, [8] = 0x80, [15] = 2 };

static struct relay_group group;
static struct relay_fixture *relay = &group.relays[0];

static int
set_up(void **state)
{
	(void)state;
	relay_group_start(&group, 1, false, "grace = 20s");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_group_stop(&group);
	return 0;
}

static size_t
write_hello(uint8_t to[PART_BYTES], const char *name, uint32_t version, uint64_t link)
{
	Boson__Relay__Mesh mesh = BOSON__RELAY__MESH__INIT;
	Boson__Relay__MeshHello hello = BOSON__RELAY__MESH_HELLO__INIT;

	hello.has_version = hello.has_link = hello.has_received = 1;
	hello.version = version;
	hello.relay_id = (char *)(uintptr_t)name;
	hello.link = link;
	mesh.body_case = BOSON__RELAY__MESH__BODY_HELLO;
	mesh.hello = &hello;
	to[0] = RELAY_MESH_LINK;
	return 1 + boson__relay__mesh__pack(&mesh, to + 1);
}

/* ---- a relay that is not who it was taken for ---- */

/* A stranger's ROUTER where the node's relay is said to be. */
static zsock_t *
be_home_of(const uint8_t *id, const char *name)
{
	Boson__Common__Relay known = BOSON__COMMON__RELAY__INIT;
	char bus[96], mesh[RELAY_MESH_ENDPOINT_BYTES], group_name[] = "default";

	snprintf(bus, sizeof(bus), "ipc://%s/away", group.folder);
	assert_int_equal(relay_mesh_endpoint(bus, mesh), 0);
	zsock_t *router = zsock_new_router(mesh);
	assert_non_null(router);
	zsock_set_rcvtimeo(router, PATIENCE_MS);
	known.id = (char *)(uintptr_t)name;
	known.group = group_name;
	known.bus_endpoint = bus;
	relay_group_announce(&group, &known);
	snprintf(group.ids[1], sizeof(group.ids[1]), "%s", name);
	relay_group_locate(&group, id, 1);
	return router;
}

/* Its address has become another relay's: nothing is sent there as if it were the one that was
 * dialled, and nothing is kept of it. Each that is dialled anew has another route. */
static void
test_a_relay_at_the_address_of_another_is_not_taken_for_it(void **state)
{
	zsock_t *router = be_home_of(node_id, "home");
	struct raw_leg *client = raw_leg_open(relay, node_id, session_a);
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	uint8_t hello[PART_BYTES];
	size_t n = write_hello(hello, "another", 1, 7);
	unsigned links = 0;

	(void)state;
	for (zframe_t *last = NULL, *route; links < 3; last = route) {
		zmsg_t *heard = zmsg_recv(router);

		assert_non_null(heard);
		assert_true(clock_monotonic_ms() < end_ms);
		route = zmsg_pop(heard);
		links += last == NULL || !zframe_eq(last, route);
		zmsg_destroy(&heard);
		zframe_destroy(&last);
		assert_int_equal(zsock_send(router, "fb", route, hello, n), 0);
		assert_in_range(relay_fixture_counter(relay, "mesh_links"), 0, 1);
		if (links == 3)
			zframe_destroy(&route);
	}
	raw_leg_close(&client);
	zsock_destroy(&router);
}

/* What it was refused, it does not take for a way: the link goes, and is dialled anew. */
static void
test_a_relay_that_is_refused_lets_the_link_go(void **state)
{
	zsock_t *router = be_home_of(node_id, "home");
	struct raw_leg *client = raw_leg_open(relay, node_id, session_a);
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	Boson__Relay__Mesh mesh = BOSON__RELAY__MESH__INIT;
	Boson__Relay__MeshRefused refused = BOSON__RELAY__MESH_REFUSED__INIT;
	uint8_t part[PART_BYTES] = { RELAY_MESH_LINK };
	zframe_t *first = NULL;
	bool is_other = false;

	(void)state;
	mesh.body_case = BOSON__RELAY__MESH__BODY_REFUSED;
	mesh.refused = &refused;
	size_t n = 1 + boson__relay__mesh__pack(&mesh, part + 1);
	while (!is_other) {
		zmsg_t *heard = zmsg_recv(router);

		assert_non_null(heard);
		assert_true(clock_monotonic_ms() < end_ms);
		zframe_t *route = zmsg_pop(heard);
		is_other = first != NULL && !zframe_eq(first, route);
		zmsg_destroy(&heard);
		if (first == NULL)
			assert_int_equal(zsock_send(router, "fb", route, part, n), 0);
		zframe_destroy(&first);
		first = route;
	}
	zframe_destroy(&first);
	raw_leg_close(&client);
	zsock_destroy(&router);
}

/* ---- what no relay says ---- */

static void
say(zsock_t *socket, const void *bytes, size_t n)
{
	assert_int_equal(zsock_send(socket, "b", bytes, n), 0);
}

static zsock_t *
dial(void)
{
	char endpoint[RELAY_MESH_ENDPOINT_BYTES];
	const char *bus = service_bus_endpoint(relay->endpoints, "relay");

	assert_int_equal(relay_mesh_endpoint(bus, endpoint), 0);
	zsock_t *dealer = zsock_new_dealer(endpoint);
	assert_non_null(dealer);
	zsock_set_linger(dealer, 0);
	zsock_set_rcvtimeo(dealer, PATIENCE_MS);
	return dealer;
}

/* The relay's own number of the link, from its next hello; 0: none came. */
static uint64_t
link_of(zsock_t *dealer)
{
	zframe_t *heard = zframe_recv(dealer);

	if (heard == NULL)
		return 0;
	assert_int_equal(zframe_data(heard)[0], RELAY_MESH_LINK);
	Boson__Relay__Mesh *mesh =
		boson__relay__mesh__unpack(NULL, zframe_size(heard) - 1, zframe_data(heard) + 1);
	assert_non_null(mesh);
	uint64_t link = mesh->hello->link;
	boson__relay__mesh__free_unpacked(mesh, NULL);
	zframe_destroy(&heard);
	return link;
}

/* T22: one key opens as many links as it can. It has its share, hears why it gets no more, and is
 * counted. */
static void
test_T22_one_key_has_so_many_links(void **state)
{
	static const char counter[] = "mesh_refused_total{reason=\"links\"}";
	const int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	const struct rlimit many = { 4096, 4096 };
	static zsock_t *dealers[RELAY_PEER_LINKS_MAX + 1];
	uint8_t hello[PART_BYTES];
	size_t n = write_hello(hello, "other", 1, 7);
	struct rlimit before;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_cur < many.rlim_cur)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &many), 0);
	for (unsigned i = 0; i <= RELAY_PEER_LINKS_MAX; i++)
		dealers[i] = dial();
	do {
		for (unsigned i = 0; i <= RELAY_PEER_LINKS_MAX; i++)
			say(dealers[i], hello, n);
		assert_true(clock_monotonic_ms() < end_ms);
	} while (relay_fixture_counter(relay, counter) == 0);
	assert_int_equal(relay_fixture_counter(relay, "mesh_links"), RELAY_PEER_LINKS_MAX);
	unsigned refused = 0;
	for (unsigned i = 0; i <= RELAY_PEER_LINKS_MAX; i++) {
		zframe_t *heard = zframe_recv(dealers[i]);

		assert_non_null(heard);
		Boson__Relay__Mesh *mesh = boson__relay__mesh__unpack(NULL, zframe_size(heard) - 1,
								      zframe_data(heard) + 1);
		refused += mesh->body_case == BOSON__RELAY__MESH__BODY_REFUSED;
		boson__relay__mesh__free_unpacked(mesh, NULL);
		zframe_destroy(&heard);
		zsock_destroy(&dealers[i]);
	}
	assert_int_equal(refused, 1);
}

/* F04: the other relay was killed and is there again, behind the same connection: what was under
 * way belongs to nobody, and the link begins anew. */
static void
test_f04_a_relay_that_began_anew_has_another_link(void **state)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	zsock_t *dealer = dial();
	uint8_t hello[PART_BYTES];

	(void)state;
	say(dealer, hello, write_hello(hello, "other", 1, 7));
	uint64_t first = link_of(dealer), now = first;
	assert_int_not_equal(first, 0);
	zsock_set_rcvtimeo(dealer, HELLO_MS); /* as often as relays say it */
	while (now == first || now == 0) {
		say(dealer, hello, write_hello(hello, "other", 1, 8));
		now = link_of(dealer);
		assert_true(clock_monotonic_ms() < end_ms);
	}
	zsock_destroy(&dealer);
}

/* F22: one of a version that is not known is not answered; whose version is known is, beside it. */
static void
test_f22_a_relay_of_an_unknown_version_gets_no_link(void **state)
{
	zsock_t *unknown = dial(), *known = dial();
	uint8_t hello[PART_BYTES];

	(void)state;
	say(unknown, hello, write_hello(hello, "newer", 2, 7));
	say(known, hello, write_hello(hello, "other", 1, 7));
	assert_int_not_equal(link_of(known), 0);
	assert_int_not_equal(link_of(known), 0); /* each fifth of a second, to all links */
	zsock_set_rcvtimeo(unknown, 0);
	assert_null(zframe_recv(unknown));
	zsock_destroy(&unknown);
	zsock_destroy(&known);
}

/* T24: parts of no size, of no kind, sections that are cut, control that is none, and all of it
 * before a word of who it is. Counted; legs go on. */
static void
test_T24_what_no_relay_says_is_counted_and_harms_nobody(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, 0);
	struct raw_leg *client = raw_leg_open(relay, node_id, session_a);
	uint32_t channel = leg_talk_channel(node, session_a);
	uint8_t hello[PART_BYTES], section[PART_BYTES] = { RELAY_MESH_CONTROL };
	size_t n = write_hello(hello, "stranger", 1, 7);

	(void)state;
	zsock_t *dealer = dial();
	relay_mesh_section_write(section + 1, node_id, 2);
	memcpy(section + 1 + RELAY_MESH_SECTION_BYTES, "\x02\xff", 2);
	for (unsigned introduced = 0; introduced < 2; introduced++) {
		if (introduced)
			say(dealer, hello, n);
		say(dealer, "", 0);
		say(dealer, "\x01", 1);
		say(dealer, "\x09nothing", 8);
		say(dealer, "\x03\xff\xff", 3);
		say(dealer, "\x02half", 5);
		say(dealer, section, 1 + RELAY_MESH_SECTION_BYTES + 2);
	}
	/* Each of the six, once it had said hello. */
	relay_fixture_await(relay, "bad_messages_total", 6);
	leg_talk_exchange(node, client, channel);
	zsock_destroy(&dealer);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_relay_at_the_address_of_another_is_not_taken_for_it, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_a_relay_that_is_refused_lets_the_link_go,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_T22_one_key_has_so_many_links, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_f04_a_relay_that_began_anew_has_another_link,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_f22_a_relay_of_an_unknown_version_gets_no_link,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_T24_what_no_relay_says_is_counted_and_harms_nobody, set_up, tear_down),
	};

	zsys_handler_set(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

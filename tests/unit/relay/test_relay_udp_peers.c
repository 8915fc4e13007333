/*
 * Where relays' own datagrams come from: what one says of itself, what is read of that, and what
 * the shards are told. The machine's addresses are the test's. U28.
 */
#include "relay/relay_control.h"
#include "relay/relay_udp_peers.h"
#include "relay/relay_udp_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PORT = 51820 };

/* ---- the machine's addresses ---- */

enum { ADDRESSES_MAX = 2 * RELAY_UDP_SOURCES_MAX };

static struct ifaddrs interfaces[ADDRESSES_MAX];
static struct sockaddr_storage addresses[ADDRESSES_MAX];
static unsigned address_n, freed;

int
getifaddrs(struct ifaddrs **ret)
{
	*ret = interfaces;
	return 0;
}

void
freeifaddrs(struct ifaddrs *all)
{
	freed += all == interfaces;
}

/* text NULL: an interface's own, in whose bytes others could be read. */
static void
machine_has(const char *text, unsigned flags)
{
	struct sockaddr_storage *address = &addresses[address_n];
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)address;

	memset(address, text == NULL ? 8 : 0, sizeof(*address));
	if (text == NULL)
		address->ss_family = AF_PACKET;
	else if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
		address->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1)
		address->ss_family = AF_INET6;
	else
		fail();
	interfaces[address_n] =
		(struct ifaddrs){ .ifa_flags = flags, .ifa_addr = (struct sockaddr *)address };
	if (address_n > 0)
		interfaces[address_n - 1].ifa_next = &interfaces[address_n];
	address_n++;
}

static int
set_up(void **state)
{
	(void)state;
	address_n = freed = 0;
	return 0;
}

/* ---- ours ---- */

static void
expect(const struct relay_udp_sources *sources, size_t at, const char *text)
{
	char got[RELAY_UDP_SOURCE_TEXT_BYTES];

	assert_true(at < sources->n);
	relay_udp_source_format(&sources->peers[at], got);
	assert_string_equal(got, text);
}

/* Of a socket at this host; "%u" in what clients are told is its port. */
static uint16_t
find(const char *host, const char *told, struct relay_udp_sources *ret)
{
	char endpoint[64];
	uint16_t port = 0;
	int fd;

	assert_int_equal(relay_udp_socket_open(host, false, &port, &fd), 0);
	snprintf(endpoint, sizeof(endpoint), "%s:%u", told, port);
	memset(ret, 0xff, sizeof(*ret));
	relay_udp_sources_find(fd, endpoint, ret);
	close(fd);
	return port;
}

static void
test_a_socket_with_an_address_sends_from_there(void **state)
{
	struct relay_udp_sources sources;
	char text[64];

	(void)state;
	machine_has("8.8.8.1", IFF_UP); /* not where it is bound */
	snprintf(text, sizeof(text), "127.0.0.1:%u", find("127.0.0.1", "127.0.0.1", &sources));
	assert_int_equal(sources.n, 1);
	expect(&sources, 0, text);
	/* A NAT of one to one: clients are told another. */
	snprintf(text, sizeof(text), "8.8.4.4:%u", find("127.0.0.1", "8.8.4.4", &sources));
	assert_int_equal(sources.n, 2);
	expect(&sources, 1, text);
	/* Nothing that can be read is told, or everywhere. */
	find("127.0.0.1", "relay.example", &sources);
	assert_int_equal(sources.n, 1);
	find("127.0.0.1", "0.0.0.0", &sources);
	assert_int_equal(sources.n, 1);
	find("127.0.0.1", "[::]", &sources);
	assert_int_equal(sources.n, 1);
	relay_udp_sources_find(-1, "8.8.4.4:1", &sources);
	assert_int_equal(sources.n, 0);
}

static void
expect_everywhere(const char *host)
{
	struct relay_udp_sources sources;
	char six[64], four[64];
	uint16_t port = find(host, "8.8.8.1", &sources);

	snprintf(six, sizeof(six), "[2001:4860::1]:%u", port);
	snprintf(four, sizeof(four), "8.8.8.1:%u", port);
	assert_int_equal(sources.n, 2);
	expect(&sources, 0, six);
	expect(&sources, 1, four); /* once, though it is told as well */
	port = find(host, "8.8.4.4", &sources);
	snprintf(four, sizeof(four), "8.8.4.4:%u", port);
	assert_int_equal(sources.n, 3);
	expect(&sources, 2, four);
}

/* A private one is also other people's. */
static void
test_a_socket_that_is_everywhere_sends_from_the_machines_public_addresses(void **state)
{
	(void)state;
	machine_has("127.0.0.1", IFF_UP);
	machine_has(NULL, IFF_UP);
	machine_has("2001:4860::1", IFF_UP);
	machine_has("10.1.2.3", IFF_UP);
	machine_has("fe80::1", IFF_UP);
	machine_has("8.8.8.9", 0);
	machine_has("8.8.8.1", IFF_UP);
	machine_has("8.8.8.1", IFF_UP | IFF_RUNNING);
	machine_has(NULL, IFF_UP);
	interfaces[1].ifa_addr = NULL; /* a tunnel */
	expect_everywhere("0.0.0.0");
	expect_everywhere("::");
	assert_int_equal(freed, 4);
}

static void
test_a_machine_of_many_addresses_says_eight(void **state)
{
	struct relay_udp_sources sources;
	char text[64];

	(void)state;
	for (unsigned i = 1; i < ADDRESSES_MAX; i++) {
		snprintf(text, sizeof(text), "8.8.8.%u", i);
		machine_has(text, IFF_UP);
	}
	snprintf(text, sizeof(text), "8.8.8.%u:%u", RELAY_UDP_SOURCES_MAX,
		 find("0.0.0.0", "8.8.4.4", &sources));
	assert_int_equal(sources.n, RELAY_UDP_SOURCES_MAX);
	expect(&sources, RELAY_UDP_SOURCES_MAX - 1, text);
}

/* ---- what others say ---- */

static void
read_all(char **texts, size_t n, struct relay_udp_sources *ret)
{
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;

	relay.udp_sources = texts;
	relay.n_udp_sources = n;
	memset(ret, 0xff, sizeof(*ret));
	relay_udp_sources_read(&relay, ret);
}

static void
test_what_cannot_be_read_of_an_announcement_is_left_out(void **state)
{
	static char *texts[] = { "203.0.113.9:51820",	"",
				 "203.0.113.9",		"203.0.113.9:0",
				 "relay.example:51820", "203.0.113.9:51820 ",
				 "[2001:db8::9]:7" };
	struct relay_udp_sources sources;
	struct in6_addr address;

	(void)state;
	read_all(texts, sizeof(texts) / sizeof(*texts), &sources);
	assert_int_equal(sources.n, 2);
	expect(&sources, 0, texts[0]);
	expect(&sources, 1, texts[6]);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:203.0.113.9", &address), 1);
	assert_memory_equal(&sources.peers[0].address, &address, sizeof(address));
	assert_int_equal(sources.peers[0].port, htons(PORT));
	read_all(NULL, 0, &sources);
	assert_int_equal(sources.n, 0);
}

static void
test_an_announcement_of_many_sources_has_eight(void **state)
{
	char bytes[3 * RELAY_UDP_SOURCES_MAX][RELAY_UDP_SOURCE_TEXT_BYTES];
	char *texts[3 * RELAY_UDP_SOURCES_MAX];
	struct {
		struct relay_udp_sources sources;
		uint8_t beyond[32];
	} read = { .beyond = { 0 } };
	const uint8_t zero[sizeof(read.beyond)] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3 * RELAY_UDP_SOURCES_MAX; i++) {
		texts[i] = bytes[i];
		snprintf(texts[i], sizeof(bytes[i]), "8.8.8.%u:7", i);
	}
	read_all(texts, 3 * RELAY_UDP_SOURCES_MAX, &read.sources);
	assert_int_equal(read.sources.n, RELAY_UDP_SOURCES_MAX);
	expect(&read.sources, RELAY_UDP_SOURCES_MAX - 1, texts[RELAY_UDP_SOURCES_MAX - 1]);
	assert_memory_equal(read.beyond, zero, sizeof(zero));
}

/* ---- what the shards are told ---- */

static struct relay_control *control;

static void
begin_control(unsigned others)
{
	control = calloc(1, sizeof(*control));
	assert_non_null(control);
	control->shards[0] = calloc(1, sizeof(struct relay_shard));
	assert_non_null(control->shards[0]);
	control->shard_count = 1;
	assert_int_equal(relay_mailbox_init(&control->shards[0]->mailbox), 0);
	strcpy(control->udp_endpoint, "8.8.4.4:1");
	for (unsigned i = 0; i < others; i++) {
		struct relay_other *other = calloc(1, sizeof(*other));

		assert_non_null(other);
		other->udp.n = RELAY_UDP_SOURCES_MAX;
		for (unsigned k = 0; k < RELAY_UDP_SOURCES_MAX; k++)
			other->udp.peers[k].port = (uint16_t)(100 * i + k);
		other->next = control->others;
		control->others = other;
	}
}

static void
end_control(void)
{
	struct relay_other *next;

	for (struct relay_other *other = control->others; other != NULL; other = next) {
		next = other->next;
		free(other);
	}
	relay_mailbox_fini(&control->shards[0]->mailbox);
	free(control->shards[0]);
	free(control);
}

/* How many messages of peers wait; what the last of them says. */
static unsigned
received(struct relay_udp_peers *ret)
{
	struct relay_message *message = relay_mailbox_receive(&control->shards[0]->mailbox);
	unsigned n = 0;

	while (message != NULL) {
		struct relay_message *next = message->next;

		if (message->kind == RELAY_UDP_PEERS) {
			assert_int_equal(message->n, sizeof(*ret));
			memcpy(ret, message->bytes, sizeof(*ret));
			n++;
		}
		relay_message_free(&message);
		message = next;
	}
	return n;
}

static void
test_shards_are_told_the_sources_of_all_other_relays(void **state)
{
	struct relay_udp_peers peers;

	(void)state;
	begin_control(3);
	relay_udp_peers_tell(control);
	assert_int_equal(received(&peers), 1);
	assert_int_equal(peers.n, 3 * RELAY_UDP_SOURCES_MAX);
	for (unsigned i = 0; i < peers.n; i++)
		assert_int_equal(peers.peers[i].port,
				 100 * (2 - i / RELAY_UDP_SOURCES_MAX) + i % RELAY_UDP_SOURCES_MAX);
	relay_udp_peers_retry(control); /* which need not */
	assert_int_equal(received(&peers), 0);
	*control->udp_endpoint = '\0'; /* no UDP here */
	relay_udp_peers_tell(control);
	assert_int_equal(received(&peers), 0);
	end_control();
}

static void
test_shards_are_told_no_more_sources_than_they_have_room_for(void **state)
{
	struct relay_udp_peers peers;

	(void)state;
	begin_control(RELAY_UDP_PEERS_MAX / RELAY_UDP_SOURCES_MAX + 2);
	relay_udp_peers_tell(control);
	assert_int_equal(received(&peers), 1);
	assert_int_equal(peers.n, RELAY_UDP_PEERS_MAX);
	end_control();
}

static void
test_a_shard_that_is_far_behind_is_told_later(void **state)
{
	struct relay_mailbox *mailbox;
	struct relay_message *message;
	struct relay_udp_peers peers;

	(void)state;
	begin_control(1);
	mailbox = &control->shards[0]->mailbox;
	do
		message = relay_message_new(RELAY_NODE_BACK, NULL, 0);
	while (message != NULL && relay_mailbox_send(mailbox, &message) == 0);
	relay_message_free(&message);
	relay_udp_peers_tell(control);
	relay_udp_peers_retry(control);
	assert_int_equal(received(&peers), 0);
	relay_udp_peers_retry(control);
	assert_int_equal(received(&peers), 1);
	assert_int_equal(peers.n, RELAY_UDP_SOURCES_MAX);
	relay_udp_peers_retry(control);
	assert_int_equal(received(&peers), 0);
	end_control();
}

#define PEERS_TEST(test) cmocka_unit_test_setup(test, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PEERS_TEST(test_a_socket_with_an_address_sends_from_there),
		PEERS_TEST(
			test_a_socket_that_is_everywhere_sends_from_the_machines_public_addresses),
		PEERS_TEST(test_a_machine_of_many_addresses_says_eight),
		PEERS_TEST(test_what_cannot_be_read_of_an_announcement_is_left_out),
		PEERS_TEST(test_an_announcement_of_many_sources_has_eight),
		PEERS_TEST(test_shards_are_told_the_sources_of_all_other_relays),
		PEERS_TEST(test_shards_are_told_no_more_sources_than_they_have_room_for),
		PEERS_TEST(test_a_shard_that_is_far_behind_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

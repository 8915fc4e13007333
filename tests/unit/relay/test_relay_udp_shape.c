/*
 * What can be said of a datagram without a relay: its shape, where it came from, whose mac1 it
 * carries; and the models behind: buckets, sessions, legs of sources. U02 to U36 T16 T17 T18.
 */
#include "relay/relay_udp_bucket.h"
#include "relay/relay_udp_flow.h"
#include "relay/relay_udp_mac1.h"
#include "relay/relay_udp_sessions.h"
#include "relay/relay_udp_shape.h"
#include "relay/relay_udp_socket.h"
#include "udp_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- mac1 ---- */

static void
openssl_mac(const uint8_t *key, const uint8_t *bytes, size_t n, uint8_t ret[MAC1_BYTES])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	size_t size = MAC1_BYTES, got;
	OSSL_PARAM parameters[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
				    OSSL_PARAM_END };

	assert_int_equal(EVP_MAC_init(context, key, 32, parameters), 1);
	assert_int_equal(EVP_MAC_update(context, bytes, n), 1);
	assert_int_equal(EVP_MAC_final(context, ret, &got, MAC1_BYTES), 1);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

static void
test_mac1_is_what_another_implementation_computes(void **state)
{
	uint8_t public_key[32], message[300], input[40] = "mac1----", hash[32], own[16], other[16];
	struct mac1_key key;

	(void)state;
	for (size_t n = 1; n < sizeof(message); n++) {
		assert_true(getrandom(public_key, sizeof(public_key), 0) > 0);
		assert_true(getrandom(message, 256, 0) > 0);
		memcpy(input + 8, public_key, sizeof(public_key));
		assert_int_equal(
			EVP_Digest(input, sizeof(input), hash, NULL, EVP_blake2s256(), NULL), 1);
		mac1_key_init(&key, public_key);
		mac1_compute(&key, message, n, own);
		openssl_mac(hash, message, n, other);
		assert_memory_equal(own, other, sizeof(own));
	}
}

/* ---- shapes ---- */

static void
test_shapes_of_datagrams(void **state)
{
	static const struct {
		uint8_t type, reserved;
		uint64_t counter;
		size_t n;
		int result;
	} rows[] = {
		{ 1, 0, 0, 1, -RELAY_UDP_SHORT - 1 },
		{ 1, 0, 0, 3, -RELAY_UDP_SHORT - 1 },
		{ 5, 0, 0, 148, -RELAY_UDP_TYPE - 1 },
		{ 255, 0, 0, 148, -RELAY_UDP_TYPE - 1 },
		{ 1, 0, 0, 147, -RELAY_UDP_LENGTH - 1 },
		{ 1, 0, 0, 149, -RELAY_UDP_LENGTH - 1 },
		{ 2, 0, 0, 91, -RELAY_UDP_LENGTH - 1 },
		{ 2, 0, 0, 93, -RELAY_UDP_LENGTH - 1 },
		{ 4, 0, 0, 33, -RELAY_UDP_LENGTH - 1 },
		{ 4, 7, 0, 32, -RELAY_UDP_RESERVED - 1 },
		{ 4, 0, 0, 65507, -RELAY_UDP_SIZE - 1 },
		{ 4, 0, 0, 9216, 4 },
		{ 4, 0, 0, 9232, -RELAY_UDP_SIZE - 1 },
		{ 4, 0, UINT64_MAX - 8192, 32, -RELAY_UDP_COUNTER - 1 },
		{ 4, 0, UINT64_MAX, 32, -RELAY_UDP_COUNTER - 1 },
		{ 4, 0, UINT64_MAX - 8193, 32, 4 },
		{ 1, 0, 0, 148, 1 },
		{ 2, 0, 0, 92, 2 },
		{ 3, 0, 0, 64, 3 },
		{ 4, 0, 0, 32, 4 },
	};
	static uint8_t bytes[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bytes[0] = rows[i].type;
		bytes[2] = rows[i].reserved;
		for (unsigned b = 0; b < 8; b++)
			bytes[8 + b] = (uint8_t)(rows[i].counter >> (8 * b));
		if (relay_udp_check(bytes, rows[i].n) != rows[i].result)
			fail_msg("row %zu: %d", i, relay_udp_check(bytes, rows[i].n));
	}
	assert_int_equal(relay_udp_check(bytes, 0), -RELAY_UDP_SHORT - 1);
}

/* U36: what is sent to open ports in the hope of an answer. */
static void
test_other_protocols_are_none_of_ours(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} payloads[] = {
		{ "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07"
		  "example\x03"
		  "com\x00\x00\xff\x00\x01",
		  29 },
		{ "\x17\x00\x03\x2a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		  "\x00\x00\x00\x00\x00\x00\x00\x00",
		  48 },
		{ "\x30\x26\x02\x01\x01\x04\x06public\xa5\x19\x02\x04\x71\xb4\xb5\x68\x02\x01\x00"
		  "\x02\x01\x7f\x30\x0b\x30\x09\x06\x05\x2b\x06",
		  38 },
		{ "\x00\x00\x00\x00\x00\x01\x00\x00stats\r\n................................", 47 },
		{ "\x00\x01\x00\x00\x21\x12\xa4\x42................", 20 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
		assert_true(relay_udp_check((const uint8_t *)payloads[i].bytes, payloads[i].n) < 0);
}

static struct relay_udp_arrival
arrival(const char *from, uint16_t port, const char *to, bool is_broadcast)
{
	struct relay_udp_arrival arrival = { .is_broadcast = is_broadcast };
	char text[INET6_ADDRSTRLEN + 8];

	snprintf(text, sizeof(text), "%s%s", strchr(from, ':') ? "" : "::ffff:", from);
	assert_int_equal(inet_pton(AF_INET6, text, &arrival.tuple.remote), 1);
	snprintf(text, sizeof(text), "%s%s", strchr(to, ':') ? "" : "::ffff:", to);
	assert_int_equal(inet_pton(AF_INET6, text, &arrival.tuple.local), 1);
	arrival.tuple.port = htons(port);
	return arrival;
}

static void
test_sources_that_cannot_be(void **state)
{
	static const struct {
		const char *from, *to;
		uint16_t port;
		bool is_broadcast;
		int result;
	} rows[] = {
		{ "203.0.113.7", "203.0.113.10", 0, false, -RELAY_UDP_SOURCE - 1 }, /* U26 */
		{ "0.0.0.0", "203.0.113.10", 1, false, -RELAY_UDP_SOURCE - 1 },
		{ "255.255.255.255", "203.0.113.10", 1, false, -RELAY_UDP_SOURCE - 1 },
		{ "239.1.1.1", "203.0.113.10", 1, false, -RELAY_UDP_SOURCE - 1 },
		{ "203.0.113.9", "203.0.113.10", 51820, false, -RELAY_UDP_LOOP - 1 }, /* U28 */
		{ "203.0.113.9", "203.0.113.10", 51821, false, 0 },
		{ "10.1.2.3", "203.0.113.10", 7, false, -RELAY_UDP_MARTIAN - 1 }, /* U30 */
		{ "192.168.1.1", "8.8.8.8", 7, false, -RELAY_UDP_MARTIAN - 1 },
		{ "100.64.0.1", "8.8.8.8", 7, false, -RELAY_UDP_MARTIAN - 1 },
		{ "127.0.0.1", "8.8.8.8", 7, false, -RELAY_UDP_MARTIAN - 1 },
		{ "10.1.2.3", "10.1.2.4", 7, false, 0 },
		{ "8.8.4.4", "10.1.2.4", 7, false, 0 }, /* the relay behind a NAT of one to one */
		{ "8.8.4.4", "8.8.8.255", 7, true, -RELAY_UDP_DESTINATION - 1 }, /* U32 */
		{ "8.8.4.4", "255.255.255.255", 7, false, -RELAY_UDP_DESTINATION - 1 },
		{ "fe80::1", "2001:4860::1", 7, false, -RELAY_UDP_MARTIAN - 1 }, /* U34 */
		{ "fe80::1", "fe80::2", 7, false, -RELAY_UDP_MARTIAN - 1 },
		{ "2001:4860::2", "2001:4860::1", 7, false, 0 },
		{ "2001:4860::2", "ff02::1", 7, false, -RELAY_UDP_DESTINATION - 1 },
	};
	struct relay_udp_peers peers = { .n = 1 };

	(void)state;
	peers.peers[0].port = htons(51820);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:203.0.113.9", &peers.peers[0].address), 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct relay_udp_arrival a =
			arrival(rows[i].from, rows[i].port, rows[i].to, rows[i].is_broadcast);
		if (relay_udp_check_source(&a, &peers) != rows[i].result)
			fail_msg("row %zu: %d", i, relay_udp_check_source(&a, &peers));
	}
}

/* ---- buckets ---- */

static void
test_a_prefix_has_five_and_then_twenty_a_second(void **state)
{
	struct relay_buckets buckets;
	struct relay_udp_arrival one = arrival("198.51.100.1", 1, "8.8.8.8", false);
	struct relay_udp_arrival neighbour = arrival("198.51.100.200", 1, "8.8.8.8", false);
	struct relay_udp_arrival six = arrival("2001:db8:1:2::1", 1, "8.8.8.8", false);
	struct relay_udp_arrival near = arrival("2001:db8:1:3::1", 1, "8.8.8.8", false);
	int64_t now_ms = 1000000;

	(void)state;
	assert_int_equal(relay_buckets_init(&buckets, RELAY_UDP_PREFIXES), 0);
	for (int i = 0; i < RELAY_UDP_BURST; i++)
		assert_true(relay_udp_buckets_take(
			&buckets, RELAY_UDP_NETWORK,
			i % 2 ? &one.tuple.remote : &neighbour.tuple.remote, now_ms));
	assert_false(
		relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &one.tuple.remote, now_ms));
	assert_false(relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &neighbour.tuple.remote,
					    now_ms));
	assert_true(relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &six.tuple.remote, now_ms));
	for (int i = 0; i < RELAY_UDP_BURST - 1; i++)
		assert_true(relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &near.tuple.remote,
						   now_ms));
	assert_false(
		relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &six.tuple.remote, now_ms));
	int taken = 0;
	for (int ms = 0; ms < 10 * 1000; ms += 10)
		taken += relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &one.tuple.remote,
						now_ms + ms);
	assert_in_range(taken, 10 * RELAY_UDP_RATE - 1, 10 * RELAY_UDP_RATE + 1);
	relay_buckets_fini(&buckets);
}

/* A prefix that was silent has no more than its burst; one that lands in another's place is not
 * made to pay for it. */
static void
test_T16_buckets_fill_to_the_brim_and_are_nobody_elses(void **state)
{
	enum { NETWORKS = 4 * RELAY_UDP_PREFIXES };
	struct relay_buckets buckets;
	struct relay_udp_arrival a = arrival("2001:db8::1", 1, "8.8.8.8", false);
	int64_t now_ms = 1000000;
	int taken = 0;

	(void)state;
	assert_int_equal(relay_buckets_init(&buckets, RELAY_UDP_PREFIXES), 0);
	assert_true(relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &a.tuple.remote, now_ms));
	for (int i = 0; i < 10 * RELAY_UDP_BURST; i++)
		taken += relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &a.tuple.remote,
						now_ms + 3600 * 1000);
	assert_int_equal(taken, RELAY_UDP_BURST);
	for (uint32_t i = 0; i < NETWORKS; i++) {
		memcpy(a.tuple.remote.s6_addr + 2, &i, sizeof(i));
		assert_true(relay_udp_buckets_take(&buckets, RELAY_UDP_NETWORK, &a.tuple.remote,
						   now_ms + 7200 * 1000));
	}
	relay_buckets_fini(&buckets);
}

/* ---- sessions ---- */

static struct relay_udp_binding
binding(uint32_t session, uint32_t node, const char *address)
{
	struct relay_udp_binding b = { .ends_ms = 1000 };

	memcpy(b.session_id, &session, sizeof(session));
	memcpy(b.node_id, &node, sizeof(node));
	memcpy(b.node_key.bytes, &node, sizeof(node));
	memcpy(b.client_key.bytes, &session, sizeof(session));
	if (address != NULL) {
		b.has_address = true;
		b.address = arrival(address, 1, "8.8.8.8", false).tuple.remote;
	}
	return b;
}

static void
initiation(uint8_t message[148], uint32_t node)
{
	struct key public_key = { .bytes = { 0 } };

	memcpy(public_key.bytes, &node, sizeof(node));
	udp_message_initiation(message, &public_key, 1);
}

static void
test_clients_address_says_which_node_to_try_first(void **state)
{
	enum { NODES = 500 };
	struct relay_udp_sessions sessions;
	struct relay_udp_arrival from = arrival("198.51.100.77", 1, "8.8.8.8", false);
	uint8_t message[148];
	bool is_out;

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	for (uint32_t i = 0; i < NODES; i++) {
		struct relay_udp_binding b = binding(i, i, i == 0 ? "198.51.100.9" : "192.0.2.1");
		assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	}
	initiation(message, 0); /* the one that was bound first of all */
	struct relay_udp_node *node =
		relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &from.tuple.remote, message,
					 sizeof(message), 1000, &is_out);
	assert_non_null(node);
	assert_int_equal(sessions.hashes, 1);
	/* Without a hint all are tried, once each. */
	initiation(message, 17);
	sessions.hashes = 0;
	node = relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &from.tuple.remote, message,
					sizeof(message), 1000, &is_out);
	assert_non_null(node);
	assert_in_range(sessions.hashes, 2, NODES + 1);
	relay_udp_sessions_fini(&sessions);
}

static void
test_hashes_are_rationed_but_not_those_near_the_client(void **state)
{
	struct relay_udp_sessions sessions;
	struct relay_udp_arrival near = arrival("198.51.100.77", 1, "8.8.8.8", false);
	struct relay_udp_arrival far = arrival("192.0.2.77", 1, "8.8.8.8", false);
	uint8_t message[148], junk[148];
	bool is_out = false;

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct relay_udp_binding b = binding(i, i, i == 0 ? "198.51.100.9" : NULL);
		assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	}
	initiation(message, 0);
	initiation(junk, 12345);
	for (int i = 0; i < 100000 && !is_out; i++)
		assert_null(relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &far.tuple.remote,
						     junk, sizeof(junk), 1000, &is_out));
	assert_true(is_out);
	assert_true(sessions.hashes <= RELAY_UDP_HASHES_PER_SEC / 10);
	assert_non_null(relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &near.tuple.remote,
						 message, sizeof(message), 1000, &is_out));
	assert_null(relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &far.tuple.remote, message,
					     sizeof(message), 1000, &is_out));
	/* It comes back with time. */
	assert_non_null(relay_udp_sessions_match(&sessions, RELAY_UDP_ALL, &far.tuple.remote,
						 message, sizeof(message), 1100, &is_out));
	relay_udp_sessions_fini(&sessions);
}

static void
test_index_leads_to_its_session_while_it_is_the_only_one(void **state)
{
	struct relay_udp_sessions sessions;
	struct relay_udp_binding one = binding(1, 1, NULL), two = binding(2, 2, NULL);
	uint8_t id[UUID_BYTES] = { 1 };

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &one), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &two), 0);
	struct relay_udp_session *a = relay_udp_sessions_find(&sessions, one.session_id);
	struct relay_udp_session *b = relay_udp_sessions_find(&sessions, two.session_id);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_equal(relay_udp_sessions_find(&sessions, id), a);
	relay_udp_sessions_learn(&sessions, a, 7);
	relay_udp_sessions_learn(&sessions, a, 7);
	assert_ptr_equal(relay_udp_sessions_by_index(&sessions, 7), a);
	relay_udp_sessions_learn(&sessions, b, 7); /* U48 */
	assert_null(relay_udp_sessions_by_index(&sessions, 7));
	assert_true(relay_udp_session_has_index(a, 7));
	relay_udp_sessions_unbind(&sessions, b);
	assert_ptr_equal(relay_udp_sessions_by_index(&sessions, 7), a);
	/* The last few are known, as WireGuard knows the last few. */
	for (uint32_t i = 100; i < 100 + RELAY_UDP_INDEXES; i++)
		relay_udp_sessions_learn(&sessions, a, i);
	assert_null(relay_udp_sessions_by_index(&sessions, 7));
	assert_ptr_equal(relay_udp_sessions_by_index(&sessions, 100), a);
	relay_udp_sessions_fini(&sessions);
}

/* The newest of a session's indexes are known, however many its node announces. */
static void
test_T17_session_has_its_newest_indexes_and_no_others(void **state)
{
	enum { LEARNT = 3 * RELAY_UDP_INDEXES + 2 };
	struct relay_udp_sessions sessions;
	struct relay_udp_binding b = binding(1, 1, NULL);

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	struct relay_udp_session *session = relay_udp_sessions_find(&sessions, b.session_id);
	for (uint32_t i = 0; i < LEARNT; i++)
		relay_udp_sessions_learn(&sessions, session, 100 + i);
	for (uint32_t i = 0; i < LEARNT; i++) {
		bool is_known = i >= LEARNT - RELAY_UDP_INDEXES;

		assert_int_equal(relay_udp_session_has_index(session, 100 + i), is_known);
		assert_ptr_equal(relay_udp_sessions_by_index(&sessions, 100 + i),
				 is_known ? session : NULL);
	}
	assert_int_equal(sessions.indexes.count, RELAY_UDP_INDEXES);
	relay_udp_sessions_fini(&sessions);
}

/* U48: an index that more sessions have than are noted leads nowhere, and takes no room that it has
 * not. */
static void
test_U48_index_of_many_sessions_leads_nowhere(void **state)
{
	enum { SESSIONS = 3 * RELAY_UDP_SAME_INDEX_MAX };
	struct relay_udp_sessions sessions;

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	for (uint32_t i = 1; i <= SESSIONS; i++) {
		struct relay_udp_binding b = binding(i, i, NULL);
		assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
		relay_udp_sessions_learn(&sessions,
					 relay_udp_sessions_find(&sessions, b.session_id), 7);
		assert_int_equal(relay_udp_sessions_by_index(&sessions, 7) != NULL, i == 1);
	}
	for (uint32_t i = 1; i <= SESSIONS; i++) {
		struct relay_udp_binding b = binding(i, i, NULL);
		struct relay_udp_session *session =
			relay_udp_sessions_find(&sessions, b.session_id);

		assert_int_equal(relay_udp_session_has_index(session, 7),
				 i <= RELAY_UDP_SAME_INDEX_MAX);
		relay_udp_sessions_unbind(&sessions, session);
	}
	assert_int_equal(sessions.indexes.count, 0);
	relay_udp_sessions_fini(&sessions);
}

/* T18: what a node says is looked up among its sessions, of which it may have many: junk from it
 * does not have all of them tried without end, and who is near is found all the same. */
static void
test_T18_answers_for_nobody_are_not_looked_up_without_end(void **state)
{
	enum { SESSIONS = 5000, JUNK = 100 };
	struct relay_udp_sessions sessions;
	struct relay_udp_arrival near = arrival("198.51.100.77", 1, "8.8.8.8", false);
	struct relay_udp_arrival far = arrival("192.0.2.77", 1, "8.8.8.8", false);
	const struct in6_addr *to = &far.tuple.remote;
	uint8_t junk[148], first[148], last[148];

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	for (uint32_t i = 1; i <= SESSIONS; i++) {
		struct relay_udp_binding b = binding(i, 1, i == 7 ? "198.51.100.9" : NULL);
		assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	}
	struct relay_udp_binding one = binding(7, 1, NULL), other = binding(8, 1, NULL);
	struct relay_udp_session *session = relay_udp_sessions_find(&sessions, one.session_id);
	struct relay_udp_session *second = relay_udp_sessions_find(&sessions, other.session_id);
	initiation(junk, SESSIONS + 1); /* clients' keys are like nodes' here */
	initiation(first, 7);
	initiation(last, 8);
	for (unsigned i = 0; i < JUNK; i++)
		assert_null(relay_udp_sessions_of_answer(&sessions, session->node, NULL, to, junk,
							 sizeof(junk), 1000));
	assert_in_range(sessions.hashes, SESSIONS, RELAY_UDP_HASHES_PER_SEC / 10 + SESSIONS);
	assert_ptr_equal(relay_udp_sessions_of_answer(&sessions, session->node, NULL,
						      &near.tuple.remote, first, sizeof(first),
						      1000),
			 session);
	assert_ptr_equal(relay_udp_sessions_of_answer(&sessions, session->node, second, to, last,
						      sizeof(last), 1000),
			 second);
	assert_null(relay_udp_sessions_of_answer(&sessions, session->node, NULL, to, last,
						 sizeof(last), 1000));
	/* It comes back with time, and then the last of them is found. */
	assert_ptr_equal(relay_udp_sessions_of_answer(&sessions, session->node, NULL, to, last,
						      sizeof(last), 1100),
			 second);
	relay_udp_sessions_fini(&sessions);
}

static void
test_session_that_changes_hands_must_be_unbound(void **state)
{
	struct relay_udp_sessions sessions;
	struct relay_udp_binding b = binding(1, 1, NULL), other = binding(1, 2, NULL);

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &other), -EEXIST);
	assert_int_equal(relay_udp_sessions_find(&sessions, b.session_id)->ends_ms, 1000);
	relay_udp_sessions_fini(&sessions);
}

/* ---- legs ---- */

static void
test_T16_half_open_legs_make_way_for_each_other_only(void **state)
{
	enum { MAX = 50 };
	struct relay_udp_sessions sessions;
	struct relay_udp_flows flows;
	struct relay_udp_binding b = binding(1, 1, NULL);
	struct relay_udp_flow *good, *flow;

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	assert_int_equal(relay_udp_flows_init(&flows, MAX), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	struct relay_udp_session *session = relay_udp_sessions_find(&sessions, b.session_id);
	struct relay_udp_arrival a = arrival("198.51.100.1", 1, "8.8.8.8", false);
	good = relay_udp_flows_add(&flows, &a.tuple, session->node, NULL, 0);
	relay_udp_flow_answered(&flows, good, session, RELAY_UDP_PROVEN, 0);
	for (uint16_t i = 0; i < 10 * MAX; i++) {
		a.tuple.port = htons((uint16_t)(1000 + i));
		while ((flow = relay_udp_flows_in_the_way(&flows, session->node, NULL)) != NULL) {
			assert_ptr_not_equal(flow, good);
			assert_int_equal(ntohs(flow->tuple.port), 1000 + i - MAX);
			relay_udp_flows_remove(&flows, flow);
		}
		assert_non_null(relay_udp_flows_add(&flows, &a.tuple, session->node, NULL, i));
	}
	assert_int_equal(flows.half_open.n, MAX);
	/* Ten seconds, and five minutes. */
	assert_non_null(relay_udp_flows_ended(&flows, 10 * MAX - MAX + RELAY_UDP_HALF_OPEN_MS));
	while ((flow = relay_udp_flows_ended(&flows, 10 * MAX + RELAY_UDP_HALF_OPEN_MS)) != NULL)
		relay_udp_flows_remove(&flows, flow);
	assert_int_equal(flows.by_tuple.count, 1);
	relay_udp_flow_heard(&flows, good, 5000);
	assert_null(relay_udp_flows_ended(&flows, 5000 + RELAY_UDP_IDLE_MS - 1));
	assert_ptr_equal(relay_udp_flows_ended(&flows, 5000 + RELAY_UDP_IDLE_MS), good);
	relay_udp_flows_remove(&flows, good);
	relay_udp_flows_fini(&flows);
	relay_udp_sessions_fini(&sessions);
}

/* T17: an index that is known to many opens so many legs, and no more, of one session. */
static void
test_T17_half_open_legs_of_one_index_are_few(void **state)
{
	struct relay_udp_sessions sessions;
	struct relay_udp_flows flows;
	struct relay_udp_binding b = binding(1, 1, NULL);
	struct relay_udp_flow *flow;

	(void)state;
	assert_int_equal(relay_udp_sessions_init(&sessions), 0);
	assert_int_equal(relay_udp_flows_init(&flows, 1000), 0);
	assert_int_equal(relay_udp_sessions_bind(&sessions, &b), 0);
	struct relay_udp_session *session = relay_udp_sessions_find(&sessions, b.session_id);
	struct relay_udp_arrival a = arrival("198.51.100.1", 1, "8.8.8.8", false);
	for (uint16_t i = 0; i < 2 * RELAY_UDP_HALF_OPEN_SESSION_MAX; i++) {
		a.tuple.port = htons((uint16_t)(1000 + i));
		flow = relay_udp_flows_in_the_way(&flows, session->node, session);
		assert_int_equal(flow != NULL, i >= RELAY_UDP_HALF_OPEN_SESSION_MAX);
		if (flow != NULL)
			relay_udp_flows_remove(&flows, flow);
		assert_non_null(relay_udp_flows_add(&flows, &a.tuple, session->node, session, i));
	}
	assert_int_equal(session->half_count, RELAY_UDP_HALF_OPEN_SESSION_MAX);
	while ((flow = TAILQ_FIRST(&flows.half_open.by_age)) != NULL)
		relay_udp_flows_remove(&flows, flow);
	assert_int_equal(session->half_count, 0);
	relay_udp_flows_fini(&flows);
	relay_udp_sessions_fini(&sessions);
}

/* ---- the socket ---- */

/* U60: what the system refuses is told, once, and the next one is tried. */
static void
test_U60_refused_datagrams_are_counted_and_not_repeated(void **state)
{
	struct relay_udp_arrival a = arrival("192.0.2.1", 9, "127.0.0.1", false);
	uint8_t bytes[64] = { 4 };
	struct iovec datagrams[] = { { bytes, 64 }, { bytes, 64 }, { bytes, 32 }, { bytes, 64 } };
	uint16_t port = 0;
	int fd;

	(void)state;
	assert_int_equal(relay_udp_socket_open("127.0.0.1", false, &port, &fd), 0);
	assert_int_not_equal(port, 0);
	/* From the loopback there is no way to a public address. */
	assert_int_equal(relay_udp_socket_send(fd, &a.tuple, datagrams, 4), 0);
	a = arrival("127.0.0.1", port, "127.0.0.1", false);
	assert_int_equal(relay_udp_socket_send(fd, &a.tuple, datagrams, 4), 4);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mac1_is_what_another_implementation_computes),
		cmocka_unit_test(test_shapes_of_datagrams),
		cmocka_unit_test(test_other_protocols_are_none_of_ours),
		cmocka_unit_test(test_sources_that_cannot_be),
		cmocka_unit_test(test_a_prefix_has_five_and_then_twenty_a_second),
		cmocka_unit_test(test_T16_buckets_fill_to_the_brim_and_are_nobody_elses),
		cmocka_unit_test(test_clients_address_says_which_node_to_try_first),
		cmocka_unit_test(test_hashes_are_rationed_but_not_those_near_the_client),
		cmocka_unit_test(test_index_leads_to_its_session_while_it_is_the_only_one),
		cmocka_unit_test(test_T17_session_has_its_newest_indexes_and_no_others),
		cmocka_unit_test(test_U48_index_of_many_sessions_leads_nowhere),
		cmocka_unit_test(test_T18_answers_for_nobody_are_not_looked_up_without_end),
		cmocka_unit_test(test_session_that_changes_hands_must_be_unbound),
		cmocka_unit_test(test_T16_half_open_legs_make_way_for_each_other_only),
		cmocka_unit_test(test_T17_half_open_legs_of_one_index_are_few),
		cmocka_unit_test(test_U60_refused_datagrams_are_counted_and_not_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

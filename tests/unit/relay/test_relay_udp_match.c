/*
 * Whose a handshake message is, by its mac1: that it is nobody else's, and that each try is counted
 * and none is made beyond the limits. T16 T18.
 */
#include "relay/relay_udp_sessions.h"
#include "udp_message.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_MS = 1000, WINDOW_MS = 100, WINDOW_HASHES = RELAY_UDP_HASHES_PER_SEC / 10 };

static struct relay_udp_sessions sessions;
static struct in6_addr here, elsewhere;
static bool is_out;
static uint64_t counted;

static int
set_up(void **state)
{
	(void)state;
	counted = 0;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.77", &here), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.77", &elsewhere), 1);
	return relay_udp_sessions_init(&sessions);
}

static int
tear_down(void **state)
{
	(void)state;
	relay_udp_sessions_fini(&sessions);
	return 0;
}

/* near: where its client was seen, or NULL. */
static struct relay_udp_session *
bind_session(uint32_t number, uint32_t node, uint32_t client, const struct in6_addr *near)
{
	struct relay_udp_binding binding = { .ends_ms = NOW_MS * 1000 };

	memcpy(binding.session_id, &number, sizeof(number));
	memcpy(binding.node_id, &node, sizeof(node));
	memcpy(binding.node_key.bytes, &node, sizeof(node));
	memcpy(binding.client_key.bytes, &client, sizeof(client));
	binding.has_address = near != NULL;
	if (near != NULL)
		binding.address = *near;
	assert_int_equal(relay_udp_sessions_bind(&sessions, &binding), 0);
	return relay_udp_sessions_find(&sessions, binding.session_id);
}

/* The node that an initiation is for, by the number of its key. */
static struct relay_udp_node *
match(enum relay_udp_search search, const struct in6_addr *from, uint32_t key, int64_t now_ms)
{
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];
	struct key receiver = { .bytes = { 0 } };

	memcpy(receiver.bytes, &key, sizeof(key));
	udp_message_initiation(message, &receiver, 1);
	return relay_udp_sessions_match(&sessions, search, from, message, sizeof(message), now_ms,
					&is_out);
}

/* The session that a node's message is for, by the number of its client's key. */
static struct relay_udp_session *
answer_at(int64_t now_ms, struct relay_udp_node *node, struct relay_udp_session *suspect,
	  const struct in6_addr *to, uint32_t client)
{
	uint8_t message[UDP_MESSAGE_INITIATION_BYTES];
	struct key receiver = { .bytes = { 0 } };

	memcpy(receiver.bytes, &client, sizeof(client));
	udp_message_initiation(message, &receiver, 1);
	return relay_udp_sessions_of_answer(&sessions, node, suspect, to, message, sizeof(message),
					    now_ms);
}

static struct relay_udp_session *
answer(struct relay_udp_node *node, struct relay_udp_session *suspect, const struct in6_addr *to,
       uint32_t client)
{
	return answer_at(NOW_MS, node, suspect, to, client);
}

/* Since they were last asked for. */
static uint64_t
hashes(void)
{
	uint64_t n = sessions.hashes - counted;

	counted = sessions.hashes;
	return n;
}

/* ---- of initiations ---- */

static void
test_T16_so_many_sessions_near_a_source_are_tried_and_no_more(void **state)
{
	enum { NODES = RELAY_UDP_HINTS_MAX + 1, JUNK = 1000 * 1000 };

	(void)state;
	for (uint32_t node = 1; node <= NODES; node++)
		assert_non_null(bind_session(node, node, node, &here));
	assert_null(match(RELAY_UDP_NEAR, &here, JUNK, NOW_MS));
	assert_int_equal(hashes(), RELAY_UDP_HINTS_MAX);
	assert_null(match(RELAY_UDP_NEAR, &here, 1, NOW_MS)); /* seen longest ago */
	assert_ptr_equal(match(RELAY_UDP_NEAR, &here, 2, NOW_MS),
			 match(RELAY_UDP_ALL, &elsewhere, 2, NOW_MS));
	assert_non_null(match(RELAY_UDP_ALL, &here, 1, NOW_MS));
	hashes();
	assert_null(match(RELAY_UDP_NEAR, &elsewhere, 2, NOW_MS));
	assert_int_equal(hashes(), 0);
}

static void
test_a_node_of_many_sessions_near_a_source_is_tried_once(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= RELAY_UDP_HINTS_MAX / 2; i++)
		assert_non_null(bind_session(i, 1, i, &here));
	assert_null(match(RELAY_UDP_NEAR, &here, 2, NOW_MS));
	assert_int_equal(hashes(), 1);
	assert_non_null(match(RELAY_UDP_NEAR, &here, 1, NOW_MS));
}

/* Near and far have a budget each, of so many in a tenth of a second, to the last one. */
static void
expect_budget(enum relay_udp_search search, const struct in6_addr *from)
{
	hashes();
	for (unsigned i = 0; i < 2 * WINDOW_HASHES; i++)
		assert_null(match(search, from, 2, NOW_MS));
	assert_int_equal(hashes(), WINDOW_HASHES);
	assert_null(match(search, from, 1, NOW_MS + WINDOW_MS - 1));
	assert_int_equal(hashes(), 0);
	assert_non_null(match(search, from, 1, NOW_MS + WINDOW_MS));
	for (unsigned i = 0; i < 2 * WINDOW_HASHES; i++)
		assert_null(match(search, from, 2, NOW_MS + WINDOW_MS));
	assert_int_equal(hashes(), WINDOW_HASHES);
}

static void
test_T16_tries_near_a_source_have_a_budget_and_those_among_all_another(void **state)
{
	(void)state;
	bind_session(1, 1, 1, &here);
	expect_budget(RELAY_UDP_NEAR, &here);
	expect_budget(RELAY_UDP_ALL, &elsewhere);
	assert_true(is_out);
	assert_null(match(RELAY_UDP_NEAR, &elsewhere, 2, NOW_MS + WINDOW_MS));
	assert_false(is_out); /* all that were to be tried were */
}

static void
test_T16_so_many_nodes_are_tried_for_an_initiation_and_no_more(void **state)
{
	enum { NODES = RELAY_UDP_CANDIDATES_MAX + 1 };

	(void)state;
	for (uint32_t node = 1; node <= NODES; node++)
		assert_non_null(bind_session(node, node, node, NULL));
	assert_null(match(RELAY_UDP_ALL, &here, 1, NOW_MS));
	assert_true(is_out);
	assert_int_equal(hashes(), RELAY_UDP_CANDIDATES_MAX);
	assert_non_null(match(RELAY_UDP_ALL, &here, 2, NOW_MS));
	assert_false(is_out);
}

/* ---- of answers ---- */

/* A client has one key for all its nodes: what one of them answers names no other's session, or its
 * index would lead there. */
static void
test_T18_answer_of_a_node_is_for_no_session_of_another(void **state)
{
	enum { CLIENT = 7 };
	struct relay_udp_session *own = bind_session(1, 1, CLIENT, &here);
	struct relay_udp_session *others = bind_session(2, 2, CLIENT, &here); /* seen last */
	struct relay_udp_session *strangers = bind_session(3, 3, CLIENT + 1, NULL);

	(void)state;
	assert_ptr_equal(answer(own->node, NULL, &here, CLIENT), own);
	assert_ptr_equal(answer(others->node, NULL, &here, CLIENT), others);
	assert_null(answer(strangers->node, NULL, &here, CLIENT));
}

static void
test_an_answer_is_for_whom_it_is_made_whoever_is_suspected(void **state)
{
	struct relay_udp_session *one = bind_session(1, 1, 1, &here),
				 *other = bind_session(2, 1, 2, NULL);

	(void)state;
	assert_ptr_equal(answer(one->node, one, &here, 1), one);
	assert_int_equal(hashes(), 1);
	assert_ptr_equal(answer(one->node, one, &here, 2), other);
	/* The suspect is not tried again for being near, only when all are. */
	assert_int_equal(hashes(), 1 + 1);
	assert_ptr_equal(answer(one->node, other, &here, 1), one);
	assert_int_equal(hashes(), 1 + 1);
}

/* When all its sessions were tried too often, those near the client's address still are: few. */
static void
test_T18_node_that_answers_nobody_has_few_sessions_tried(void **state)
{
	enum { SESSIONS = 1000, NEAR = RELAY_UDP_HINTS_MAX + 1 };
	struct relay_udp_session *first = bind_session(1, 1, 1, &here), *last = first;

	(void)state;
	for (uint32_t i = 2; i <= SESSIONS; i++)
		last = bind_session(i, 1, i, i <= NEAR ? &here : NULL);
	/* Nor has it more of them for having been silent. */
	for (int64_t now_ms = NOW_MS - 500; now_ms <= NOW_MS; now_ms += 500) {
		hashes();
		for (unsigned i = 0; i < 100; i++)
			assert_null(answer_at(now_ms, first->node, NULL, &elsewhere, SESSIONS + 1));
		assert_int_equal(hashes(), WINDOW_HASHES + SESSIONS);
	}
	assert_null(answer(first->node, NULL, &here, SESSIONS + 1));
	assert_int_equal(hashes(), RELAY_UDP_HINTS_MAX);
	assert_null(answer(first->node, NULL, &here, 1));
	assert_non_null(answer(first->node, NULL, &here, 2));
	assert_ptr_equal(answer(first->node, last, &here, SESSIONS), last);
}

#define MATCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MATCH_TEST(test_T16_so_many_sessions_near_a_source_are_tried_and_no_more),
		MATCH_TEST(test_a_node_of_many_sessions_near_a_source_is_tried_once),
		MATCH_TEST(test_T16_tries_near_a_source_have_a_budget_and_those_among_all_another),
		MATCH_TEST(test_T16_so_many_nodes_are_tried_for_an_initiation_and_no_more),
		MATCH_TEST(test_T18_answer_of_a_node_is_for_no_session_of_another),
		MATCH_TEST(test_an_answer_is_for_whom_it_is_made_whoever_is_suspected),
		MATCH_TEST(test_T18_node_that_answers_nobody_has_few_sessions_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

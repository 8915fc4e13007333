/*
 * F32: a node's leg and a client's come to a relay, and data go both ways, while the relay's n-th
 * allocation is refused, for each n: a leg is refused or lost, a datagram dropped, and nothing
 * else. Whoever comes next is served, and nothing has leaked (the sanitizers look).
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"
#include "scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRIES_MAX = 2000, GLANCE_MS = 2, GLANCES_MAX = 5000 };

struct pair {
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];
	struct raw_leg *node, *client;
	uint32_t channel;
};

static struct relay_fixture relay;
static uint32_t pairs;

/* Ids that no other has. */
static struct pair
pair_new(void)
{
	struct pair pair = { .node_id = "a node", .session_id = "a session" };

	pairs++;
	memcpy(pair.node_id + 12, &pairs, sizeof(pairs));
	memcpy(pair.session_id + 12, &pairs, sizeof(pairs));
	return pair;
}

static void
pair_end(struct pair *pair)
{
	raw_leg_close(&pair->client);
	raw_leg_close(&pair->node);
}

static bool
was_refused(void)
{
	return atomic_load(&scarce_process->refused) > 0;
}

/* A leg, or NULL: then the relay said that it cannot, or closed. OpenSSL takes a lack of memory in
 * the midst of a signature for a bad signature, which is why 401 is among what may be said. */
static struct raw_leg *
open_leg(const uint8_t *node_id, const uint8_t *session_id)
{
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	struct raw_leg *leg = raw_leg_try(&relay);
	int status;

	if (leg == NULL)
		return NULL;
	relay_fixture_ticket(&relay, node_id, session_id, 3600 * 1000, 0, ticket);
	raw_leg_request(request, sizeof(request), session_id != NULL ? session_id : node_id,
			ticket);
	status = raw_leg_write(leg, request, strlen(request)) ? raw_leg_status(leg, NULL, 0) : 0;
	if (status == 101)
		return leg;
	assert_true(status == 0 || status == 503 || status == 401);
	raw_leg_close(&leg);
	return NULL;
}

/* Something comes, or nothing will, since something was refused. */
static bool
comes(struct raw_leg *leg, struct raw_frame *ret)
{
	for (int i = 0; i < GLANCES_MAX; i++)
		if (raw_leg_receive_within(leg, ret, GLANCE_MS))
			return true;
		else if (leg->is_ended || was_refused())
			return false;
	fail_msg("nothing came, and nothing was refused");
	return false;
}

/* Each waits for the one before it, so that all that the relay does lies within the sweep. */
static void
talk(struct pair *pair)
{
	uint8_t message[4096];
	struct raw_frame frame;

	if (!comes(pair->node, &frame)) /* ChannelOpen */
		return;
	assert_true(
		raw_leg_send(pair->client, 0x82, message, leg_talk_message(message, 0, 2, 512)) ||
		was_refused());
	if (!comes(pair->node, &frame) || frame.first != 0x82 || frame.payload[0] != 1)
		return;
	memcpy(&pair->channel, frame.payload + 1, sizeof(pair->channel));
	pair->channel = __builtin_bswap32(pair->channel);
	if (raw_leg_send(pair->node, 0x82, message,
			 leg_talk_message(message, pair->channel, 2, 512)))
		(void)comes(pair->client, &frame);
}

static void
try(struct pair *pair)
{
	pair->node = open_leg(pair->node_id, NULL);
	if (pair->node != NULL)
		pair->client = open_leg(pair->node_id, pair->session_id);
	if (pair->client != NULL)
		talk(pair);
	assert_true(pair->channel != 0 || was_refused());
}

static void
serves_the_next(void)
{
	struct pair pair = pair_new();

	pair.node = raw_leg_open(&relay, pair.node_id, NULL);
	pair.client = raw_leg_open(&relay, pair.node_id, pair.session_id);
	pair.channel = leg_talk_channel(pair.node, pair.session_id);
	leg_talk_exchange(pair.node, pair.client, pair.channel);
	pair_end(&pair);
}

static void
sweep(unsigned long least)
{
	unsigned long n = 0;
	bool is_more = true;

	serves_the_next();
	while (is_more && ++n < TRIES_MAX) {
		struct pair pair = pair_new();

		scarce_start(scarce_process, n, 1);
		try(&pair);
		is_more = scarce_stop(scarce_process);
		pair_end(&pair);
		serves_the_next();
	}
	print_message("%lu allocations\n", n - 1);
	assert_in_range(n, least, TRIES_MAX - 1);
}

static void
test_legs_and_data_with_too_little_memory(void **state)
{
	(void)state;
	sweep(20);
}

/* Asked while the n-th is refused: an answer or an error, within the bus's deadline. */
struct answered {
	bool is_done, is_good;
};

static void
on_legs(const Boson__Relay__ListLegsReply *legs, void *arg)
{
	struct answered *answered = arg;

	answered->is_done = true;
	answered->is_good = legs != NULL;
}

static bool
list_legs(void)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;
	struct answered answered = { 0 };

	boson__relay__relay__list_legs(bus_peer_service(relay.relay), &request, on_legs, &answered);
	relay_fixture_wait(&relay, &answered.is_done);
	return answered.is_good;
}

static void
test_what_services_ask_with_too_little_memory(void **state)
{
	unsigned long n = 0;
	bool is_more = true;

	(void)state;
	assert_true(list_legs());
	while (is_more && ++n < TRIES_MAX) {
		scarce_start(scarce_process, n, 1);
		bool is_good = list_legs();
		is_more = scarce_stop(scarce_process);
		assert_true(is_good || is_more);
		assert_true(list_legs());
	}
	assert_in_range(n, 3, TRIES_MAX - 1);
}

static int
start(bool has_tls)
{
	scarce_spare_this_thread();
	relay_fixture_start(&relay, has_tls, "");
	return 0;
}

static int
start_plain(void **state)
{
	(void)state;
	return start(false);
}

static int
start_tls(void **state)
{
	(void)state;
	return start(true);
}

static int
stop(void **state)
{
	(void)state;
	relay_fixture_stop(&relay);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_legs_and_data_with_too_little_memory),
		cmocka_unit_test(test_what_services_ask_with_too_little_memory),
	};
	static const struct CMUnitTest tls[] = {
		cmocka_unit_test(test_legs_and_data_with_too_little_memory),
	};
	int failed = cmocka_run_group_tests_name("plain", plain, start_plain, stop);

	return failed + cmocka_run_group_tests_name("tls", tls, start_tls, stop);
}

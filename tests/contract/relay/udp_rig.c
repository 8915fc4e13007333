/*
 * udp_rig: see the header.
 */
#include "udp_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

const uint8_t node_a[UUID_BYTES] = "node-id-0000000a";
const uint8_t node_b[UUID_BYTES] = "node-id-0000000c";
const uint8_t session_1[UUID_BYTES] = "session-00000001";
const uint8_t session_2[UUID_BYTES] = "session-00000002";
const uint8_t session_3[UUID_BYTES] = "session-00000003";

struct relay_fixture relay;
struct key key_a, key_b;

static void
make_key(struct key *ret_public)
{
	struct key secret;

	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, ret_public), 0);
}

void
udp_rig_start_at(const char *listen, const char *settings)
{
	char all[256];

	snprintf(all, sizeof(all), "udp_listen = %s\n%s", listen, settings);
	relay_fixture_start(&relay, false, all);
	make_key(&key_a);
	make_key(&key_b);
}

void
udp_rig_start(const char *settings)
{
	udp_rig_start_at("127.0.0.1:0", settings);
}

int
udp_rig_set_up(void **state)
{
	(void)state;
	udp_rig_start("grace = 3s");
	return 0;
}

int
udp_rig_tear_down(void **state)
{
	(void)state;
	relay_fixture_stop(&relay);
	return 0;
}

void
udp_rig_bind(const uint8_t session[UUID_BYTES], const uint8_t node[UUID_BYTES],
	     const struct key *key, const struct udp_app *app)
{
	assert_int_equal(
		udp_talk_bind(&relay, session, node, key, &app->key, UDP_RIG_HOUR_MS, NULL),
		BUS_OK);
}

struct udp_pair
udp_rig_open(void)
{
	struct udp_pair pair = { .node = raw_leg_open(&relay, node_a, NULL),
				 .app = udp_app_open(&relay, "127.0.1.1", 0),
				 .index = 11 };

	udp_rig_bind(session_1, node_a, &key_a, &pair.app);
	return pair;
}

struct udp_pair
udp_rig_open_proven(void)
{
	struct udp_pair pair = udp_rig_open();

	udp_rig_shake_hands(&pair);
	return pair;
}

void
udp_rig_shake_hands(struct udp_pair *pair)
{
	pair->channel =
		udp_talk_shake_hands(pair->node, &key_a, &pair->app, session_1, pair->index);
}

void
udp_rig_exchange(const struct udp_pair *pair, uint64_t counter)
{
	udp_talk_exchange(pair->node, pair->channel, &pair->app, pair->index, counter);
}

void
udp_rig_close(struct udp_pair *pair)
{
	udp_app_close(&pair->app);
	raw_leg_close(&pair->node);
}

uint64_t
udp_rig_drops(const char *reason)
{
	char name[64];

	snprintf(name, sizeof(name), "udp_drops_total{reason=\"%s\"}", reason);
	return relay_fixture_counter(&relay, name);
}

void
udp_rig_await_drops(const char *reason, uint64_t n)
{
	char name[64];

	snprintf(name, sizeof(name), "udp_drops_total{reason=\"%s\"}", reason);
	relay_fixture_await(&relay, name, n);
}

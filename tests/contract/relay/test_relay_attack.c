/*
 * F45: a whole relay with two shards under attack. One who has a leg sends all he can through one
 * shard, another one without a ticket connects as often as he can, from an address of his own. The
 * other shard's sessions lose nothing, new ones come in, and the attacker's address alone is
 * limited.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"
#include "relay/relay_shard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	SHARDS = 2,
	RATE = 50,
	BURST = 100,
	EXCHANGES = 400,
	NEWCOMERS = 10,
	FLOOD_MESSAGE_BYTES = 16 * 1024,
};

static struct relay_fixture relay;

/* ---- the attackers, each a thread ---- */

static struct attack {
	_Atomic bool is_over;
	struct raw_leg *leg; /* he has a ticket for this one */
	_Atomic uint64_t sent_bytes;
	_Atomic unsigned served, turned_away;
} attack;

/* Whole data messages, again and again, faster than anybody takes them. */
static void *
flood_leg(void *arg)
{
	static uint8_t frame[8 + FLOOD_MESSAGE_BYTES] = { 0x82, 0x80 | 126 };
	size_t n = leg_talk_message(frame + 8, 0, 10, 1392);

	(void)arg;
	frame[2] = (uint8_t)(n >> 8);
	frame[3] = (uint8_t)n; /* and a mask of zeros */
	while (!attack.is_over) {
		for (size_t at = 0; at < 8 + n && !attack.is_over;) {
			struct pollfd room = { .fd = attack.leg->fd, .events = POLLOUT };
			ssize_t put = send(attack.leg->fd, frame + at, 8 + n - at,
					   MSG_DONTWAIT | MSG_NOSIGNAL);

			if (put > 0)
				at += (size_t)put;
			else if (errno != EAGAIN)
				return NULL;
			else
				(void)poll(&room, 1, 10);
		}
		attack.sent_bytes += n;
	}
	return NULL;
}

static int
connect_from(const char *host)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(relay.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &from.sin_addr);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Is answered by a status, if his address may still come; else closed without a word. */
static void *
flood_door(void *arg)
{
	static const char request[] = "GET /relay/ HTTP/1.1\r\nHost: relay\r\n\r\n";
	char answer[256];

	(void)arg;
	while (!attack.is_over) {
		int fd = connect_from("127.0.0.2");
		bool is_served = fd >= 0 &&
				 send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 &&
				 recv(fd, answer, sizeof(answer), 0) > 0;

		if (fd < 0)
			continue;
		if (is_served)
			attack.served++;
		else
			attack.turned_away++;
		close(fd);
	}
	return NULL;
}

/* ---- those who are there, and those who come ---- */

static void
node_of(unsigned shard, uint8_t ret[UUID_BYTES])
{
	memcpy(ret, "node-id-0000000?", UUID_BYTES);
	do
		ret[15]++;
	while (relay_shard_of(ret, SHARDS) != shard);
}

static void
newcomer(const uint8_t node_id[UUID_BYTES], struct raw_leg *node, uint8_t i)
{
	uint8_t session[UUID_BYTES] = "session-new-000?";

	session[15] = i;
	struct raw_leg *leg = raw_leg_open(&relay, node_id, session);
	uint32_t channel = leg_talk_channel(node, session);
	leg_talk_exchange(node, leg, channel);
	raw_leg_close(&leg);
	leg_talk_expect_close(node, channel);
}

/* Each datagram is waited for at the other end: all of them come, in order. */
static void
exchange_all(const uint8_t node_id[UUID_BYTES], struct raw_leg *node, struct raw_leg *client,
	     uint32_t channel)
{
	for (unsigned i = 0; i < EXCHANGES; i++) {
		leg_talk_exchange(node, client, channel);
		if (i % (EXCHANGES / NEWCOMERS) == 0)
			newcomer(node_id, node, (uint8_t)(i / (EXCHANGES / NEWCOMERS)));
	}
}

static void
test_f45_an_attacker_at_one_shard_takes_nothing_from_the_other(void **state)
{
	static const uint8_t session[UUID_BYTES] = "session-00000001";
	static const uint8_t bad_session[UUID_BYTES] = "session-00000bad";
	uint8_t node_id[UUID_BYTES], bad_node_id[UUID_BYTES];
	pthread_t flooders[2];

	(void)state;
	setenv("BOSON_RELAY_ACCEPT_RATE", "50", 1);
	relay_fixture_start(&relay, false, "shards = 2\naccept_burst = 100");
	unsetenv("BOSON_RELAY_ACCEPT_RATE");
	node_of(0, bad_node_id);
	node_of(1, node_id);
	struct raw_leg *bad_node = raw_leg_open(&relay, bad_node_id, NULL);
	attack.leg = raw_leg_open(&relay, bad_node_id, bad_session);
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session);
	uint32_t channel = leg_talk_channel(node, session);
	int64_t begin_ms = clock_monotonic_ms();
	assert_int_equal(pthread_create(&flooders[0], NULL, flood_leg, NULL), 0);
	assert_int_equal(pthread_create(&flooders[1], NULL, flood_door, NULL), 0);

	/* Not before both limits are in force. */
	while (attack.turned_away == 0 || attack.sent_bytes < 1024 * 1024)
		leg_talk_exchange(node, client, channel);
	exchange_all(node_id, node, client, channel);

	attack.is_over = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(flooders[i], NULL);
	int64_t passed_ms = clock_monotonic_ms() - begin_ms;
	assert_in_range(attack.served, 1, BURST + RATE * (passed_ms / 1000 + 1));
	assert_int_equal(relay_fixture_counter(&relay, "accept_limited_total"), attack.turned_away);
	/* Whom he floods loses datagrams; they are counted, as the client is told. */
	assert_true(relay_fixture_counter(&relay, "drops_total{reason=\"queue_full\"}") > 0);
	raw_leg_close(&client);
	raw_leg_close(&node);
	raw_leg_close(&attack.leg);
	raw_leg_close(&bad_node);
	relay_fixture_stop(&relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_f45_an_attacker_at_one_shard_takes_nothing_from_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

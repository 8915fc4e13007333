/*
 * The UDP ingress of a shard without its thread: a node's leg over a socket pair, three sessions of
 * two nodes, and datagrams from sources that the fuzzer names, some with a mac1 that is right and
 * an index that is known; in between it has the node answer, time pass, sessions come and go.
 * Whatever it does: no crash, and no source that is not proven is sent more than it sent.
 */
#include "fuzz_shard.h"

#include "leg/leg_frame.h"
#include "relay/relay_attach.h"
#include "relay/relay_data.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPERATIONS_MAX = 64, SOURCES = 8, MESSAGE_BYTES = 2048 };

static const uint8_t node_id[UUID_BYTES] = "the fuzzed node";

struct fuzz {
	struct relay_shard *shard;
	int node_fd;
	const uint8_t *data;
	size_t n;
};

static uint8_t
take(struct fuzz *fuzz)
{
	if (fuzz->n == 0)
		return 0;
	fuzz->n--;
	return *fuzz->data++;
}

static void
add_node_leg(struct fuzz *fuzz)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	fuzz->node_fd = fds[0];
	struct relay_leg *leg = relay_leg_new(fuzz->shard, fds[1]);
	if (leg == NULL || relay_leg_enter(fuzz->shard, leg) < 0)
		abort();
	leg->upgrade->ticket.role = TICKET_ROLE_NODE;
	memcpy(leg->upgrade->ticket.node_id, node_id, UUID_BYTES);
	strcpy(leg->upgrade->request.key, "dGhlIHNhbXBsZSBub25jZQ==");
	relay_attach(fuzz->shard, leg);
}

/* Sessions 0 and 1 are the attached node's, 2 is of one that is not here. */
static void
bind_session(struct fuzz *fuzz, uint8_t which)
{
	struct relay_udp_binding binding = { .ends_ms = fuzz->shard->now_ms + 1000 * which };

	binding.session_id[0] = (uint8_t)(which % 3 + 1);
	if (which % 3 < 2)
		memcpy(binding.node_id, node_id, UUID_BYTES);
	binding.node_key.bytes[0] = which % 3 < 2;
	binding.client_key.bytes[0] = (uint8_t)(which % 3);
	binding.rate_kbytes = which & 0x40 ? 1 : 0;
	relay_udp_bind(fuzz->shard, &binding);
}

static void
seal(uint8_t *message, size_t n, uint8_t receiver)
{
	struct key key = { .bytes = { receiver } };
	struct mac1_key mac1;

	mac1_key_init(&mac1, key.bytes);
	mac1_compute(&mac1, message, n - MAC1_TAIL_BYTES, message + n - MAC1_TAIL_BYTES);
}

/* A datagram, raw or helped to the right shape; its size. */
static size_t
make_datagram(struct fuzz *fuzz, uint8_t *message, uint8_t how, uint8_t receiver)
{
	static const size_t sizes[] = { 0, 148, 92, 64, 96 };
	uint8_t type = how & 7;
	size_t n = take(fuzz);

	memset(message, 0, MESSAGE_BYTES);
	for (size_t i = 0; i < n && fuzz->n > 0; i++)
		message[i] = take(fuzz);
	if (type == 0 || type > 4)
		return n;
	memcpy(message, (const uint8_t[]){ type, 0, 0, 0 }, 4);
	memset(message + 5, 0, 3);
	memset(message + 9, 0, 3);
	if (type <= 2)
		seal(message, sizes[type], receiver);
	return sizes[type];
}

static void
from_source(struct fuzz *fuzz, uint8_t how)
{
	uint8_t message[MESSAGE_BYTES];
	struct relay_udp_tuple tuple;
	uint8_t source = take(fuzz);
	size_t n = make_datagram(fuzz, message, how, how & 0x20 ? 9 : 1);

	memset(&tuple, 0, sizeof(tuple));
	tuple.remote.s6_addr[10] = tuple.remote.s6_addr[11] = 0xff;
	tuple.local = tuple.remote;
	tuple.remote.s6_addr[12] = tuple.local.s6_addr[12] = 127;
	tuple.remote.s6_addr[13] = source % SOURCES;
	tuple.remote.s6_addr[15] = tuple.local.s6_addr[15] = 1;
	tuple.port = htons((uint16_t)(40000 + source / SOURCES));
	relay_udp_take(fuzz->shard, &tuple, message, n);
	relay_udp_batch_flush(fuzz->shard);
}

/* The node's message on one of its channels. */
static void
from_node(struct fuzz *fuzz, uint8_t how)
{
	const struct relay_node *node = relay_node_find(&fuzz->shard->directory, node_id);
	uint8_t message[LEG_DATA_HEADER_NODE_BYTES + 2 + MESSAGE_BYTES];
	uint32_t i = take(fuzz);
	const struct relay_channel *channel = node != NULL ? relay_node_next(node, &i) : NULL;

	if (channel == NULL || node->leg == NULL)
		return;
	message[0] = LEG_KIND_DATA;
	for (unsigned b = 0; b < 4; b++)
		message[1 + b] = (uint8_t)(channel->number >> (24 - 8 * b));
	size_t n = make_datagram(fuzz, message + 7, how, (uint8_t)(take(fuzz) % 3));
	message[5] = (uint8_t)(n >> 8);
	message[6] = (uint8_t)n;
	relay_data_on_message(fuzz->shard, node->leg, message, 7 + n, 0);
	relay_round_flush(fuzz->shard);
}

/* Nobody is told more than it said before it has shown who it is. */
static void
check(const struct relay_udp *udp)
{
	const struct relay_udp_flow *flow;

	TAILQ_FOREACH (flow, &udp->flows.half_open.by_age, by_age)
		if (flow->bytes_out > flow->bytes_in || flow->state != RELAY_UDP_HALF_OPEN)
			abort();
	TAILQ_FOREACH (flow, &udp->flows.answered.by_age, by_age)
		if ((flow->state == RELAY_UDP_ANSWERED && flow->bytes_out > flow->bytes_in) ||
		    flow->session == NULL)
			abort();
}

static void
operate(struct fuzz *fuzz)
{
	uint8_t how = take(fuzz);

	switch (how >> 6) {
	case 0:
		from_source(fuzz, how);
		break;
	case 1:
		from_node(fuzz, how);
		break;
	case 2:
		bind_session(fuzz, how & 0x3f);
		break;
	default:
		if (how & 1) {
			uint8_t id[UUID_BYTES] = { (uint8_t)(how >> 1 & 3) };
			relay_udp_unbind(fuzz->shard, id, NULL);
		} else {
			fuzz->shard->now_ms += (int64_t)take(fuzz) * 100;
			relay_udp_on_timer(fuzz->shard);
		}
	}
	check(fuzz->shard->udp);
	do
		relay_round_flush(fuzz->shard);
	while (relay_leg_reap(fuzz->shard));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t drained[256 * 1024];
	struct relay_mailbox control;
	struct relay_shard *all[1];
	struct fuzz fuzz = { .data = data, .n = n };
	static const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES];
	uint16_t port = 0;
	int fd;

	if (relay_mailbox_init(&control) < 0 ||
	    relay_shard_new(0, &fuzz_shard_settings, NULL, &control,
			    open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &fuzz.shard) < 0 ||
	    relay_udp_socket_open("127.0.0.1", false, &port, &fd) < 0 ||
	    relay_udp_new(fuzz.shard, fd, secret) < 0)
		abort();
	all[0] = fuzz.shard;
	fuzz.shard->all = all;
	fuzz.shard->count = 1;
	add_node_leg(&fuzz);
	for (uint8_t i = 1; i < 3; i++)
		bind_session(&fuzz, (uint8_t)(30 + i));
	for (int i = 0; i < OPERATIONS_MAX && fuzz.n > 0; i++) {
		operate(&fuzz);
		while (read(fuzz.node_fd, drained, sizeof(drained)) > 0)
			;
	}
	relay_shard_free(&fuzz.shard);
	close(fuzz.node_fd);
	relay_mailbox_fini(&control);
	return 0;
}

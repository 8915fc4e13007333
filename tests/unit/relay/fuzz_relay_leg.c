/*
 * A whole shard, without its thread: a node's leg, two clients' legs and a raw client's over socket
 * pairs. The fuzzer says which end writes what, raw, as well-formed frames or as control messages,
 * and in which pieces, and whether the far ends read. Whatever it says: no crash, and what comes
 * out at every end is a stream of whole, unmasked frames.
 */
#include "fuzz_shard.h"
#include "shard_leg.h"

#include "relay/relay_shard.h"
#include "ws/ws_mask.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENDS = 4, RAW_END = 3, OPERATIONS_MAX = 64, OUTPUT_BYTES = 512 * 1024 };

struct end {
	int fd;
	uint8_t *output;
	size_t n;
};

static const uint8_t node_id[UUID_BYTES] = "the fuzzed node";
static const uint8_t session_id[UUID_BYTES] = "nobody's";

static void
add_leg(struct relay_shard *shard, struct end *end, unsigned i)
{
	struct ticket ticket = { .role = i == 0 ? TICKET_ROLE_NODE : TICKET_ROLE_SESSION,
				 .session_id = { (uint8_t)i } };
	struct relay_leg *leg;

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	end->fd = shard_leg_attach(shard, &ticket, i == RAW_END, &leg);
	if (end->fd < 0)
		abort();
}

static void
drain(struct end *end)
{
	ssize_t got;

	while (end->n < OUTPUT_BYTES &&
	       (got = read(end->fd, end->output + end->n, OUTPUT_BYTES - end->n)) > 0)
		end->n += (size_t)got;
}

static void
check_output(const struct end *end)
{
	const uint8_t *at = memmem(end->output, end->n, "\r\n\r\n", 4);

	if (at == NULL)
		abort();
	for (at += 4; at < end->output + end->n;) {
		size_t left = (size_t)(end->output + end->n - at);

		if (left < 2 || (at[0] & 0x70) != 0 || !(at[0] & 0x80) || (at[1] & 0x80))
			abort();
		if (left < 10 && left < (at[1] < 126 ? 2U : at[1] == 126 ? 4U : 10U))
			abort();
		if (ws_frame_bytes(at) > left && end->n < OUTPUT_BYTES)
			abort();
		at += ws_frame_bytes(at) < left ? ws_frame_bytes(at) : left;
	}
}

/* As a peer would: a masked frame around the bytes. */
static void
write_frame(int fd, uint8_t first, const uint8_t *bytes, size_t n)
{
	uint8_t frame[WS_HEADER_IN_MAX_BYTES + 70000], mask[4] = { 7, 1, 200, 9 };
	size_t at = ws_header_write(frame, WS_OPCODE_BINARY, n);

	frame[0] = first;
	frame[1] |= 0x80;
	memcpy(frame + at, mask, 4);
	ws_unmask(frame + at + 4, bytes, n, ws_mask_load(mask));
	if (write(fd, frame, at + 4 + n) < 0)
		return;
}

static void
operate(struct end *ends, const uint8_t **data, size_t *n)
{
	const uint8_t *d = *data;
	size_t part = (size_t)d[1] << 4 | d[2];
	const struct end *end = &ends[d[0] % ENDS];
	static uint8_t repeated[65536];

	*data += 3;
	*n -= 3;
	part = part < *n ? part : *n;
	if ((d[0] & 0xe0) == 0xe0) { /* a control message, kind byte and all */
		repeated[0] = 2;
		memcpy(repeated + 1, *data, part);
		write_frame(end->fd, 0x82, repeated, 1 + part);
	} else if (d[0] & 0x80) { /* raw */
		if (write(end->fd, *data, part) < 0)
			return;
	} else if (d[0] & 0x40) { /* a large message with a fuzzed beginning */
		memset(repeated, 0, sizeof(repeated));
		memcpy(repeated, *data, part);
		write_frame(end->fd, 0x82, repeated, (size_t)d[2] << 8 | d[1]);
	} else {
		write_frame(end->fd, d[0] & 0x20 ? (uint8_t)(d[0] << 4 | 2) : 0x82, *data, part);
	}
	*data += part;
	*n -= part;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t outputs[ENDS][OUTPUT_BYTES];
	struct relay_mailbox control;
	struct relay_shard *shard, *all[1];
	struct end ends[ENDS];

	if (relay_mailbox_init(&control) < 0 ||
	    relay_shard_new(0, &fuzz_shard_settings, NULL, &control,
			    open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &shard) < 0)
		abort();
	all[0] = shard;
	shard->all = all;
	shard->count = 1;
	for (unsigned i = 0; i < ENDS; i++) {
		ends[i] = (struct end){ .output = outputs[i] };
		add_leg(shard, &ends[i], i);
	}
	for (int i = 0; i < OPERATIONS_MAX && n >= 3; i++) {
		struct relay_message *wake = relay_message_new(RELAY_NODE_BACK, session_id, 0);

		unsigned slow = data[0] & 0x10 ? data[1] : 0;
		operate(ends, &data, &n);
		/* So that the turn never sleeps. */
		if (wake == NULL || relay_mailbox_send(&shard->mailbox, &wake) < 0)
			abort();
		relay_shard_turn(shard);
		/* An end that does not read for a while is one that is slow. */
		for (unsigned e = 0; e < ENDS; e++)
			if (!(slow & (1U << e)))
				drain(&ends[e]);
	}
	for (unsigned i = 0; i < ENDS; i++) {
		drain(&ends[i]);
		check_output(&ends[i]);
	}
	relay_shard_free(&shard);
	for (unsigned i = 0; i < ENDS; i++)
		close(ends[i].fd);
	relay_mailbox_fini(&control);
	return 0;
}

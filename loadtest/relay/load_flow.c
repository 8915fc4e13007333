/*
 * load_flow: one epoll loop over all pairs.
 */
#include "load_flow.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum { READ_BYTES = 256 * 1024, SETTLE_MS = 500, EVENTS_AT_ONCE = 256 };

static uint8_t input[READ_BYTES];

/* One masked frame with a data message of `batch` random datagrams of WireGuard's shape. */
static size_t
build_frame(uint8_t *to, unsigned batch)
{
	uint8_t message[1 + LOAD_BATCH_MAX * (2 + LOAD_DATAGRAM_BYTES)], *mask = to + 4;
	size_t n = 0;

	message[n++] = LEG_KIND_DATA;
	for (unsigned i = 0; i < batch; i++) {
		message[n++] = LOAD_DATAGRAM_BYTES >> 8;
		message[n++] = LOAD_DATAGRAM_BYTES & 0xff;
		if (getrandom(message + n, LOAD_DATAGRAM_BYTES, 0) != LOAD_DATAGRAM_BYTES)
			load_die("no random bytes");
		memcpy(message + n, "\4\0\0\0", 4);
		n += LOAD_DATAGRAM_BYTES;
	}
	to[0] = 0x82;
	to[1] = 0x80 | 126;
	to[2] = (uint8_t)(n >> 8);
	to[3] = (uint8_t)n;
	do {
		if (getrandom(mask, 4, 0) != 4)
			load_die("no random bytes");
	} while (mask[0] == 0 || mask[1] == 0 || mask[2] == 0 || mask[3] == 0);
	for (size_t i = 0; i < n; i++)
		to[8 + i] = message[i] ^ mask[i % 4];
	return 8 + n;
}

void
load_flow_init(struct load_flow *flow, unsigned pairs, unsigned batch, size_t grows_by,
	       unsigned window)
{
	memset(flow, 0, sizeof(*flow));
	flow->pairs = calloc(pairs, sizeof(*flow->pairs));
	flow->chunk = malloc(LOAD_CHUNK_BYTES + 64 * 1024);
	flow->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (flow->pairs == NULL || flow->chunk == NULL || flow->epoll_fd < 0)
		load_die("out of memory");
	flow->count = pairs;
	flow->window = window;
	while (flow->chunk_n < LOAD_CHUNK_BYTES) {
		flow->frame_n = build_frame(flow->chunk + flow->chunk_n, batch);
		flow->chunk_n += flow->frame_n;
	}
	flow->message_out = flow->frame_n - 8 + grows_by;
}

static void
watch(struct load_flow *flow, struct load_pair *pair, bool is_new)
{
	struct epoll_event out = { .events = pair->is_blocked ? EPOLLOUT : 0, .data.ptr = pair };

	epoll_ctl(flow->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, pair->sender.fd, &out);
}

void
load_flow_start(struct load_flow *flow)
{
	for (unsigned i = 0; i < flow->count; i++) {
		struct load_pair *pair = &flow->pairs[i];
		/* The lowest bit of the pointer tells the two lines of a pair apart. */
		struct epoll_event in = { .events = EPOLLIN,
					  .data.u64 = (uint64_t)(uintptr_t)pair | 1 };

		load_line_set_nonblocking(&pair->sender);
		load_line_set_nonblocking(&pair->receiver);
		if (epoll_ctl(flow->epoll_fd, EPOLL_CTL_ADD, pair->receiver.fd, &in) < 0)
			load_die("epoll failed");
		watch(flow, pair, true);
	}
}

static void
send_more(struct load_flow *flow, struct load_pair *pair)
{
	bool was_blocked = pair->is_blocked;

	pair->is_blocked = false;
	for (;;) {
		size_t in_frame = pair->sent_at % flow->frame_n;
		uint64_t room = flow->window - (pair->sent - pair->received);
		size_t may = (size_t)room * flow->frame_n - in_frame;
		size_t n = flow->chunk_n - pair->sent_at;

		if (room == 0)
			break;
		n = n < may ? n : may;
		size_t done = load_line_send(&pair->sender, flow->chunk + pair->sent_at, n);
		pair->sent += (in_frame + done) / flow->frame_n;
		pair->sent_at = (pair->sent_at + done) % flow->chunk_n;
		if (done == 0) {
			pair->is_blocked = true;
			break;
		}
	}
	if (pair->is_blocked != was_blocked)
		watch(flow, pair, false);
}

/* A server's header, or (through a proxy) a client's, mask and all. 0: not complete. */
static size_t
header_size(const uint8_t *header, size_t n)
{
	if (n < 2)
		return 0;
	size_t size = (size_t)((header[1] & 0x7f) == 126 ? 4 : 2) + (header[1] & 0x80 ? 4 : 0);
	if ((header[1] & 0x7f) == 127)
		load_die("a frame that nobody sent arrived");
	return n >= size ? size : 0;
}

static void
take(struct load_flow *flow, struct load_pair *pair, const uint8_t *at, size_t n)
{
	while (n > 0) {
		if (pair->left > 0) {
			size_t part = n < pair->left ? n : pair->left;
			pair->left -= part;
			at += part;
			n -= part;
		} else {
			pair->header[pair->header_n++] = *at++;
			n--;
			if (header_size(pair->header, pair->header_n) == 0)
				continue;
			const uint8_t *h = pair->header;
			pair->left = (h[1] & 0x7f) == 126 ? (size_t)h[2] << 8 | h[3] : h[1] & 0x7f;
			pair->is_counted = h[0] == 0x82 && pair->left >= LOAD_DATAGRAM_BYTES;
			if (pair->is_counted && pair->left != flow->message_out)
				load_die("a message of %zu bytes arrived, not %zu", pair->left,
					 flow->message_out);
			pair->header_n = 0;
		}
		if (pair->left == 0 && pair->is_counted) {
			pair->is_counted = false;
			pair->received++;
			flow->received++;
		}
	}
}

static void
receive(struct load_flow *flow, struct load_pair *pair)
{
	size_t n = load_line_receive(&pair->receiver, input, sizeof(input));

	/* A TLS record at a time, but not for ever: the others wait. */
	for (int records = 0; n > 0; records++) {
		take(flow, pair, input, n);
		if (pair->receiver.ssl == NULL || records == 15)
			break;
		n = load_line_receive(&pair->receiver, input, sizeof(input));
	}
}

static void
turn(struct load_flow *flow, int timeout_ms, bool is_sending)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(flow->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct load_pair *pair =
			(struct load_pair *)(uintptr_t)(events[i].data.u64 & ~UINT64_C(1));

		if (events[i].data.u64 & 1)
			receive(flow, pair);
		if (is_sending)
			send_more(flow, pair);
	}
}

double
load_flow_run(struct load_flow *flow, double seconds)
{
	int64_t start_us = clock_monotonic_us();
	int64_t end_us = start_us + (int64_t)(seconds * 1e6), now_us;

	for (unsigned i = 0; i < flow->count; i++)
		send_more(flow, &flow->pairs[i]);
	do {
		turn(flow, 10, true);
		now_us = clock_monotonic_us();
	} while (now_us < end_us);
	return (double)(now_us - start_us) / 1e6;
}

uint64_t
load_flow_settle(struct load_flow *flow)
{
	int64_t end_us = clock_monotonic_us() + SETTLE_MS * 1000;
	uint64_t lost = 0;

	while (clock_monotonic_us() < end_us)
		turn(flow, 10, false);
	for (unsigned i = 0; i < flow->count; i++)
		lost += flow->pairs[i].sent - flow->pairs[i].received;
	return lost;
}

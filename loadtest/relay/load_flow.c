/*
 * load_flow: see the header. The loop spins: what is measured is the server's time, and a server
 * that has to wake this program pays for that, by chance and not by what it is.
 */
#include "load_flow.h"

#include "loop/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	READ_BYTES = 256 * 1024,
	SETTLE_MS = 500,
	EVENTS_AT_ONCE = 256,
	RECORDS_AT_ONCE = 16,
	DATAGRAMS_AT_ONCE = 32,
	LOST_AFTER_TURNS = 5, /* UDP: of 10 ms each without anything */
	IN_FLIGHT_MAX = 4000, /* paced: more than this and the server is behind */
};

static uint8_t input[READ_BYTES];

void
load_flow_init(struct load_flow *flow, unsigned pairs, bool has_trunk)
{
	memset(flow, 0, sizeof(*flow));
	flow->pairs = calloc(pairs, sizeof(*flow->pairs));
	flow->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (has_trunk)
		flow->trunk = calloc(1, sizeof(*flow->trunk));
	if (flow->pairs == NULL || flow->epoll_fd < 0 || (has_trunk && flow->trunk == NULL))
		load_die("out of memory");
	flow->count = pairs;
	for (unsigned i = 0; i < pairs; i++)
		for (unsigned e = 0; e < 2; e++)
			flow->pairs[i].ends[e].pair = &flow->pairs[i];
}

static struct load_end *
other_end(struct load_end *end)
{
	return &end->pair->ends[end == &end->pair->ends[LOAD_NEAR] ? LOAD_FAR : LOAD_NEAR];
}

static void
watch(struct load_flow *flow, struct load_end *end, bool is_new)
{
	struct epoll_event event = { .events = EPOLLIN | (end->is_blocked ? EPOLLOUT : 0U),
				     .data.ptr = end };

	if (epoll_ctl(flow->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, end->line.fd,
		      &event) < 0)
		load_die("epoll failed");
}

static void
start_end(struct load_flow *flow, struct load_end *end)
{
	if (end->pair != NULL && flow->trunk != NULL && end == &end->pair->ends[LOAD_FAR])
		return; /* the trunk is */
	load_line_set_nonblocking(&end->line);
	watch(flow, end, true);
}

void
load_flow_start(struct load_flow *flow, bool has_latency)
{
	if (flow->trunk != NULL) {
		flow->trunk->parser.keeps_head = true;
		start_end(flow, flow->trunk);
	}
	for (unsigned i = 0; i < flow->count; i++) {
		struct load_pair *pair = &flow->pairs[i];

		start_end(flow, &pair->ends[LOAD_NEAR]);
		start_end(flow, &pair->ends[LOAD_FAR]);
		pair->sent_us = has_latency ? calloc(LOAD_RING, sizeof(uint32_t)) : NULL;
	}
	if (has_latency)
		flow->samples_us = malloc(LOAD_SAMPLES_MAX * sizeof(uint32_t));
}

/* ---- sending ---- */

/* How many messages the end may have sent by now. */
static uint64_t
allowed(const struct load_flow *flow, struct load_end *end)
{
	uint64_t sum = 0;

	switch (end->role) {
	case LOAD_WINDOW:
		if (end->pair != NULL)
			return other_end(end)->received + flow->window;
		for (unsigned i = 0; i < flow->count; i++)
			sum += flow->pairs[i].ends[LOAD_NEAR].received;
		return sum + (uint64_t)flow->window * flow->count;
	case LOAD_PACED:
		return end->given;
	case LOAD_ECHO:
		return end->received;
	case LOAD_SILENT:
		break;
	}
	return end->sent;
}

static size_t
send_datagrams(struct load_end *end, size_t n)
{
	struct mmsghdr messages[DATAGRAMS_AT_ONCE];
	struct iovec iovecs[DATAGRAMS_AT_ONCE];
	size_t frame_n = end->chunk->frame_n, count = n / frame_n;

	count = count < DATAGRAMS_AT_ONCE ? count : DATAGRAMS_AT_ONCE;
	memset(messages, 0, count * sizeof(messages[0]));
	for (size_t i = 0; i < count; i++) {
		iovecs[i] =
			(struct iovec){ end->chunk->bytes + end->sent_at + i * frame_n, frame_n };
		messages[i].msg_hdr.msg_iov = &iovecs[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int sent = sendmmsg(end->line.fd, messages, (unsigned)count, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent * frame_n : 0;
}

static void
note_sent(struct load_pair *pair, uint64_t from, uint64_t to)
{
	uint32_t now_us = (uint32_t)clock_monotonic_us();

	for (; from < to; from++)
		pair->sent_us[from % LOAD_RING] = now_us;
}

/* Between two messages of ours; until then the ping waits, and a later one takes its place. */
static void
answer_ping(struct load_end *end)
{
	uint8_t pong[LOAD_PONG_BYTES];

	if (!end->parser.has_ping || end->is_blocked ||
	    (end->chunk != NULL && end->sent_at % end->chunk->frame_n != 0))
		return;
	load_parser_pong(&end->parser, pong);
	size_t n = load_line_send(&end->line, pong, sizeof(pong));
	if (n != 0 && n != sizeof(pong))
		load_die("a pong was cut");
}

static void
send_more(struct load_flow *flow, struct load_end *end)
{
	const struct load_chunk *chunk = end->chunk;
	bool was_blocked = end->is_blocked;
	uint64_t may = allowed(flow, end);

	end->is_blocked = false;
	while (end->sent < may) {
		size_t in_frame = end->sent_at % chunk->frame_n;
		size_t most = (size_t)(may - end->sent) * chunk->frame_n - in_frame;
		size_t n = chunk->n - end->sent_at;

		n = n < most ? n : most;
		if (end->pair != NULL && end->pair->sent_us != NULL && in_frame == 0)
			note_sent(end->pair, end->sent, end->sent + (n - 1) / chunk->frame_n + 1);
		size_t done = end->line.is_udp
				      ? send_datagrams(end, n)
				      : load_line_send(&end->line, chunk->bytes + end->sent_at, n);
		end->sent += (in_frame + done) / chunk->frame_n;
		end->sent_at = (end->sent_at + done) % chunk->n;
		if (done == 0) {
			end->is_blocked = true;
			break;
		}
	}
	if (end->is_blocked != was_blocked)
		watch(flow, end, false);
	answer_ping(end);
}

/* ---- receiving ---- */

struct arrival {
	struct load_flow *flow;
	struct load_end *end;
};

static void
count_message(struct load_flow *flow, struct load_end *end)
{
	struct load_pair *pair = end->pair;
	uint32_t now_us;

	end->received++;
	if (pair->sent_us == NULL) {
		flow->received++;
		return;
	}
	if (end != &pair->ends[LOAD_NEAR])
		return;
	flow->received++;
	now_us = (uint32_t)clock_monotonic_us();
	if (flow->n_samples < LOAD_SAMPLES_MAX)
		flow->samples_us[flow->n_samples++] =
			now_us - pair->sent_us[(end->received - 1) % LOAD_RING];
}

static void
on_message(const uint8_t *head, size_t n, void *arg)
{
	const struct arrival *arrival = arg;
	struct load_end *end = arrival->end;

	if (end->pair == NULL) {
		/* The relay's channel numbers end in the number of the slot. */
		unsigned slot = n >= 5 ? (unsigned)head[3] << 8 | head[4] : UINT32_MAX;

		if (slot >= arrival->flow->count)
			load_die("a message of no channel of ours arrived");
		end->received++;
		end = &arrival->flow->pairs[slot].ends[LOAD_FAR];
	}
	count_message(arrival->flow, end);
}

static void
receive_datagrams(struct load_flow *flow, struct load_end *end)
{
	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		size_t n = load_line_receive(&end->line, input, sizeof(input));

		if (n == 0)
			return;
		size_t header = end->parser.framing == LOAD_CHANNEL_DATA ? 4 : 0;
		if (n == header + LOAD_DATAGRAM_BYTES)
			count_message(flow, end);
	}
}

static void
receive(struct load_flow *flow, struct load_end *end)
{
	size_t expected = end->pair == NULL || end == &end->pair->ends[LOAD_FAR]
				  ? flow->far_message
				  : flow->near_message;
	struct arrival arrival = { flow, end };

	if (end->line.is_udp) {
		receive_datagrams(flow, end);
		return;
	}
	/* A TLS record at a time, but not for ever: the others wait. */
	for (int records = 0; records < RECORDS_AT_ONCE; records++) {
		size_t n = load_line_receive(&end->line, input, sizeof(input));

		load_parser_take(&end->parser, input, n, expected, on_message, &arrival);
		if (n == 0 || end->line.ssl == NULL)
			break;
	}
	answer_ping(end);
}

/* ---- the loop ---- */

/* What is lost on the way of UDP is forgiven, or its window would close for ever. */
static void
forgive_losses(struct load_flow *flow)
{
	for (unsigned i = 0; i < flow->count; i++)
		for (unsigned e = 0; e < 2; e++) {
			struct load_end *end = &flow->pairs[i].ends[e];

			if ((!end->line.is_udp && !other_end(end)->line.is_udp) ||
			    end->sent <= other_end(end)->received)
				continue;
			flow->forgiven += end->sent - other_end(end)->received;
			end->sent = other_end(end)->received;
		}
}

static int
spin(const struct load_flow *flow, struct epoll_event *events, int timeout_ms)
{
	int64_t end_us = timeout_ms > 0 ? clock_monotonic_us() + timeout_ms * 1000 : 0;
	int n;

	do {
		n = epoll_wait(flow->epoll_fd, events, EVENTS_AT_ONCE, 0);
	} while (n == 0 && timeout_ms > 0 && clock_monotonic_us() < end_us);
	return n;
}

static void
turn(struct load_flow *flow, int timeout_ms, bool is_sending)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = spin(flow, events, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct load_end *end = events[i].data.ptr;

		if (events[i].events & EPOLLIN)
			receive(flow, end);
		if (!is_sending)
			continue;
		if (end->role != LOAD_SILENT)
			send_more(flow, end);
		if (end->pair != NULL && other_end(end)->role == LOAD_WINDOW)
			send_more(flow, other_end(end));
		if (end->pair == NULL)
			for (unsigned k = 0; k < flow->count; k++)
				if (flow->pairs[k].ends[LOAD_NEAR].role == LOAD_WINDOW)
					send_more(flow, &flow->pairs[k].ends[LOAD_NEAR]);
	}
	if (flow->trunk != NULL && flow->trunk->role == LOAD_WINDOW && is_sending)
		send_more(flow, flow->trunk);
	flow->quiet_turns = n > 0 ? 0 : flow->quiet_turns + 1;
	if (timeout_ms > 0 && is_sending && flow->quiet_turns >= LOST_AFTER_TURNS) {
		forgive_losses(flow);
		for (unsigned i = 0; i < flow->count; i++)
			for (unsigned e = 0; e < 2; e++)
				if (flow->pairs[i].ends[e].role == LOAD_WINDOW)
					send_more(flow, &flow->pairs[i].ends[e]);
	}
}

static void
pace(struct load_flow *flow, int64_t now_us)
{
	uint64_t due = (uint64_t)((double)(now_us - flow->paced_from_us) * flow->rate / 1e6);

	while (flow->given + flow->skipped < due) {
		struct load_end *end = &flow->pairs[flow->next++ % flow->count].ends[LOAD_NEAR];

		if (end->given - end->sent > 100 || flow->given - flow->received > IN_FLIGHT_MAX) {
			flow->skipped++;
			continue;
		}
		flow->given++;
		end->given++;
		send_more(flow, end);
	}
}

double
load_flow_run(struct load_flow *flow, double seconds)
{
	int64_t start_us = clock_monotonic_us();
	int64_t end_us = start_us + (int64_t)(seconds * 1e6), now_us = start_us;

	flow->n_samples = 0;
	if (flow->paced_from_us == 0)
		flow->paced_from_us = start_us;
	for (unsigned i = 0; i < flow->count; i++)
		for (unsigned e = 0; e < 2; e++)
			if (flow->pairs[i].ends[e].role == LOAD_WINDOW)
				send_more(flow, &flow->pairs[i].ends[e]);
	do {
		if (flow->rate > 0)
			pace(flow, now_us);
		turn(flow, flow->rate > 0 ? 0 : 10, true);
		now_us = clock_monotonic_us();
	} while (now_us < end_us);
	return (double)(now_us - start_us) / 1e6;
}

uint64_t
load_flow_settle(struct load_flow *flow)
{
	int64_t end_us = clock_monotonic_us() + SETTLE_MS * 1000;
	uint64_t lost = flow->forgiven;

	while (clock_monotonic_us() < end_us)
		turn(flow, 10, false);
	for (unsigned i = 0; i < flow->count; i++)
		for (unsigned e = 0; e < 2; e++) {
			struct load_end *end = &flow->pairs[i].ends[e];

			if (end->sent > other_end(end)->received)
				lost += end->sent - other_end(end)->received;
		}
	if (flow->trunk != NULL) {
		lost += flow->trunk->sent;
		for (unsigned i = 0; i < flow->count; i++)
			lost -= flow->pairs[i].ends[LOAD_NEAR].received;
	}
	return lost;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

double
load_flow_percentile_us(struct load_flow *flow, double part)
{
	if (flow->n_samples == 0)
		return 0;
	qsort(flow->samples_us, flow->n_samples, sizeof(uint32_t), compare);
	return flow->samples_us[(size_t)((double)(flow->n_samples - 1) * part)];
}

/*
 * relay_receive: reads what a leg's socket has, hands each frame to where it belongs, and keeps the
 * beginning of the next one.
 */
#include "relay/relay_data.h"
#include "relay/relay_drops.h"
#include "relay/relay_link.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"
#include "relay/relay_upgrade.h"
#include "relay/relay_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Bytes now at `to`; 0: none. *ret_end: the reason why no more will come, or NULL. */
static size_t
receive(struct relay_shard *shard, struct relay_leg *leg, uint8_t *to, const char **ret_end)
{
	struct relay_round *round = &shard->round;
	ssize_t n;
	int state = 0;

	size_t most = leg->tls != NULL ? RELAY_CIPHER_BYTES : RELAY_READ_BYTES;
	if (leg->channel != NULL)
		most = relay_rate_read_bytes(&leg->channel->rate_up, most);
	*ret_end = NULL;
	do {
		n = recv(leg->fd, leg->tls != NULL ? round->cipher_in : to, most, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		*ret_end = n == 0 ? "peer hung up" : "connection is lost";
		return 0;
	}
	leg->heard_ms = shard->now_ms;
	if (leg->tls == NULL)
		return (size_t)n;
	struct tls_io io = { .in = round->cipher_in,
			     .in_n = (size_t)n,
			     .out = round->cipher_out,
			     .out_capacity = RELAY_CIPHER_OUT_BYTES };
	size_t plain = tls_channel_read(leg->tls, &io, to, RELAY_READ_BYTES, &state);
	relay_output_wire(shard, leg, io.out, io.out_n);
	if (state < 0)
		*ret_end = state == -ECONNRESET ? "peer hung up" : "TLS failed";
	return plain;
}

static void
on_frame(struct relay_shard *shard, struct relay_leg *leg, const struct ws_event *event)
{
	switch (event->kind) {
	case WS_EVENT_BINARY:
		relay_data_on_message(shard, leg, event->payload, event->n, event->mask);
		break;
	case WS_EVENT_TEXT:
		relay_leg_doom(shard, leg, WS_CLOSE_UNSUPPORTED, "legs carry no text");
		break;
	case WS_EVENT_PING:
		relay_link_send_frame(shard, leg, WS_OPCODE_PONG, event->payload, event->n);
		break;
	case WS_EVENT_PONG:
		relay_stall_on_pong(shard, leg, event->n);
		relay_window_on_pong(shard, leg, event);
		break;
	case WS_EVENT_CLOSE:
		relay_count(&shard->counters, RELAY_CLOSED_PEER, 1);
		relay_leg_doom(shard, leg, event->code, "");
		break;
	case WS_EVENT_FAIL:
		relay_count(&shard->counters, RELAY_CLOSED_PROTOCOL, 1);
		relay_leg_doom(shard, leg, event->code, event->reason);
		break;
	case WS_EVENT_MORE:
	case WS_EVENT_FRAGMENT:
		break;
	}
}

/* Keeps what has come of a frame, with room for all of it. */
static void
keep_tail(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes, size_t n,
	  size_t wanted)
{
	uint8_t *tail = malloc(wanted);

	if (tail == NULL) {
		relay_leg_doom(shard, leg, WS_CLOSE_INTERNAL, "out of memory");
		return;
	}
	memcpy(tail, bytes, n);
	leg->tail = tail;
	leg->tail_n = (uint32_t)n;
	leg->tail_capacity = (uint32_t)wanted;
}

static void
read_frames(struct relay_shard *shard, struct relay_leg *leg, uint8_t *at, uint8_t *end)
{
	struct ws_event event = { 0 };
	bool is_whole = false; /* a message was completed */
	size_t limit = relay_data_limit(leg);

	relay_round_begin(&shard->round, at, end);
	while (relay_leg_is_open(leg) && at < end) {
		ws_reader_next(&leg->reader, at, (size_t)(end - at), limit, shard->now_ms, &event);
		if (event.kind == WS_EVENT_MORE)
			break;
		is_whole = is_whole || event.kind == WS_EVENT_BINARY;
		on_frame(shard, leg, &event);
		at += event.consumed;
	}
	relay_round_end(&shard->round);
	if (!relay_leg_is_open(leg))
		return;
	if (at < end)
		keep_tail(shard, leg, at, (size_t)(end - at), event.wanted);
	if (at == end && leg->reader.opcode == 0)
		leg->half_ms = 0;
	else if (is_whole || leg->half_ms == 0)
		leg->half_ms = shard->now_ms;
	if (leg->half_ms != 0 &&
	    leg->half_ms + shard->settings->half_frame_ms < leg->timer.deadline_ms)
		relay_leg_arm(shard, leg);
	if (leg->resume_ms > shard->now_ms)
		relay_leg_pause(shard, leg);
}

/* Appends to the tail; true when its frame may be whole now, and then all of it lies before the new
 * bytes and the tail is free. A slow sender costs each byte once. */
static bool
join_tail(struct relay_leg *leg, uint8_t *at, size_t n)
{
	if (leg->tail_n + n < leg->tail_capacity) {
		memcpy(leg->tail + leg->tail_n, at, n);
		leg->tail_n += (uint32_t)n;
		return false;
	}
	memcpy(at - leg->tail_n, leg->tail, leg->tail_n);
	free(leg->tail);
	leg->tail = NULL;
	return true;
}

/* What is kept of messages and requests that are not whole counts against the relay's memory, and
 * who needs more of it than there is goes. */
static void
hold(struct relay_shard *shard, struct relay_leg *leg)
{
	uint32_t held = leg->reader.message_bytes, before = leg->held;

	if (leg->tail != NULL)
		held += leg->tail_capacity;
	if (leg->upgrade != NULL)
		held += (uint32_t)leg->upgrade->capacity;
	if (held == before)
		return;
	leg->held = held;
	shard->held_bytes += (uint64_t)held - before;
	relay_count(&shard->counters, RELAY_HELD_BYTES, (uint64_t)held - before);
	if (held < before || relay_drops_make_room(shard, 0))
		return;
	if (leg->state == RELAY_LEG_UPGRADING)
		relay_upgrade_refuse(shard, leg, 503, "memory is spent");
	else if (relay_leg_is_open(leg))
		relay_leg_doom(shard, leg, WS_CLOSE_OVERLOADED, "overloaded: memory is spent");
}

static void
read_open(struct relay_shard *shard, struct relay_leg *leg)
{
	size_t have = leg->tail != NULL ? leg->tail_n : 0;
	uint8_t *begin = relay_round_reserve(shard, have);
	const char *ended;

	if (!relay_leg_is_open(leg))
		return; /* the flush found it lost */
	size_t n = receive(shard, leg, begin + have, &ended);
	if (n > 0 && (leg->tail == NULL || join_tail(leg, begin + have, n)))
		read_frames(shard, leg, begin, begin + have + n);
	hold(shard, leg);
	relay_round_flush_read(shard);
	if (ended == NULL || !relay_leg_is_open(leg))
		return;
	relay_count(&shard->counters, RELAY_CLOSED_PEER, 1);
	relay_leg_doom(shard, leg, 0, ended);
}

static void
read_upgrade(struct relay_shard *shard, struct relay_leg *leg)
{
	uint8_t *begin = relay_round_reserve(shard, 0);
	const char *ended;
	size_t n = receive(shard, leg, begin, &ended);

	if (leg->state != RELAY_LEG_UPGRADING)
		return;
	if (n > 0 &&
	    (relay_upgrade_on_bytes(shard, leg, begin, n) || leg->state != RELAY_LEG_UPGRADING))
		return;
	hold(shard, leg);
	if (ended != NULL && leg->state == RELAY_LEG_UPGRADING) {
		relay_count(&shard->counters, RELAY_UPGRADE_LOST, 1);
		relay_leg_doom(shard, leg, 0, ended);
	}
}

static void
read_lingering(struct relay_shard *shard, struct relay_leg *leg)
{
	uint8_t *begin = relay_round_reserve(shard, 0);
	ssize_t n = recv(leg->fd, begin, RELAY_READ_BYTES, 0);

	if (n > 0)
		leg->thrown_bytes += (uint32_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) ||
	    leg->thrown_bytes > RELAY_LINGER_BYTES)
		relay_leg_doom(shard, leg, 0, "closed");
}

void
relay_leg_on_event(struct relay_shard *shard, struct relay_leg *leg, uint32_t events)
{
	if (leg->is_paused && (events & (EPOLLHUP | EPOLLERR)))
		relay_leg_doom(shard, leg, 0, "connection is lost");
	if ((events & EPOLLOUT) && leg->state != RELAY_LEG_DOOMED) {
		relay_output_on_writable(shard, leg);
		if (leg->state == RELAY_LEG_LINGERING && !leg->is_blocked)
			shutdown(leg->fd, SHUT_WR);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (leg->state == RELAY_LEG_OPEN)
		read_open(shard, leg);
	else if (leg->state == RELAY_LEG_UPGRADING)
		read_upgrade(shard, leg);
	else if (leg->state == RELAY_LEG_LINGERING)
		read_lingering(shard, leg);
}

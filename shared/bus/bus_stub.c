/*
 * bus_stub: what the generated stubs call: a request is packed and sent, or waits for the first
 * connection, or fails, which its closure learns a little later. Frames: [RequestHead][body].
 */
#include "bus/bus_inside.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
pack_head(const struct bus_pending *pending, int64_t now_ms, uint8_t bytes[BUS_HEAD_MAX_BYTES])
{
	Boson__Bus__RequestHead head = BOSON__BUS__REQUEST_HEAD__INIT;
	const struct bus_peer *peer = pending->peer;
	int64_t left_ms = pending->deadline.due_ms - now_ms;

	head.version = BUS_VERSION;
	head.correlation = pending->correlation;
	head.has_ping = head.ping = pending->ping != NULL;
	if (!pending->ping)
		head.method = peer->methods[pending->method];
	head.has_timeout_ms = true;
	head.timeout_ms = left_ms > 0 ? (uint32_t)left_ms : 1;
	head.has_trace = true;
	head.trace.data = (uint8_t *)(uintptr_t)pending->trace;
	head.trace.len = BUS_TRACE_RAW_BYTES;
	head.has_local_deadline_ms = peer->transport != BUS_TCP;
	head.local_deadline_ms = pending->deadline.due_ms;
	return bus_head_pack(&head.base, bytes);
}

static int
send_once(struct bus_pending *pending, int64_t now_ms, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;
	uint8_t head[BUS_HEAD_MAX_BYTES];
	struct bus_bytes parts[] = { { head, pack_head(pending, now_ms, head) }, { body, n } };

	int r = bus_frames_send(peer->handle, parts, 2);
	loop_zsock_check(peer->watch);
	if (r == 0) {
		pending->state = BUS_PENDING_SENT;
		pending->was_sent = true;
		peer->n_sent++;
	}
	return r;
}

/* Asking makes libzmq look at what its threads told it, which sending itself does only now and
 * then; so "full" may be old news. */
static bool
is_writable(const struct bus_peer *peer)
{
	int events = 0;
	size_t n = sizeof(events);

	return zmq_getsockopt(peer->handle, ZMQ_EVENTS, &events, &n) == 0 && (events & ZMQ_POLLOUT);
}

/* libzmq does not connect again over inproc when the server's socket is replaced. That is so when
 * sending fails although one who once answered has next to nothing of ours to read. */
int
bus_pending_send(struct bus_pending *pending, int64_t now_ms, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;
	int r = send_once(pending, now_ms, body, n);

	if (r == -EAGAIN && is_writable(peer))
		r = send_once(pending, now_ms, body, n);
	if (r == -EAGAIN && peer->transport == BUS_INPROC && peer->heard &&
	    peer->n_sent < BUS_HWM_MESSAGES && bus_peer_connect_again(peer) == 0)
		r = send_once(pending, now_ms, body, n);
	/* The connection went, and only its monitor has heard of it. */
	if (r == -EAGAIN && bus_monitor_has_news(peer))
		r = -EHOSTDOWN;
	return r;
}

static int
wait_for_peer(struct bus_pending *pending, const void *body, size_t n)
{
	int r = -EAGAIN;

	if (pending->peer->n_waiting < BUS_HWM_MESSAGES)
		r = bus_pending_keep_body(pending, body, n);
	if (r == 0)
		bus_waiting_add(pending);
	return r;
}

static void
start_call(struct bus_pending *pending, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;
	int r;

	if (peer->closing || pending->slot == UINT32_MAX) {
		bus_pending_fail(pending, BUS_UNAVAILABLE,
				 peer->closing ? "peer_closed" : "calls_full");
		return;
	}
	if (!peer->group && peer->state == BUS_PEER_DOWN) {
		bus_pending_fail(pending, BUS_UNAVAILABLE, "peer_down");
		return;
	}
	r = bus_deadline_add(&peer->bus->deadlines, &pending->deadline);
	if (r == 0 && peer->group)
		r = bus_group_start(pending, body, n);
	else if (r == 0 && peer->state == BUS_PEER_CONNECTING)
		r = wait_for_peer(pending, body, n);
	else if (r == 0)
		r = bus_pending_send(pending, pending->asked_us / 1000, body, n);
	if (r < 0)
		bus_pending_fail_send(pending, r);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The trace that was asked for, or a new one. */
static void
take_trace(struct bus_peer *peer, uint8_t trace[BUS_TRACE_RAW_BYTES])
{
	uint64_t fresh[2];

	for (size_t i = 0; i < BUS_TRACE_RAW_BYTES; i++) {
		int high = hex_digit(peer->next_trace[2 * i]);
		int low = high < 0 ? -1 : hex_digit(peer->next_trace[2 * i + 1]);
		if (low < 0) {
			fresh[0] = bus_random(peer->bus);
			fresh[1] = bus_random(peer->bus);
			memcpy(trace, fresh, sizeof(fresh));
			return;
		}
		trace[i] = (uint8_t)(high << 4 | low);
	}
}

static void
take_next(struct bus_peer *peer, struct bus_pending *pending)
{
	uint32_t timeout_ms = peer->next_timeout_ms;

	if (timeout_ms == 0)
		timeout_ms = BUS_DEADLINE_DEFAULT_MS;
	if (timeout_ms > BUS_DEADLINE_MAX_MS)
		timeout_ms = BUS_DEADLINE_MAX_MS;
	pending->deadline.due_ms = pending->asked_us / 1000 + timeout_ms;
	take_trace(peer, pending->trace);
	peer->next_timeout_ms = 0;
	peer->next_trace[0] = '\0';
}

/* What the generated stubs call. */
void
bus_peer_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *input,
		ProtobufCClosure closure, void *closure_data)
{
	struct bus_peer *peer = (struct bus_peer *)service;
	struct bus_pending *pending = bus_pending_take(peer);

	if (!pending) {
		/* Not even memory to say so later. */
		bus_result_set(&peer->result, BUS_UNAVAILABLE, "out_of_memory", NULL, 0);
		closure(NULL, closure_data);
		return;
	}
	pending->method = method;
	pending->closure = closure;
	pending->arg = closure_data;
	take_next(peer, pending);
	size_t n = protobuf_c_message_get_packed_size(input);
	if (n > BUS_MESSAGE_MAX_BYTES) {
		bus_pending_fail(pending, BUS_TOO_LARGE, "message_too_large");
		return;
	}
	protobuf_c_message_pack(input, peer->bus->scratch);
	start_call(pending, peer->bus->scratch, n);
}

void
bus_peer_ping(struct bus_peer *peer, uint32_t timeout_ms, bus_ping_fn fn, void *arg)
{
	struct bus_pending *pending = bus_pending_take(peer);

	if (!pending) {
		fn(false, 0, arg);
		return;
	}
	pending->ping = fn;
	pending->arg = arg;
	peer->next_timeout_ms = timeout_ms;
	take_next(peer, pending);
	start_call(pending, "", 0);
}

int
bus_peer_ask(struct bus_peer *peer, const struct bus_pending *like, ProtobufCClosure closure,
	     bus_ping_fn ping, void *arg)
{
	struct bus_pending *pending = bus_pending_take(peer);

	if (!pending)
		return -ENOMEM;
	pending->method = like->method;
	pending->closure = closure;
	pending->ping = ping;
	pending->arg = arg;
	pending->deadline.due_ms = like->deadline.due_ms;
	memcpy(pending->trace, like->trace, sizeof(pending->trace));
	start_call(pending, like->body, like->body_bytes);
	return 0;
}

void
bus_peer_next(struct bus_peer *peer, uint32_t timeout_ms, const char *trace_id)
{
	peer->next_timeout_ms = timeout_ms;
	snprintf(peer->next_trace, sizeof(peer->next_trace), "%s", trace_id ? trace_id : "");
}

const struct bus_result *
bus_peer_result(const struct bus_peer *peer)
{
	return &peer->result;
}

ProtobufCService *
bus_peer_service(struct bus_peer *peer)
{
	return &peer->service;
}

/*
 * bus_peer: a DEALER to one server, and the calls under way on it. Frames out: [RequestHead][body];
 * in: [ReplyHead][body].
 *
 * A correlation id is (sequence << 16 | slot): it grows with each call, and tells where in the
 * table the call is.
 */
#include "bus/bus_inside.h"

#include "bus/bus_check.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 16,
	REPLY_PARTS = 2,
	REPLIES_A_TURN = 256,
	REFUSED_AGAIN_MS = 2000,
	SILENT_AGAIN_MS = 2 * BUS_RECONNECT_MAX_MS,
	FAILED_ROUNDS_MAX = 64,
};

/* ---- pending calls ---- */

static int
slots_grow(struct bus_peer *peer)
{
	size_t capacity = peer->capacity ? peer->capacity * 2 : 64;
	struct bus_pending **slots = reallocarray(peer->slots, capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	peer->slots = slots;
	peer->capacity = capacity;
	return 0;
}

static struct bus_pending *
new_slot(struct bus_peer *peer)
{
	if (peer->n_slots == peer->capacity && slots_grow(peer) < 0)
		return NULL;
	struct bus_pending *pending = calloc(1, sizeof(*pending));
	if (!pending)
		return NULL;
	pending->slot = (uint32_t)peer->n_slots;
	peer->slots[peer->n_slots++] = pending;
	return pending;
}

/* One that can only fail, because there are BUS_PENDING_MAX already, or no memory for the table. */
static struct bus_pending *
new_loose(void)
{
	struct bus_pending *pending = calloc(1, sizeof(*pending));

	if (pending)
		pending->slot = UINT32_MAX;
	return pending;
}

static void on_deadline(struct bus_deadline *deadline);

static struct bus_pending *
pending_take(struct bus_peer *peer)
{
	struct bus_pending *pending = peer->free_slots;

	if (pending)
		peer->free_slots = pending->next;
	else if (peer->n_slots < BUS_PENDING_MAX)
		pending = new_slot(peer);
	if (!pending)
		pending = new_loose();
	if (!pending)
		return NULL;
	*pending = (struct bus_pending){
		.peer = peer,
		.slot = pending->slot,
		.correlation = ++peer->sequence << SLOT_BITS | (pending->slot & 0xffff),
		.asked_us = clock_monotonic_us(),
		.deadline.fn = on_deadline,
	};
	peer->n_pending++;
	return pending;
}

static void
pending_give_back(struct bus_pending *pending)
{
	struct bus_peer *peer = pending->peer;

	bus_deadline_remove(&peer->bus->deadlines, &pending->deadline);
	if (pending->state == BUS_PENDING_SENT)
		peer->n_sent--;
	free(pending->body);
	pending->body = NULL;
	pending->state = BUS_PENDING_FREE;
	peer->n_pending--;
	if (pending->slot == UINT32_MAX) {
		free(pending);
		return;
	}
	pending->next = peer->free_slots;
	peer->free_slots = pending;
}

static struct bus_pending *
pending_find(struct bus_peer *peer, uint64_t correlation)
{
	size_t slot = correlation & 0xffff;

	if (slot >= peer->n_slots)
		return NULL;
	struct bus_pending *pending = peer->slots[slot];
	return pending->state == BUS_PENDING_SENT && pending->correlation == correlation ? pending
											 : NULL;
}

/* ---- the peer's own end ---- */

static void
peer_destroy(struct bus_peer *peer)
{
	for (struct bus_peer **at = &peer->bus->peers; *at; at = &(*at)->next) {
		if (*at == peer) {
			*at = peer->next;
			break;
		}
	}
	for (size_t i = 0; i < peer->n_slots; i++)
		free(peer->slots[i]);
	free(peer->slots);
	bus_tally_fini(&peer->tally);
	for (unsigned i = 0; peer->methods && i < peer->service.descriptor->n_methods; i++)
		free(peer->methods[i]);
	free(peer->methods);
	free(peer);
}

static void
peer_leave(struct bus_peer *peer)
{
	peer->busy--;
	if (peer->closing && peer->busy == 0 && peer->n_pending == 0)
		peer_destroy(peer);
}

/* ---- how a call ends ---- */

static void
trace_end(const struct bus_pending *pending, const struct bus_result *result, int64_t took_us)
{
	const struct bus_peer *peer = pending->peer;
	char trace[BUS_TRACE_BYTES];

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	for (size_t i = 0; i < BUS_TRACE_RAW_BYTES; i++)
		snprintf(trace + 2 * i, 3, "%02x", pending->trace[i]);
	log_debug("call_ended", "method=%s.%s trace=%s result=%s code=%s us=%lld",
		  peer->service.descriptor->short_name,
		  peer->service.descriptor->methods[pending->method].name, trace,
		  bus_status_word(result->status), result->code, (long long)took_us);
}

/* The one place where closures are called. The slot is free again before, so that the closure may
 * call anew; the caller must not touch pending, nor the peer unless it holds it busy. */
static void
finish(struct bus_pending *pending, const struct bus_result *result, const ProtobufCMessage *reply)
{
	struct bus_peer *peer = pending->peer;
	struct bus_pending ended = *pending;
	int64_t took_us = (peer->turn_us ? peer->turn_us : clock_monotonic_us()) - ended.asked_us;

	if (took_us < 0)
		took_us = 0; /* asked and answered within one turn */

	peer->busy++;
	if (!ended.ping) {
		bus_tally_add(&peer->tally, ended.method, result->status, took_us);
		trace_end(pending, result, took_us);
	}
	pending_give_back(pending);
	peer->result = *result;
	if (ended.ping)
		ended.ping(result->status == BUS_OK, (uint32_t)took_us, ended.arg);
	else
		ended.closure(reply, ended.arg);
	peer_leave(peer);
}

static void
finish_failed(struct bus_pending *pending, enum bus_status status, const char *code)
{
	struct bus_result result;

	bus_result_set(&result, status, code, NULL, 0);
	finish(pending, &result, NULL);
}

static void
stop_waiting(struct bus_pending *pending)
{
	struct bus_peer *peer = pending->peer;
	struct bus_pending **at = &peer->first_waiting;

	while (*at != pending)
		at = &(*at)->next;
	*at = pending->next;
	if (!*at)
		peer->last_waiting = at;
	peer->n_waiting--;
}

static void
on_deadline(struct bus_deadline *deadline)
{
	struct bus_pending *pending =
		(struct bus_pending *)((char *)deadline - offsetof(struct bus_pending, deadline));

	if (pending->state == BUS_PENDING_WAITING)
		stop_waiting(pending);
	finish_failed(pending, BUS_DEADLINE, "deadline");
}

/* ---- failures inside a stub: told from a timer that fires at once ---- */

/* Those that fail meanwhile, because a closure called once more, wait for the next round. */
static void
finish_all_failed(struct bus *bus)
{
	uint64_t round = bus->failed_round++;

	while (bus->first_failed && bus->first_failed->fail_round <= round) {
		struct bus_pending *pending = bus->first_failed;
		bus->first_failed = pending->next;
		if (!bus->first_failed)
			bus->last_failed = &bus->first_failed;
		finish_failed(pending, pending->fail_status, pending->fail_code);
	}
}

static void
on_failed_timer(struct loop *loop, void *arg)
{
	struct bus *bus = arg;

	(void)loop;
	bus->failed_timer = NULL;
	finish_all_failed(bus);
}

static void
fail_later(struct bus_pending *pending, enum bus_status status, const char *code)
{
	struct bus *bus = pending->peer->bus;

	bus_deadline_remove(&bus->deadlines, &pending->deadline);
	pending->state = BUS_PENDING_FAILED;
	pending->fail_status = status;
	pending->fail_code = code;
	pending->fail_round = bus->failed_round;
	pending->next = NULL;
	*bus->last_failed = pending;
	bus->last_failed = &pending->next;
	if (!bus->failed_timer)
		loop_timer_start(bus->loop, 0, 0, on_failed_timer, bus, &bus->failed_timer);
}

/* ---- sending ---- */

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
connect_again(struct bus_peer *peer)
{
	zmq_disconnect(peer->handle, peer->endpoint);
	peer->heard = false;
	return zmq_connect(peer->handle, peer->endpoint) < 0 ? -errno : 0;
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
static int
send_now(struct bus_pending *pending, int64_t now_ms, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;
	int r = send_once(pending, now_ms, body, n);

	if (r == -EAGAIN && is_writable(peer))
		r = send_once(pending, now_ms, body, n);
	if (r == -EAGAIN && peer->transport == BUS_INPROC && peer->heard &&
	    peer->n_sent < BUS_HWM_MESSAGES && connect_again(peer) == 0)
		r = send_once(pending, now_ms, body, n);
	return r;
}

static int
wait_for_peer(struct bus_pending *pending, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;

	if (peer->n_waiting >= BUS_HWM_MESSAGES)
		return -EAGAIN;
	pending->body = malloc(n > 0 ? n : 1);
	if (!pending->body)
		return -ENOMEM;
	memcpy(pending->body, body, n);
	pending->body_bytes = n;
	pending->state = BUS_PENDING_WAITING;
	pending->next = NULL;
	*peer->last_waiting = pending;
	peer->last_waiting = &pending->next;
	peer->n_waiting++;
	return 0;
}

static void
start_call(struct bus_pending *pending, const void *body, size_t n)
{
	struct bus_peer *peer = pending->peer;
	int r;

	if (peer->closing || pending->slot == UINT32_MAX) {
		fail_later(pending, BUS_UNAVAILABLE, peer->closing ? "peer_closed" : "calls_full");
		return;
	}
	if (peer->state == BUS_PEER_DOWN) {
		fail_later(pending, BUS_UNAVAILABLE, "peer_down");
		return;
	}
	r = bus_deadline_add(&peer->bus->deadlines, &pending->deadline);
	if (r == 0 && peer->state == BUS_PEER_CONNECTING)
		r = wait_for_peer(pending, body, n);
	else if (r == 0)
		r = send_now(pending, pending->asked_us / 1000, body, n);
	if (r < 0)
		fail_later(pending, BUS_UNAVAILABLE, r == -EAGAIN ? "peer_full" : "out_of_memory");
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
static void
peer_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *input,
	    ProtobufCClosure closure, void *closure_data)
{
	struct bus_peer *peer = (struct bus_peer *)service;
	struct bus_pending *pending = pending_take(peer);

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
		fail_later(pending, BUS_TOO_LARGE, "message_too_large");
		return;
	}
	protobuf_c_message_pack(input, peer->bus->scratch);
	start_call(pending, peer->bus->scratch, n);
}

void
bus_peer_ping(struct bus_peer *peer, uint32_t timeout_ms, bus_ping_fn fn, void *arg)
{
	struct bus_pending *pending = pending_take(peer);

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

/* ---- replies ---- */

static void
take_result(const Boson__Bus__ReplyHead *head, struct bus_result *ret)
{
	enum bus_status status = BUS_OK;

	if (head->has_status)
		status = head->status < BUS_STATUSES ? (enum bus_status)head->status : BUS_INTERNAL;
	bus_result_set(ret, status, head->code, head->field,
		       head->has_retry_after_sec ? head->retry_after_sec : 0);
}

static void
take_reply(struct bus_peer *peer, const Boson__Bus__ReplyHead *head, zmq_msg_t *body)
{
	struct bus_pending *pending = pending_find(peer, head->correlation);
	ProtobufCMessage *reply = NULL;
	struct bus_result result;

	if (!pending) {
		bus_drop(peer->bus, BUS_DROP_LATE_REPLY, peer->service.descriptor->name);
		return;
	}
	take_result(head, &result);
	if (head->version != BUS_VERSION)
		bus_result_set(&result, BUS_INTERNAL, "unsupported_version", NULL, 0);
	if (result.status == BUS_OK && !pending->ping) {
		int r = bus_check_unpack(peer->service.descriptor->methods[pending->method].output,
					 &peer->bus->arena.allocator, zmq_msg_data(body),
					 zmq_msg_size(body), &reply);
		if (r < 0)
			bus_result_set(&result, BUS_INTERNAL, "malformed_reply", NULL, 0);
	}
	finish(pending, &result, reply);
}

static void
take_frames(struct bus_peer *peer, struct bus_frames *frames)
{
	struct bus *bus = peer->bus;
	ProtobufCMessage *head = NULL;

	if (frames->n != REPLY_PARTS) {
		bus_drop(bus, BUS_DROP_PARTS, peer->service.descriptor->name);
		return;
	}
	size_t n = zmq_msg_size(&frames->part[0]);
	if (n <= BUS_HEAD_MAX_BYTES &&
	    bus_check_unpack(&boson__bus__reply_head__descriptor, &bus->arena.allocator,
			     zmq_msg_data(&frames->part[0]), n, &head) == 0)
		take_reply(peer, (Boson__Bus__ReplyHead *)head, &frames->part[1]);
	else
		bus_drop(bus, BUS_DROP_ENVELOPE, peer->service.descriptor->name);
	bus_arena_reset(&bus->arena);
}

static void
on_readable(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_peer *peer = arg;
	struct bus_frames frames;

	(void)loop, (void)socket;
	peer->busy++;
	peer->turn_us = clock_monotonic_us();
	for (int taken = 0; taken < REPLIES_A_TURN && !peer->closing; taken++) {
		if (bus_frames_recv(peer->handle, &frames) < 0)
			break;
		peer->heard = true;
		take_frames(peer, &frames);
		bus_frames_close(&frames);
	}
	peer->turn_us = 0;
	peer_leave(peer);
}

/* ---- the connection ---- */

void
bus_peer_is_up(struct bus_peer *peer)
{
	struct bus_pending *next = peer->first_waiting;
	int64_t now_ms = clock_monotonic_ms();

	if (peer->state != BUS_PEER_UP)
		log_info("peer_up", "peer=%s", peer->service.descriptor->short_name);
	peer->state = BUS_PEER_UP;
	loop_timer_stop(&peer->again_timer);
	peer->first_waiting = NULL;
	peer->last_waiting = &peer->first_waiting;
	peer->n_waiting = 0;
	while (next) {
		struct bus_pending *pending = next;
		next = pending->next;
		if (send_now(pending, now_ms, pending->body, pending->body_bytes) < 0)
			fail_later(pending, BUS_UNAVAILABLE, "peer_full");
		free(pending->body);
		pending->body = NULL;
	}
}

/* Fails all calls but those that have failed already. Closures may make new ones: these wait for
 * the next turn. */
static void
fail_all(struct bus_peer *peer, const char *code)
{
	for (size_t i = 0; i < peer->n_slots; i++) {
		struct bus_pending *pending = peer->slots[i];
		if (pending->state == BUS_PENDING_SENT || pending->state == BUS_PENDING_WAITING)
			fail_later(pending, BUS_UNAVAILABLE, code);
	}
	peer->n_sent = 0;
	peer->first_waiting = NULL;
	peer->last_waiting = &peer->first_waiting;
	peer->n_waiting = 0;
}

static void
on_again_timer(struct loop *loop, void *arg)
{
	struct bus_peer *peer = arg;

	(void)loop;
	if (connect_again(peer) < 0)
		log_warn("peer_connect_failed", "endpoint=%s error=%m", peer->endpoint);
}

/* After a handshake that was refused libzmq does not try again, but the list may change. And when
 * it says nothing for longer than it waits between two tries, something is wrong with it. */
static void
connect_later(struct bus_peer *peer, bool refused)
{
	int64_t delay_ms = refused ? REFUSED_AGAIN_MS : SILENT_AGAIN_MS;

	delay_ms += (int64_t)(bus_random(peer->bus) % (uint64_t)(delay_ms / 4));
	loop_timer_stop(&peer->again_timer);
	loop_timer_start(peer->bus->loop, delay_ms, SILENT_AGAIN_MS, on_again_timer, peer,
			 &peer->again_timer);
}

void
bus_peer_is_down(struct bus_peer *peer, bool refused)
{
	connect_later(peer, refused);
	if (peer->state == BUS_PEER_DOWN)
		return;
	log_warn("peer_down", "peer=%s was_up=%d refused=%d", peer->service.descriptor->short_name,
		 peer->state == BUS_PEER_UP, refused);
	/* What had been answered before it went is still to be read. */
	peer->busy++;
	on_readable(peer->bus->loop, peer->socket, peer);
	peer->state = BUS_PEER_DOWN;
	if (!peer->closing)
		fail_all(peer, "peer_down");
	peer_leave(peer);
}

static int
name_methods(struct bus_peer *peer)
{
	const ProtobufCServiceDescriptor *service = peer->service.descriptor;

	peer->methods = calloc(service->n_methods, sizeof(*peer->methods));
	for (unsigned i = 0; peer->methods && i < service->n_methods; i++) {
		if (asprintf(&peer->methods[i], "%s/%s", service->name, service->methods[i].name) <
		    0) {
			peer->methods[i] = NULL;
			return -ENOMEM;
		}
	}
	return peer->methods ? 0 : -ENOMEM;
}

static int
peer_open(struct bus_peer *peer, const char *server_key)
{
	struct bus *bus = peer->bus;
	int r = bus_transport_of(peer->endpoint, &peer->transport);

	if (r == 0)
		r = name_methods(peer);
	if (r == 0)
		r = bus_tally_init(&peer->tally, bus->metrics, peer->service.descriptor,
				   BUS_SIDE_CLIENT);
	if (r == 0)
		r = bus_socket_for_client(bus, ZMQ_DEALER, peer->endpoint, server_key,
					  &peer->socket);
	if (r < 0)
		return r;
	peer->handle = zsock_resolve(peer->socket);
	peer->state = peer->transport == BUS_INPROC ? BUS_PEER_UP : BUS_PEER_CONNECTING;
	if (peer->transport != BUS_INPROC)
		r = bus_monitor_start(peer);
	if (r == 0 && zmq_connect(peer->handle, peer->endpoint) < 0)
		r = -errno;
	if (r == 0)
		r = loop_zsock_add(bus->loop, peer->socket, on_readable, peer, &peer->watch);
	return r;
}

static void
peer_close_sockets(struct bus_peer *peer)
{
	peer->closing = true;
	loop_timer_stop(&peer->again_timer);
	bus_monitor_stop(peer);
	loop_zsock_remove(&peer->watch);
	zsock_destroy(&peer->socket);
	peer->handle = NULL;
}

int
bus_peer_new(struct bus *bus, const char *endpoint, const char *server_key,
	     const ProtobufCServiceDescriptor *descriptor, struct bus_peer **ret)
{
	struct bus_peer *peer;

	if (strlen(endpoint) >= sizeof(peer->endpoint))
		return -EINVAL;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->service.descriptor = descriptor;
	peer->service.invoke = peer_invoke;
	peer->bus = bus;
	peer->last_waiting = &peer->first_waiting;
	strcpy(peer->endpoint, endpoint);
	peer->next = bus->peers;
	bus->peers = peer;
	int r = peer_open(peer, server_key);
	if (r < 0) {
		peer_close_sockets(peer);
		peer_destroy(peer);
		return r;
	}
	*ret = peer;
	return 0;
}

/* Takes those of one peer off the failed list and finishes them now. */
static void
finish_failed_of(struct bus *bus, struct bus_peer *peer)
{
	struct bus_pending **at = &bus->first_failed;
	struct bus_pending *mine = NULL, **last = &mine;

	while (*at) {
		struct bus_pending *pending = *at;
		if (pending->peer != peer) {
			at = &pending->next;
			continue;
		}
		*at = pending->next;
		pending->next = NULL;
		*last = pending;
		last = &pending->next;
	}
	bus->last_failed = at;
	while (mine) {
		struct bus_pending *pending = mine;
		mine = pending->next;
		finish_failed(pending, pending->fail_status, pending->fail_code);
	}
}

void
bus_peer_free(struct bus_peer **peer)
{
	struct bus_peer *p = peer ? *peer : NULL;

	if (!p)
		return;
	*peer = NULL;
	p->busy++;
	peer_close_sockets(p);
	fail_all(p, "peer_closed");
	finish_failed_of(p->bus, p);
	peer_leave(p); /* closures that called once more are told later; then it goes */
}

static struct bus_peer *
first_open(const struct bus *bus)
{
	struct bus_peer *peer = bus->peers;

	while (peer && peer->closing)
		peer = peer->next;
	return peer;
}

void
bus_peers_fini(struct bus *bus)
{
	for (struct bus_peer *peer; (peer = first_open(bus));)
		bus_peer_free(&peer);
	for (int i = 0; i < FAILED_ROUNDS_MAX && bus->first_failed; i++)
		finish_all_failed(bus);
	loop_timer_stop(&bus->failed_timer);
	while (bus->peers)
		peer_destroy(bus->peers);
}

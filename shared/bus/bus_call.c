/*
 * bus_call: one request that we answer, from its handler's side. The handler owns the call from
 * when it runs until it answers, which may be long after the bus gave up on it: then its answer is
 * counted and dropped, and only then the call is freed.
 */
#include "bus/bus_inside.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
on_deadline(struct bus_deadline *deadline)
{
	struct bus_call *call =
		(struct bus_call *)((char *)deadline - offsetof(struct bus_call, deadline));

	bus_call_expire(call);
}

/* Milliseconds from now, of what the caller said and the host's limits. */
static int64_t
deadline_ms(const struct bus_server *server, const Boson__Bus__RequestHead *head)
{
	int64_t now_ms = server->turn_us / 1000;
	int64_t left_ms = head->has_timeout_ms ? head->timeout_ms : BUS_DEADLINE_DEFAULT_MS;

	if (left_ms > BUS_DEADLINE_MAX_MS)
		left_ms = BUS_DEADLINE_MAX_MS;
	int64_t due_ms = now_ms + left_ms;
	/* Same host, same clock: what waited in our queue has less left. A clock that is off by
	 * more than a deadline is another one (a time namespace), and does not count. */
	if (server->transport != BUS_TCP && head->has_local_deadline_ms &&
	    head->local_deadline_ms < due_ms &&
	    head->local_deadline_ms > now_ms - BUS_DEADLINE_MAX_MS)
		due_ms = head->local_deadline_ms;
	return due_ms;
}

static const char *
peer_name(const struct bus_server *server, zmq_msg_t *frame)
{
	return server->transport == BUS_TCP ? zmq_msg_gets(frame, "User-Id") : "local";
}

struct bus_call *
bus_call_new(struct bus_server *server, struct bus_frames *frames,
	     const Boson__Bus__RequestHead *head, unsigned method)
{
	const char *peer = peer_name(server, &frames->part[1]);
	struct bus_call *call = malloc(sizeof(*call));

	if (!call)
		return NULL;
	memset(call, 0, offsetof(struct bus_call, routing_id));
	call->reply = NULL;
	call->server = server;
	call->method = method;
	call->correlation = head->correlation;
	call->received_us = server->turn_us;
	call->deadline.fn = on_deadline;
	call->deadline.due_ms = deadline_ms(server, head);
	if (head->has_trace && head->trace.len == BUS_TRACE_RAW_BYTES)
		memcpy(call->trace, head->trace.data, BUS_TRACE_RAW_BYTES);
	strncpy(call->peer, peer ? peer : "", sizeof(call->peer) - 1);
	zmq_msg_init(&call->routing_id);
	zmq_msg_move(&call->routing_id, &frames->part[0]);
	zmq_msg_init(&call->body);
	zmq_msg_move(&call->body, &frames->part[2]);
	LIST_INSERT_HEAD(&server->calls, call, of_server);
	server->n_calls++;
	return call;
}

void
bus_call_free(struct bus_call *call)
{
	struct bus_server *server = call->server;

	bus_deadline_remove(&server->bus->deadlines, &call->deadline);
	LIST_REMOVE(call, of_server);
	server->n_calls--;
	zmq_msg_close(&call->routing_id);
	zmq_msg_close(&call->body);
	free(call->reply);
	free(call);
}

static void
trace_call(const struct bus_call *call, const struct bus_result *result, int64_t took_us)
{
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	const ProtobufCServiceDescriptor *service = call->server->service->descriptor;
	log_debug("request_answered", "method=%s.%s peer=%s trace=%s result=%s code=%s us=%lld",
		  service->short_name, service->methods[call->method].name, call->peer,
		  bus_call_trace(call), bus_status_word(result->status), result->code,
		  (long long)took_us);
}

/* The one place where answers leave. */
static void
send_reply(struct bus_call *call, const struct bus_result *result, const void *body, size_t n)
{
	int64_t took_us = clock_monotonic_us() - call->received_us;

	bus_tally_add(&call->server->tally, call->method, result->status, took_us);
	trace_call(call, result, took_us);
	if (bus_server_send(call->server, &call->routing_id, call->correlation, result, body, n) <
		    0 &&
	    (call->state != BUS_CALL_ANSWERED || bus_outbox_add(call, result, body, n) < 0))
		bus_drop(call->server->bus, BUS_DROP_PEER_FULL, call->peer);
}

static void
hold_reply(struct bus_call *call, const struct bus_result *result, const void *body, size_t n)
{
	struct bus *bus = call->server->bus;

	call->result = *result;
	call->reply_bytes = n;
	call->reply = n > 0 ? malloc(n) : NULL;
	if (call->reply)
		memcpy(call->reply, body, n);
	else if (n > 0) {
		call->reply_bytes = 0;
		bus_result_set(&call->result, BUS_UNAVAILABLE, "out_of_memory", NULL, 0);
	}
	call->next_held = NULL;
	*bus->last_held = call;
	bus->last_held = &call->next_held;
}

/* Packs the reply into the bus's scratch; a reply that cannot be sent changes the result. */
static size_t
pack_reply(struct bus_call *call, struct bus_result *result, const ProtobufCMessage *reply)
{
	const ProtobufCMethodDescriptor *method =
		&call->server->service->descriptor->methods[call->method];

	if (result->status != BUS_OK)
		return 0;
	if (!reply || reply->descriptor != method->output) {
		log_error("reply_of_wrong_type", "method=%s", method->name);
		bus_result_set(result, BUS_INTERNAL, "no_reply", NULL, 0);
		return 0;
	}
	size_t n = protobuf_c_message_get_packed_size(reply);
	if (n > BUS_MESSAGE_MAX_BYTES) {
		log_error("reply_too_large", "method=%s bytes=%zu", method->name, n);
		bus_result_set(result, BUS_TOO_LARGE, "reply_too_large", NULL, 0);
		return 0;
	}
	return protobuf_c_message_pack(reply, call->server->bus->scratch);
}

void
bus_call_answer(struct bus_call *call, const struct bus_result *result,
		const ProtobufCMessage *reply)
{
	struct bus *bus = call->server->bus;
	struct bus_result sent = *result;

	if (call->state == BUS_CALL_ANSWERED || call->state == BUS_CALL_IN_OUTBOX) {
		bus_drop(bus, BUS_DROP_SECOND_ANSWER, call->peer);
		return;
	}
	if (call->state == BUS_CALL_EXPIRED) {
		bus_drop(bus, BUS_DROP_LATE_ANSWER, call->peer);
		bus_call_free(call);
		return;
	}
	call->state = BUS_CALL_ANSWERED;
	bus_deadline_remove(&bus->deadlines, &call->deadline);
	size_t n = pack_reply(call, &sent, reply);
	if (bus->batch_is_open) {
		hold_reply(call, &sent, bus->scratch, n);
		return;
	}
	send_reply(call, &sent, bus->scratch, n);
	if (!call->running && call->state != BUS_CALL_IN_OUTBOX)
		bus_call_free(call);
}

void
bus_call_expire(struct bus_call *call)
{
	struct bus_result result;

	bus_result_set(&result, BUS_DEADLINE, "deadline", NULL, 0);
	call->state = BUS_CALL_EXPIRED;
	send_reply(call, &result, NULL, 0);
}

void
bus_calls_flush(struct bus *bus, bool committed)
{
	struct bus_call *next = bus->first_held;

	bus->first_held = NULL;
	bus->last_held = &bus->first_held;
	while (next) {
		struct bus_call *call = next;
		next = call->next_held;
		if (!committed) {
			bus_result_set(&call->result, BUS_UNAVAILABLE, "store_failed", NULL, 0);
			call->reply_bytes = 0;
		}
		send_reply(call, &call->result, call->reply, call->reply_bytes);
		if (call->state != BUS_CALL_IN_OUTBOX)
			bus_call_free(call);
	}
}

void
bus_call_closure(const ProtobufCMessage *reply, void *closure_data)
{
	struct bus_result ok = { .status = BUS_OK };

	bus_call_answer(closure_data, &ok, reply);
}

static void
fail(void *closure_data, enum bus_status status, const char *code, const char *field,
     uint32_t retry_after_sec)
{
	struct bus_result result;

	bus_result_set(&result, status == BUS_OK ? BUS_INTERNAL : status, code, field,
		       retry_after_sec);
	bus_call_answer(closure_data, &result, NULL);
}

void
bus_call_fail(void *closure_data, enum bus_status status, const char *code, const char *field)
{
	fail(closure_data, status, code, field, 0);
}

void
bus_call_fail_retry(void *closure_data, enum bus_status status, const char *code,
		    uint32_t retry_after_sec)
{
	fail(closure_data, status, code, NULL, retry_after_sec);
}

void
bus_call_fail_as(void *closure_data, const struct bus_result *result)
{
	fail(closure_data, result->status, result->code, result->field, result->retry_after_sec);
}

const char *
bus_call_peer(const void *closure_data)
{
	const struct bus_call *call = closure_data;

	return call->peer;
}

int64_t
bus_call_deadline_ms(const void *closure_data)
{
	const struct bus_call *call = closure_data;

	return call->deadline.due_ms;
}

const char *
bus_call_trace(const void *closure_data)
{
	/* Written when first asked for: most calls are never asked. */
	struct bus_call *call = (struct bus_call *)(uintptr_t)closure_data;

	if (!call->trace_text[0]) {
		for (size_t i = 0; i < BUS_TRACE_RAW_BYTES; i++) {
			call->trace_text[2 * i] = "0123456789abcdef"[call->trace[i] >> 4];
			call->trace_text[2 * i + 1] = "0123456789abcdef"[call->trace[i] & 15];
		}
	}
	return call->trace_text;
}

/*
 * bus_server: a ROUTER that takes requests in batches, has each handled, and sends the replies when
 * the batch is committed. Frames: [routing id][RequestHead][body], and of a reply [routing id][head
 * and body in one]: see bus_reply.c.
 *
 * A peer that sends what is no request is answered where a correlation id could be read, else
 * counted; what other peers sent is handled all the same.
 */
#include "bus/bus_inside.h"

#include "bus/bus_check.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_PARTS = 3 };

int
bus_server_send(struct bus_server *server, zmq_msg_t *routing_id, uint64_t correlation,
		const struct bus_result *result, const void *body, size_t n)
{
	Boson__Bus__ReplyHead head = BOSON__BUS__REPLY_HEAD__INIT;
	uint8_t bytes[BUS_HEAD_MAX_BYTES];

	head.version = BUS_VERSION;
	head.correlation = correlation;
	if (result->status != BUS_OK) {
		head.has_status = true;
		head.status = result->status;
		head.code = result->code[0] ? (char *)(uintptr_t)result->code : NULL;
		head.field = result->field[0] ? (char *)(uintptr_t)result->field : NULL;
		head.has_retry_after_sec = result->retry_after_sec > 0;
		head.retry_after_sec = result->retry_after_sec;
	}
	struct bus_bytes packed = { bytes, bus_head_pack(&head.base, bytes) };
	struct bus_bytes parts[] = {
		{ zmq_msg_data(routing_id), zmq_msg_size(routing_id) },
		{ server->bus->reply,
		  bus_frames_join(&packed, &(struct bus_bytes){ body, n }, server->bus->reply) },
	};
	int r = bus_frames_send(server->handle, parts, 2);
	if (!server->draining)
		loop_zsock_check(server->watch);
	if (r < 0 && r != -EAGAIN) {
		bus_drop(server->bus, BUS_DROP_PEER_GONE, server->bus->actor);
		r = 0;
	}
	return r;
}

/* Short replies that no call stands behind. */
static void
send_or_drop(struct bus_server *server, zmq_msg_t *routing_id, uint64_t correlation,
	     const struct bus_result *result)
{
	if (bus_server_send(server, routing_id, correlation, result, NULL, 0) < 0)
		bus_drop(server->bus, BUS_DROP_PEER_FULL, server->bus->actor);
}

static void
reject(struct bus_server *server, struct bus_frames *frames, uint64_t correlation,
       enum bus_status status, const char *code)
{
	struct bus_result result;

	bus_result_set(&result, status, code, NULL, 0);
	send_or_drop(server, &frames->part[0], correlation, &result);
	bus_tally_add(&server->tally, UINT32_MAX, status, 0);
}

/* "boson.relay.Relay/OpenSession" to its index, or -1. */
static int
find_method(const struct bus_server *server, const char *name)
{
	const ProtobufCServiceDescriptor *service = server->service->descriptor;
	size_t n = strlen(service->name);

	if (!name || strncmp(name, service->name, n) != 0 || name[n] != '/')
		return -1;
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(service, name + n + 1);
	return method ? (int)(method - service->methods) : -1;
}

/* Over tcp the peer's name is its key's, and admit has seen that it has one. (T22, B48) */
static bool
may_call(const struct bus_server *server, struct bus_frames *frames, int method)
{
	return server->transport != BUS_TCP ||
	       bus_rule_admits(server->bus, server->rules[method],
			       zmq_msg_gets(&frames->part[1], "User-Id"));
}

/* The call to run, or NULL when the request has already found its end. */
static struct bus_call *
admit_request(struct bus_server *server, struct bus_frames *frames,
	      const Boson__Bus__RequestHead *head)
{
	struct bus_result ok = { .status = BUS_OK };

	if (!bus_sighting_is_new(&server->sightings, zmq_msg_data(&frames->part[0]),
				 zmq_msg_size(&frames->part[0]), head->correlation)) {
		bus_drop(server->bus, BUS_DROP_DUPLICATE, server->bus->actor);
		return NULL;
	}
	if (head->version != BUS_VERSION) {
		reject(server, frames, head->correlation, BUS_INVALID, "unsupported_version");
		return NULL;
	}
	if (head->has_ping && head->ping) {
		send_or_drop(server, &frames->part[0], head->correlation, &ok);
		return NULL;
	}
	int method = find_method(server, head->method);
	if (method < 0) {
		reject(server, frames, head->correlation, BUS_INTERNAL, "unknown_method");
		return NULL;
	}
	if (!may_call(server, frames, method)) {
		bus_drop(server->bus, BUS_DROP_ACL, zmq_msg_gets(&frames->part[1], "User-Id"));
		reject(server, frames, head->correlation, BUS_FORBIDDEN, "sender");
		return NULL;
	}
	struct bus_call *call = NULL;
	if (server->n_calls < BUS_PENDING_MAX)
		call = bus_call_new(server, frames, head, (unsigned)method);
	if (!call)
		reject(server, frames, head->correlation, BUS_UNAVAILABLE, "server_full");
	return call;
}

/* Another connection of the same peer is not to blame. Routing ids over 255 bytes are nobody's.
 * (T24, B16) */
static bool
is_struck_out(struct bus_server *server, struct bus_frames *frames)
{
	size_t n = zmq_msg_size(&frames->part[0]);

	return n >= BUS_ROUTING_ID_BYTES ||
	       bus_strikes_is_out(&server->strikes, zmq_msg_data(&frames->part[0]), n,
				  server->turn_us / 1000);
}

static void
strike(struct bus_server *server, struct bus_frames *frames)
{
	if (bus_strikes_add(&server->strikes, zmq_msg_data(&frames->part[0]),
			    zmq_msg_size(&frames->part[0]), server->turn_us / 1000))
		log_warn("connection_struck_out", "mailbox=%s for_ms=%d",
			 server->service->descriptor->short_name, BUS_STRIKES_WINDOW_MS);
}

static struct bus_call *
admit(struct bus_server *server, struct bus_frames *frames)
{
	struct bus *bus = server->bus;
	ProtobufCMessage *head = NULL;
	struct bus_call *call = NULL;

	if (is_struck_out(server, frames)) {
		bus_drop(bus, BUS_DROP_STRUCK_OUT, bus->actor);
		return NULL;
	}
	if (frames->n != REQUEST_PARTS) {
		bus_drop(bus, BUS_DROP_PARTS, bus->actor);
		strike(server, frames);
		return NULL;
	}
	if (server->transport == BUS_TCP && !zmq_msg_gets(&frames->part[1], "User-Id")) {
		bus_drop(bus, BUS_DROP_STRANGER, bus->actor);
		return NULL;
	}
	size_t n = zmq_msg_size(&frames->part[1]);
	if (n <= BUS_HEAD_MAX_BYTES &&
	    bus_check_unpack(&boson__bus__request_head__descriptor, &bus->arena.allocator,
			     zmq_msg_data(&frames->part[1]), n, &head) == 0)
		call = admit_request(server, frames, (Boson__Bus__RequestHead *)head);
	else {
		bus_drop(bus, BUS_DROP_ENVELOPE, bus->actor);
		strike(server, frames);
	}
	bus_arena_reset(&bus->arena);
	return call;
}

static void
run_handler(struct bus_server *server, struct bus_call *call)
{
	const ProtobufCMethodDescriptor *method =
		&server->service->descriptor->methods[call->method];
	struct bus *bus = server->bus;
	ProtobufCMessage *input = NULL;
	struct bus_result result;

	call->running = true;
	int r = bus_check_unpack(method->input, &bus->arena.allocator, zmq_msg_data(&call->body),
				 zmq_msg_size(&call->body), &input);
	if (r == 0) {
		server->service->invoke(server->service, call->method, input, bus_call_closure,
					call);
	} else {
		bus_result_from_check(&result, r);
		bus_call_answer(call, &result, NULL);
	}
	bus_arena_reset(&bus->arena);
	call->running = false;
}

static void
run_call(struct bus_server *server, struct bus_call *call)
{
	struct bus *bus = server->bus;

	if (call->deadline.due_ms <= clock_monotonic_ms()) {
		bus_call_expire(call); /* nobody waits for it, so it has no effect */
		bus_call_free(call);
		return;
	}
	run_handler(server, call);
	if (call->state != BUS_CALL_OPEN) {
		if (call->state == BUS_CALL_ANSWERED && !bus->batch_is_open)
			bus_call_free(call);
		return;
	}
	zmq_msg_close(&call->body);
	zmq_msg_init(&call->body);
	/* Out of memory: it stays, without a deadline of ours; the caller has its own. */
	if (bus_deadline_add(&bus->deadlines, &call->deadline) < 0)
		log_error("call_without_deadline", "method=%u", call->method);
}

static bool
begin_batch(struct bus_server *server)
{
	const struct bus_batch *batch = &server->batch;

	server->bus->batch_is_open = batch->begin || batch->commit;
	if (!batch->begin)
		return true;
	int r = batch->begin(batch->arg);
	if (r < 0 && r != -EAGAIN)
		log_error("batch_begin_failed", "error=%s", strerrordesc_np(-r));
	return r >= 0;
}

static void
end_batch(struct bus_server *server, bool begun)
{
	struct bus *bus = server->bus;
	bool committed = begun;

	if (!bus->batch_is_open)
		return;
	if (begun && server->batch.commit) {
		int r = server->batch.commit(server->batch.arg);
		committed = r >= 0;
		if (r < 0)
			log_error("batch_commit_failed", "error=%s", strerrordesc_np(-r));
	}
	bus->batch_is_open = false;
	bus_calls_flush(bus, committed);
	bus_events_flush(bus, committed);
}

static void
run_batch(struct bus_server *server, struct bus_call **calls, size_t n)
{
	struct bus_result failed;

	bus_result_set(&failed, BUS_UNAVAILABLE, "store_failed", NULL, 0);
	bool begun = begin_batch(server);
	for (size_t i = 0; i < n; i++) {
		if (begun)
			run_call(server, calls[i]);
		else
			bus_call_answer(calls[i], &failed, NULL);
	}
	end_batch(server, begun);
}

static void
on_readable(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_server *server = arg;
	struct bus_call *calls[BUS_BATCH_MAX];
	struct bus_frames frames;
	size_t n = 0;

	(void)loop, (void)socket;
	server->draining = true;
	server->turn_us = clock_monotonic_us();
	for (int taken = 0; taken < BUS_BATCH_MAX; taken++) {
		if (bus_frames_recv(server->handle, &frames) < 0)
			break;
		calls[n] = admit(server, &frames);
		n += calls[n] != NULL;
		bus_frames_close(&frames);
	}
	if (n > 0)
		run_batch(server, calls, n);
	server->draining = false;
}

static int
find_rules(struct bus_server *server)
{
	const ProtobufCServiceDescriptor *service = server->service->descriptor;
	char name[BUS_HEAD_MAX_BYTES];

	server->rules = calloc((size_t)service->n_methods + 1, sizeof(*server->rules));
	if (!server->rules)
		return -ENOMEM;
	for (unsigned i = 0; i < service->n_methods; i++) {
		snprintf(name, sizeof(name), "%s/%s", service->name, service->methods[i].name);
		server->rules[i] = bus_rule_of(server->bus, name);
	}
	return 0;
}

static int
server_open(struct bus_server *server, const char *endpoint)
{
	struct bus *bus = server->bus;
	int r = bus_transport_of(endpoint, &server->transport);

	if (r == 0)
		r = bus_tally_init(&server->tally, bus->metrics, server->service->descriptor,
				   BUS_SIDE_SERVER);
	if (r == 0)
		r = find_rules(server);
	if (r == 0)
		r = bus_socket_bind(bus, ZMQ_ROUTER, endpoint, &server->socket);
	if (r < 0)
		return r;
	server->handle = zsock_resolve(server->socket);
	return loop_zsock_add(bus->loop, server->socket, on_readable, server, &server->watch);
}

int
bus_serve(struct bus *bus, const char *endpoint, ProtobufCService *service,
	  const struct bus_batch *batch)
{
	struct bus_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->bus = bus;
	server->service = service;
	server->last_outbox = &server->first_outbox;
	server->sightings.seed = bus_random(bus);
	server->strikes.seed = bus_random(bus);
	if (batch)
		server->batch = *batch;
	int r = server_open(server, endpoint);
	if (r < 0) {
		bus_server_free(server);
		return r;
	}
	server->next = bus->servers;
	bus->servers = server;
	return 0;
}

void
bus_server_free(struct bus_server *server)
{
	struct bus_result stopping;

	bus_result_set(&stopping, BUS_UNAVAILABLE, "stopping", NULL, 0);
	bus_outbox_fini(server);
	while (!LIST_EMPTY(&server->calls)) {
		struct bus_call *call = LIST_FIRST(&server->calls);
		if (call->state == BUS_CALL_OPEN)
			bus_call_answer(call, &stopping, NULL);
		else
			bus_call_free(call);
	}
	loop_zsock_remove(&server->watch);
	bus_socket_close(&server->socket);
	bus_tally_fini(&server->tally);
	free(server->rules);
	free(server);
}

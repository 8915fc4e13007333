/*
 * bus: requests and events between actors. ZeroMQ (CZMQ) carries protobuf-c messages over
 * inproc://, ipc:// and tcp:// (CURVE, with an allow-list that fails closed). A service's mailbox
 * is the `service` block of its proto file: what protobuf-c generates from it is both the vtable a
 * server fills in and the stubs a client calls. docs/protocol.md has the envelope.
 *
 * A bus belongs to one actor and its loop; all calls are for that thread. A caller never blocks:
 * the answer, or the failure, comes to its closure. Everything queued has a cap and a counter.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct bus;
struct bus_peer;
struct bus_publisher;
struct bus_subscription;

/* How a request ended. The gateway maps these to HTTP. */
enum bus_status {
	BUS_OK = 0,
	BUS_INVALID,	     /* 400; field says which */
	BUS_UNAUTHENTICATED, /* 401 */
	BUS_FORBIDDEN,	     /* 403 */
	BUS_NOT_FOUND,	     /* 404 */
	BUS_CONFLICT,	     /* 409 */
	BUS_TOO_LARGE,	     /* 413 */
	BUS_LIMITED,	     /* 429 */
	BUS_UNAVAILABLE,     /* 503: a store, a service or a peer is down */
	BUS_DEADLINE,	     /* 503: no answer in time */
	BUS_INTERNAL,	     /* 500: a defect */
};

enum {
	BUS_MESSAGE_MAX_BYTES = 64 * 1024,
	BUS_DEPTH_MAX = 16,
	BUS_ELEMENTS_MAX = 1024, /* of all repeated fields of a message together */
	BUS_DEADLINE_MAX_MS = 30 * 1000,
	BUS_DEADLINE_DEFAULT_MS = 5 * 1000,
	BUS_PENDING_MAX = 65536, /* calls in flight to one peer */
	BUS_TRACE_BYTES = 33,	 /* 32 hex digits and NUL */
	BUS_CODE_BYTES = 48,
	BUS_FIELD_BYTES = 64,
};

struct bus_result {
	enum bus_status status;
	char code[BUS_CODE_BYTES]; /* a short stable word such as "no_suitable_node"; "" when OK */
	char field[BUS_FIELD_BYTES]; /* the offending field in camelCase, or "" */
	uint32_t retry_after_sec;    /* 0: nothing said */
};

/* CURVE for tcp:// endpoints. Keys are Z85 text. NULL security: tcp:// is refused with -EPERM. */
struct bus_security {
	const char *public_key;
	const char *secret_key;
	const char *const
		*allowed_keys; /* public keys that may connect to what we bind; NULL-terminated */
	const char *const *allowed_names; /* the peer name each stands for, same order */
};

/* actor: our name, put in traces and metrics; a static string. security is copied. */
int bus_new(struct loop *loop, struct metrics *metrics, const char *actor,
	    const struct bus_security *security, struct bus **ret);

/* What is pending or unanswered fails with UNAVAILABLE first, and closures run for it; peers,
 * publishers and subscriptions that are left go with it. Not from inside a handler or closure. */
void bus_free(struct bus **bus);

/* Where the last bus_serve or bus_publisher_new really bound, after "tcp://127.0.0.1:*". */
const char *bus_bound_endpoint(const struct bus *bus);

/* What is known of methods and events beyond their types; rules ends in {0} and outlives the bus.
 * Set them before anything is bound. Over tcp only those may call, or hear, whom a rule names; what
 * has no rule nobody may. On inproc and ipc everybody may, and without rules (tests) as well. A
 * method without a rule is not repeated. */
struct bus_rule {
	const char *name;    /* "boson.relay.Relay/OpenSession", "boson.relay.LegAttached" */
	const char *senders; /* "routing gateway": peers of this name, or of it and a number or
				anything else that is no letter ("routing-2") */
	bool may_repeat;     /* done twice, it has the effect of once */
};
void bus_set_rules(struct bus *bus, const struct bus_rule *rules);

/* ---- server ---- */

/* Group commit: the bus drains what is waiting, calls begin, runs the handlers, calls commit, and
 * only then sends the replies and events that they made. When commit fails, each of those replies
 * becomes UNAVAILABLE "store_failed" and the events are dropped. When begin fails no handler runs,
 * and all are answered so; -EAGAIN says that this is known, and is not logged. Either may be NULL.
 * At most 256 a batch. */
struct bus_batch {
	int (*begin)(void *arg);
	int (*commit)(void *arg);
	void *arg;
};

/* Binds a ROUTER. service is the caller's, filled by the generated INIT macro, and outlives the
 * bus. For ipc the socket's folder is made 0700 and must be ours: -EPERM otherwise. batch may be
 * NULL. */
int bus_serve(struct bus *bus, const char *endpoint, ProtobufCService *service,
	      const struct bus_batch *batch);

/* A handler gets (service, input, closure, closure_data). It answers exactly once, now or later: by
 * closure(&reply, closure_data), or by bus_call_fail. input is the bus's and valid until the
 * handler returns; the reply is copied. closure_data is the call; these tell what protobuf-c has no
 * room for. */
const char *
bus_call_peer(const void *closure_data); /* authenticated name; "local" on inproc and ipc */
int64_t bus_call_deadline_ms(const void *closure_data); /* on the monotonic clock */
const char *bus_call_trace(const void *closure_data);	/* 32 hex digits */
void bus_call_fail(void *closure_data, enum bus_status status, const char *code, const char *field);
void bus_call_fail_retry(void *closure_data, enum bus_status status, const char *code,
			 uint32_t retry_after_sec);

/* ---- client ---- */

/* Connects to one server, or to the replicas of one. endpoints: one, or up to 16 separated by
 * commas; the host of a tcp endpoint may be a name, and then stands for all its addresses, looked
 * up again when a connection dies. server_key: Z85, only for tcp; replicas share it. Returns at
 * once; nobody need be there. descriptor is of the service that answers.
 *
 * Of several servers one is asked, as long as it is connected and answers pings; then another is.
 * What was not sent yet goes there; what was sent as well, where bus_set_rules says that its method
 * may be repeated, else it fails with UNAVAILABLE "peer_down". */
int bus_peer_new(struct bus *bus, const char *endpoints, const char *server_key,
		 const ProtobufCServiceDescriptor *descriptor, struct bus_peer **ret);

/* Pending calls are failed with UNAVAILABLE first. */
void bus_peer_free(struct bus_peer **peer);

/* What the generated stubs take: boson__relay__relay__open_session(bus_peer_service(peer), ...).
 * The closure is called exactly once, never from inside the stub: with the reply, valid until it
 * returns, or with NULL, and then bus_peer_result says why. */
ProtobufCService *bus_peer_service(struct bus_peer *peer);

/* For the next stub call only: its deadline from now (0: the default), and the trace id it
 * continues (NULL: a new one). */
void bus_peer_next(struct bus_peer *peer, uint32_t timeout_ms, const char *trace_id);

/* Inside a closure: how this call ended. */
const struct bus_result *bus_peer_result(const struct bus_peer *peer);

/* Passes a failure on from a closure to the call we are answering ourselves. */
void bus_call_fail_as(void *closure_data, const struct bus_result *result);

/* Is the actor's loop alive? Answered by the peer's bus without its handlers. */
typedef void (*bus_ping_fn)(bool alive, uint32_t round_trip_us, void *arg);
void bus_peer_ping(struct bus_peer *peer, uint32_t timeout_ms, bus_ping_fn fn, void *arg);

/* ---- events ---- */

/* Binds a PUB. Sequence numbers start at 1 under a random epoch, per event type. */
int bus_publisher_new(struct bus *bus, const char *endpoint, struct bus_publisher **ret);
int bus_publish(struct bus_publisher *publisher, const ProtobufCMessage *event);

/* endpoints: as for bus_peer_new; all of them are heard, and what several tell comes several times.
 * gap: events of this type were missed before this one, or a publisher is new: ask for a snapshot.
 * Also called with event NULL and gap true when a publisher came (back) and has said nothing yet.
 */
typedef void (*bus_event_fn)(const ProtobufCMessage *event, bool gap, void *arg);
int bus_subscribe(struct bus *bus, const char *endpoints, const char *server_key,
		  const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
		  struct bus_subscription **ret);
void bus_unsubscribe(struct bus_subscription **subscription);

/* ---- checked unpacking, public because legs use it too ---- */

/* Checks wire bytes against a descriptor, and only then lets protobuf_c_message_unpack see them:
 * size, depth, element count, lengths within the buffer, field numbers, UTF-8 of strings. 0,
 * -EMSGSIZE, -E2BIG (elements), -ELOOP (depth), -EBADMSG (anything else). Free with
 * protobuf_c_message_free_unpacked(m, NULL). */
int bus_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
		       ProtobufCMessage **ret);

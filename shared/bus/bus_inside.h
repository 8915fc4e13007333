/*
 * bus_inside: the bus's state, shared by the bus_*.c files alone. A bus has servers (a ROUTER each,
 * with calls), peers (a DEALER each, with pending calls), publishers and subscriptions.
 *
 * Everything belongs to one thread. Whatever a handler or closure may free while we stand in it is
 * counted `busy` and freed when we leave.
 */
#pragma once

#include "bus/bus.h"
#include "bus/bus_arena.h"
#include "bus/bus_deadline.h"
#include "bus/bus_frames.h"
#include "bus/bus_sightings.h"
#include "bus/bus_socket.h"
#include "bus/bus_strikes.h"
#include "bus/bus_tally.h"
#include "bus/bus_zap.h"

#include "bus.pb-c.h"

#include <sys/queue.h>

enum {
	BUS_VERSION = 1,
	BUS_BATCH_MAX = 256,
	BUS_TRACE_RAW_BYTES = 16,
	BUS_HELLO_MS = 1000,
	BUS_ROUTING_ID_BYTES = 256,
};

struct bus_server;
struct bus_call;
struct bus_pending;
struct bus_held_event;
struct bus_group;

struct bus {
	struct loop *loop;
	struct metrics *metrics;
	const char *actor;
	bool has_security;
	char public_key[BUS_KEY_TEXT_BYTES];
	char secret_key[BUS_KEY_TEXT_BYTES];
	char zap_domain[BUS_ZAP_DOMAIN_BYTES];
	char bound_endpoint[BUS_ENDPOINT_BYTES];

	const struct bus_rule *rules;
	struct bus_drops drops;
	struct bus_deadlines deadlines;
	struct bus_arena arena; /* of the message in hand */
	uint8_t scratch[BUS_MESSAGE_MAX_BYTES];
	uint8_t reply[BUS_JOIN_BYTES + BUS_HEAD_MAX_BYTES + BUS_MESSAGE_MAX_BYTES];
	uint64_t random[2]; /* state of bus_random */

	struct bus_server *servers;
	struct bus_peer *peers;
	struct bus_publisher *publishers;
	struct bus_subscription *subscriptions;

	/* Group commit: what waits for it. */
	bool batch_is_open;
	struct bus_call *first_held, **last_held;
	struct bus_held_event *first_event, **last_event;

	/* Calls that failed inside their stub; their closures run from this timer. */
	struct bus_pending *first_failed, **last_failed;
	struct loop_timer *failed_timer;
	uint64_t failed_round;
};

/* Not for secrets: trace ids, epochs. */
uint64_t bus_random(struct bus *bus);

void bus_result_set(struct bus_result *result, enum bus_status status, const char *code,
		    const char *field, uint32_t retry_after_sec);

/* What -errno of bus_message_unpack means to the one who asked. */
void bus_result_from_check(struct bus_result *result, int error);

/* The rule of a method as it stands in a head, or of a type of event; or NULL. */
const struct bus_rule *bus_rule_of(const struct bus *bus, const char *name);
bool bus_rule_repeats(const struct bus *bus, const char *name);

/* May this peer of a tcp socket have it? */
bool bus_rule_admits(const struct bus *bus, const struct bus_rule *rule, const char *peer);

/* Packs a head; 0 when it would not fit. */
size_t bus_head_pack(const ProtobufCMessage *head, uint8_t ret_bytes[BUS_HEAD_MAX_BYTES]);

/* ---- server ---- */

struct bus_server {
	struct bus *bus;
	enum bus_transport transport;
	zsock_t *socket;
	void *handle;
	struct loop_zsock *watch;
	bool draining;	 /* the loop looks at the socket again by itself */
	int64_t turn_us; /* when this turn began to drain it */
	ProtobufCService *service;
	struct bus_batch batch;
	const struct bus_rule **rules; /* of the methods, in their order; NULL: none */
	struct bus_tally tally;
	struct bus_sightings sightings;
	struct bus_strikes strikes;
	LIST_HEAD(, bus_call) calls; /* not yet answered, or running, or held */
	size_t n_calls;
	struct bus_call *first_outbox, **last_outbox; /* replies whose peer was full */
	size_t n_outbox, outbox_bytes;
	struct loop_timer *outbox_timer;
	struct bus_server *next;
};

enum bus_call_state {
	BUS_CALL_OPEN,
	BUS_CALL_ANSWERED,  /* the reply was sent or is held */
	BUS_CALL_IN_OUTBOX, /* answered, but the peer has no room yet */
	BUS_CALL_EXPIRED,   /* the bus answered; the handler still owes us its answer */
};

struct bus_call {
	struct bus_server *server;
	enum bus_call_state state;
	bool running; /* inside its handler */
	unsigned method;
	uint64_t correlation;
	int64_t received_us;
	struct bus_deadline deadline; /* queued when the handler returned without an answer */
	uint8_t trace[BUS_TRACE_RAW_BYTES];
	char trace_text[BUS_TRACE_BYTES];
	char peer[BUS_PEER_NAME_BYTES];
	zmq_msg_t routing_id;
	zmq_msg_t body; /* until the handler ran */
	LIST_ENTRY(bus_call) of_server;

	struct bus_result result; /* while held or in the outbox: the reply */
	uint8_t *reply;
	size_t reply_bytes;
	struct bus_call *next_held;
};

/* A copy of the ids is taken; the body is moved. */
struct bus_call *bus_call_new(struct bus_server *server, struct bus_frames *frames,
			      const Boson__Bus__RequestHead *head, unsigned method);
void bus_call_free(struct bus_call *call);

/* What the handler gets as its closure. */
void bus_call_closure(const ProtobufCMessage *reply, void *closure_data);
void bus_call_answer(struct bus_call *call, const struct bus_result *result,
		     const ProtobufCMessage *reply);
void bus_call_expire(struct bus_call *call);

/* Sends all held replies; when the commit failed, each says so instead. */
void bus_calls_flush(struct bus *bus, bool committed);

/* 0, -EAGAIN: the peer is full. One that is gone is counted here. */
int bus_server_send(struct bus_server *server, zmq_msg_t *routing_id, uint64_t correlation,
		    const struct bus_result *result, const void *body, size_t n);

/* Keeps a reply until its peer has room; the call is then the outbox's. -EAGAIN: full as well. */
int bus_outbox_add(struct bus_call *call, const struct bus_result *result, const void *body,
		   size_t n);
void bus_outbox_fini(struct bus_server *server);

void bus_server_free(struct bus_server *server);

/* ---- client ---- */

enum bus_peer_state {
	BUS_PEER_CONNECTING, /* never yet up: calls wait for it */
	BUS_PEER_UP,
	BUS_PEER_DOWN, /* calls fail at once */
};

struct bus_monitor {
	zsock_t *socket; /* PAIR that tells of the connection; NULL on inproc */
	struct loop_zsock *watch;
};

struct bus_peer {
	ProtobufCService service; /* first: the stubs get a pointer to it */
	struct bus *bus;
	enum bus_transport transport;
	enum bus_peer_state state;
	char endpoint[BUS_ENDPOINT_BYTES];
	zsock_t *socket;
	void *handle;
	struct loop_zsock *watch;
	struct bus_monitor monitor;
	struct loop_timer *again_timer; /* while down */
	bool heard;			/* a reply came on this inproc connection */
	bool closing;			/* no socket any more; freed when nothing is pending */
	int64_t turn_us;		/* when the replies in hand were read, or 0 */
	unsigned busy;			/* closures of ours that we stand in */
	struct bus_group *group;	/* it stands for several: it has no socket of its own */
	struct bus_group *parent;	/* it is one of several */
	struct bus_tally tally;
	struct bus_result result;      /* for bus_peer_result */
	bool ended_here, ended_unsent; /* that call: by our own bus, not by an answer */
	char **methods;		       /* as they stand in a head */
	uint32_t next_timeout_ms;
	char next_trace[BUS_TRACE_BYTES];
	uint64_t sequence;
	struct bus_pending **slots, *free_slots;
	size_t n_slots, capacity, n_pending, n_sent;
	struct bus_pending *first_waiting, **last_waiting; /* for the first connection */
	size_t n_waiting;
	struct bus_peer *next;
};

enum bus_pending_state {
	BUS_PENDING_FREE,
	BUS_PENDING_WAITING, /* on the peer's waiting list */
	BUS_PENDING_SENT,
	BUS_PENDING_FAILED, /* on the bus's failed list */
};

struct bus_pending {
	struct bus_peer *peer;
	enum bus_pending_state state;
	uint32_t slot; /* low bits of the correlation id; UINT32_MAX: none, cannot be sent */
	uint64_t correlation;
	unsigned method;
	ProtobufCClosure closure;
	bus_ping_fn ping; /* instead of method and closure */
	void *arg;
	int64_t asked_us;
	struct bus_deadline deadline;
	uint8_t trace[BUS_TRACE_RAW_BYTES];
	bool was_sent, ends_here;
	uint32_t tried; /* on a group: members that were asked, by place */
	size_t place;	/* the last of them */
	uint8_t *body;	/* while waiting; on a group: while it may be sent elsewhere */
	size_t body_bytes;
	enum bus_status fail_status; /* when failed */
	const char *fail_code;
	uint64_t fail_round;
	struct bus_pending *next; /* on whichever list */
};

/* NULL when out of memory. One without a slot can only fail. */
struct bus_pending *bus_pending_take(struct bus_peer *peer);
struct bus_pending *bus_pending_find(struct bus_peer *peer, uint64_t correlation);

/* Sends it now. -EAGAIN: the peer is full; -EHOSTDOWN: it is gone. */
int bus_pending_send(struct bus_pending *pending, int64_t now_ms, const void *body, size_t n);

/* Ends the call: the closure runs, and may free the peer unless the caller holds it busy. */
void bus_pending_finish(struct bus_pending *pending, const struct bus_result *result,
			const ProtobufCMessage *reply);

/* The closure runs in a later turn. code is a literal. */
void bus_pending_fail(struct bus_pending *pending, enum bus_status status, const char *code);
/* For what bus_pending_send said. */
void bus_pending_fail_send(struct bus_pending *pending, int error);

/* A copy, for as long as the call may still have to be sent. 0 or -ENOMEM. */
int bus_pending_keep_body(struct bus_pending *pending, const void *body, size_t n);

/* bus_waiting: the peer's list of calls that wait for it. take_all gives it as it is, and leaves
 * none. */
void bus_waiting_add(struct bus_pending *pending);
void bus_waiting_remove(struct bus_pending *pending);
struct bus_pending *bus_waiting_take_all(struct bus_peer *peer);

/* Runs the closures of what failed, of all peers or of one. */
void bus_pendings_finish_failed(struct bus *bus);
void bus_pendings_finish_failed_of(struct bus *bus, struct bus_peer *peer);

void bus_peer_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *input,
		     ProtobufCClosure closure, void *closure_data);

/* Makes the call of another peer's pending on this one; ping instead of closure where not NULL. arg
 * is not taken when it fails. */
int bus_peer_ask(struct bus_peer *peer, const struct bus_pending *like, ProtobufCClosure closure,
		 bus_ping_fn ping, void *arg);
void bus_peer_on_readable(struct loop *loop, zsock_t *socket, void *peer);
int bus_peer_connect_again(struct bus_peer *peer);

/* No longer busy; frees a peer that is closing and has nothing pending. */
void bus_peer_leave(struct bus_peer *peer);

/* What the monitor saw. Closures may run, and free the peer. */
void bus_peer_is_up(struct bus_peer *peer);
void bus_peer_is_down(struct bus_peer *peer, bool refused);

int bus_monitor_start(struct bus_peer *peer);
void bus_monitor_stop(struct bus_peer *peer);
/* Something happened to the connection that nobody has read yet. */
bool bus_monitor_has_news(const struct bus_peer *peer);

/* bus_group.c. On failure the peer's group is half made, for bus_group_close and free. */
int bus_group_new(struct bus_peer *peer, const char *endpoints, const char *server_key);
void bus_group_close(struct bus_group *group);
int bus_peer_new_member(struct bus_group *parent, struct bus *bus, const char *endpoint,
			const char *server_key, const ProtobufCServiceDescriptor *descriptor,
			struct bus_peer **ret);

/* Takes the call on: 0, or -EAGAIN, -ENOMEM, -EHOSTDOWN. */
int bus_group_start(struct bus_pending *pending, const void *body, size_t n);

/* Of one of several. */
void bus_group_member_is_up(struct bus_peer *peer);
void bus_group_member_is_down(struct bus_peer *peer);

/* Fails what is pending and frees all peers. */
void bus_peers_fini(struct bus *bus);

/* ---- events ---- */

/* Sends the events of the batch, or drops them. */
void bus_events_flush(struct bus *bus, bool committed);
void bus_publisher_free(struct bus_publisher *publisher);

struct bus_many;

/* To one publisher; many: of the several that it is one of, or NULL. */
int bus_subscribe_one(struct bus *bus, const char *endpoint, const char *server_key,
		      const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
		      struct bus_many *many, struct bus_subscription **ret);
const char *bus_subscription_endpoint(const struct bus_subscription *subscription);

/* Since it was last heard of, or made. */
int64_t bus_subscription_silence_ms(const struct bus_subscription *subscription);
void bus_subscriptions_fini(struct bus *bus);

int bus_many_new(struct bus *bus, const char *endpoints, const char *server_key,
		 const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
		 struct bus_many **ret);
void bus_many_free(struct bus_many **many);
void bus_many_look_again(struct bus_many *many);

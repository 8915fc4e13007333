/*
 * routing's mailbox and what stands behind it. One thread: the actor's.
 *
 *	gateway   -> Challenge RequestRoute GetRoute DeleteRoute ListClients GetClient
 *		     RegisterWireguard UnregisterWireguard PacketFromNode PacketFromClient
 *	relay     -> LocateNode
 *	discovery -> NodeChanged, RelayChanged (events)		routing -> discovery.Snapshot
 *	relay     -> LegAttached, LegDetached, RelayLoad (events)
 *	routing   -> SessionChanged (event)
 *	routing   -> relay.OpenSession, CloseSession, ListLegs, ListFlows, CarryPacket,
 *		     BindUdp, UnbindUdp
 *
 * A request is asked of one node after another (routing_request), written and answered with others
 * of the same turn (routing_commit). What discovery (routing_watch) and the relays (routing_links)
 * say is kept in a table, and kept on when they die.
 */
#pragma once

#include "identity/ticket.h"
#include "routing.pb-c.h"
#include "routing/routing_access.h"
#include "routing/routing_choice.h"
#include "routing/routing_session.h"
#include "routing/routing_table.h"
#include "service/service.h"
#include "store/store.h"
#include "store/store_lease.h"

enum {
	ROUTING_IN_FLIGHT_MAX = 4096,
	ROUTING_CURSOR_BYTES = 64,
	ROUTING_ENDPOINT_BYTES = 256,
	ROUTING_KEY_BYTES = 41, /* Z85 of 32 bytes */
	ROUTING_ADDRESS_BYTES = 46,
	ROUTING_TOLD_MAX = 1024,
	ROUTING_NUMBERS = 64,
};

struct routing_link;
struct routing_list;
struct routing_liveness;
struct routing_request;

struct routing {
	Boson__Routing__Routing_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct bus_publisher *publisher;
	struct store *store; /* NULL while a PostgreSQL is not there */
	struct ticket_signer *signer;
	uint8_t proof_secret[KEY_BYTES]; /* of the signer's seed: replicas have the same */
	struct table table;
	struct sessions sessions;
	struct choice_random random;
	uint64_t numbers[ROUTING_NUMBERS]; /* of the kernel's randomness, to be used */
	size_t numbers_left;
	bool stopping;

	/* routing_watch */
	struct bus_peer *discovery;
	struct bus_subscription *nodes_changed, *relays_changed;
	bool snapshot_running, snapshot_due, has_snapshot;
	char snapshot_cursor[ROUTING_CURSOR_BYTES];

	struct routing_list *list;
	int64_t list_wall_ms; /* when that was written; 0: it was not needed, or too old */

	/* routing_links */
	struct routing_link *links;
	int64_t settled_by_ms;
	bool is_settled; /* whoever is silent */

	struct routing_liveness *liveness;

	/* routing_follow */
	bool is_shared;	   /* other replicas write to the store, too */
	bool is_in_batch;  /* handlers run, and may have written what is not committed */
	bool has_followed; /* since the batch began */
	int follow_error;  /* of then */
	int64_t change;	   /* the number of the latest change that was read */

	/* routing_commit */
	struct routing_request *due, **due_end; /* have to write at the end of this turn */
	bool commit_deferred;
	size_t in_flight;

	/* routing_sweep */
	struct store_lease lease;
	bool is_sweeper;
	int64_t renewed_ms;
	int64_t leftovers_ms; /* when rows that nobody remembers were last looked for */
	int64_t closed_again_ms;
	uint64_t bound_told; /* of the table, when all bound sessions were looked at */

	/* routing_close */
	uint8_t told[ROUTING_TOLD_MAX][UUID_BYTES]; /* closed at their relay, not yet written */
	size_t told_count;

	/* From the configuration. */
	int64_t session_lifetime_ms, answer_timeout_ms, deaf_after_ms;
	size_t candidates, sessions_per_key, sessions_per_client;
	uint32_t mtu, keepalive_sec;
	bool has_cascade, requires_proof;
	const char *const *dns, *const *allowed_ips;
	const char *relay_group;

	struct loop_timer *timer, *follow_timer;
	struct metric *routes, *unserved, *refusals, *silences, *known_nodes, *free_nodes,
		*open_sessions, *sweeper, *age, *proofs_refused, *keys_taken;
};

/* A copy of this is `service`. */
extern const Boson__Routing__Routing_Service routing_mailbox;

/* ---- routing_begin.c, routing_request.c: a request until a node said yes ---- */

/* What a request has to write next, and what follows when it is written. */
enum routing_step {
	ROUTING_INTENDS, /* which node is going to be asked: it is asked */
	ROUTING_OPENED,	 /* that the node said yes: the client is answered */
	ROUTING_GIVES_UP /* that no node did: the client is told */
};

struct routing_request {
	struct routing *routing;
	Boson__Routing__RouteReply_Closure closure;
	void *call;
	struct routing_caller caller;
	char owner[SESSION_OWNER_BYTES]; /* of a session that it makes */
	struct routing_wish wish;
	struct session_record record; /* as it is going to be */
	int64_t expires_wall_ms;      /* of the session, once it is open */
	bool is_resume;		      /* the client said which session */
	bool is_new;		      /* it is not open yet */
	bool is_proven;		      /* who asks has the client's private key */
	bool has_taken;		      /* the key from other sessions */
	bool has_row;
	bool is_restarted; /* its session had ended under it */
	bool has_old;
	uint8_t old_node_id[UUID_BYTES]; /* where the session is, or may be */
	uint8_t tried[CHOICE_EXCLUDED_MAX][UUID_BYTES];
	size_t tried_count;
	struct bus_peer *peer; /* of the relay that is being asked */

	/* What the node said. */
	char address4[ROUTING_ADDRESS_BYTES], address6[ROUTING_ADDRESS_BYTES];
	char dns4[ROUTING_ADDRESS_BYTES], dns6[ROUTING_ADDRESS_BYTES];
	uint32_t mtu;

	enum bus_status failure; /* when it gives up */
	const char *failure_code;
	enum routing_step step;
	int error; /* what the store said to the step */
	struct routing_request *next;
};

/* Takes over the call. known: the session that is taken up again, or NULL for a new one. */
void routing_request_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
			   const struct routing_wish *wish, const struct session *known,
			   bool is_proven, Boson__Routing__RouteReply_Closure closure, void *call);

/* Picks the next node, writes that down when the session is new, and asks it. */
void routing_request_try(struct routing_request *request);

/* What is written: the node of the record is asked. */
void routing_request_ask(struct routing_request *request);

/* This client has a session that we did not know of: another replica made it. */
void routing_request_take_over(struct routing_request *request);

/* The session was ended, here or by another replica, while its node was asked. */
void routing_request_overtaken(struct routing_request *request);

/* Answers, and frees it. */
void routing_request_fail(struct routing_request *request, enum bus_status status,
			  const char *code);
void routing_request_free(struct routing_request *request);

/* ---- routing_commit.c ---- */

/* To be written with this turn's others. */
void routing_commit(struct routing_request *request, enum routing_step step);

/* From a handler: writes a change of a session that lives, with its batch; then(...) runs when that
 * is committed. 0, -ESTALE (it has ended), -EIO, -ENOMEM. */
typedef void (*routing_changed_fn)(struct routing *routing, const struct session_record *before,
				   const struct session *session);
int routing_change(struct routing *routing, const struct session *session,
		   const struct session_record *after, routing_changed_fn then);

/* ---- routing_answer.c ---- */

/* 0; -ENOENT when the node has no leg any more, -errno when no ticket could be signed: not
 * answered then. */
int routing_answer(struct routing_request *request);

/* Fills a Route; what it points to is in text. */
struct routing_route_text {
	char id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	char *path[1];
};
void routing_route_fill(const struct session_record *record, Boson__Routing__Route *route,
			struct routing_route_text *text);

/* ---- routing_follow.c ---- */

/* 0, also when a PostgreSQL is not there yet: `store` is NULL until the tick has opened it; or an
 * exit code after a log line. */
int routing_store_start(struct routing *routing);
void routing_follow_tick(struct routing *routing);

/* What other replicas have committed up to now is known after. 0 or -EIO: what is known may be old.
 */
int routing_follow(struct routing *routing);

/* What was committed is known from now on; ret may be NULL. 0, -ENOSPC, -ENOMEM, -EEXIST. */
int routing_keep(struct routing *routing, const struct session_record *record,
		 struct session **ret);

/* The halves of the mailbox's struct bus_batch. */
int routing_batch_begin(void *routing);
int routing_batch_commit(void *routing);

/* ---- routing_watch.c ---- */

/* Nodes are known: by a snapshot, or by the list of before. */
static inline bool
routing_has_candidates(const struct routing *routing)
{
	return routing->has_snapshot || routing->list_wall_ms != 0;
}

int routing_watch_start(struct routing *routing);
void routing_watch_stop(struct routing *routing);
void routing_watch_tick(struct routing *routing);

/* A page of a snapshot, discovery's or our own of before. */
void routing_watch_take(struct routing *routing, const Boson__Discovery__SnapshotReply *page);

/* ---- routing_links.c: connections to relays ---- */

/* A relay as discovery announced it. */
void routing_links_put(struct routing *routing, const Boson__Common__Relay *message);
void routing_links_gone(struct routing *routing, const char *relay_id);

/* Between a snapshot's first page and its end: who is not in it is gone, if it does not answer. */
void routing_links_mark(struct routing *routing);
void routing_links_sweep(struct routing *routing);
void routing_links_tick(struct routing *routing, int64_t now_ms);
void routing_links_stop(struct routing *routing);

/* Each relay has said whose legs it has, or had the time to: before that there is no telling which
 * nodes are there. */
bool routing_links_are_settled(const struct routing *routing);

/* NULL when there is none. */
struct bus_peer *routing_links_peer(const struct routing *routing, const char *relay_id);

/* A relay as another relay needs it; what it points to is ours. False when it is not known. */
bool routing_links_describe(const struct routing *routing, const char *relay_id,
			    Boson__Common__Relay *ret);

/* ---- routing_close.c ---- */

/* Tells the node, through the relay that has its leg now (else relay_id), that it need not keep a
 * session. Once; nobody waits. reason: a short word. */
void routing_close_unwanted(struct routing *routing, const uint8_t node_id[UUID_BYTES],
			    const char *relay_id, const uint8_t session_id[UUID_BYTES],
			    const char *reason);

/* The same for a closed session, until it is told: repeated by routing_close_again. */
void routing_close_session(struct routing *routing, const struct session *session);
void routing_close_again(struct routing *routing);

/* Writes which closed sessions their relays know of. */
void routing_close_write(struct routing *routing);

/* ---- routing_sweep.c: what one replica does for all ---- */

int routing_sweep_start(struct routing *routing);
void routing_sweep_tick(struct routing *routing, int64_t now_ms);
void routing_sweep_stop(struct routing *routing); /* another one may do it at once */

/* ---- routing_events.c ---- */

int routing_events_start(struct routing *routing);

/* That a session was opened, moved or closed here, as the record has it. */
void routing_tell(const struct routing *routing, const struct session_record *record);

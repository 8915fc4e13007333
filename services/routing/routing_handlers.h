/*
 * routing's mailbox and what stands behind it. One thread: the actor's.
 *
 *	gateway   -> RequestRoute GetRoute DeleteRoute ListClients GetClient
 *		     PacketFromNode PacketFromClient
 *	relay     -> LocateNode
 *	discovery -> NodeChanged, RelayChanged (events)		routing -> discovery.Snapshot
 *	relay     -> LegAttached, LegDetached, RelayLoad (events)
 *	routing   -> relay.OpenSession, CloseSession, ListLegs, ListFlows, CarryPacket
 *
 * A request is asked of one node after another (routing_request), written and answered with others
 * of the same turn (routing_commit). What discovery (routing_watch) and the relays (routing_links)
 * say is kept in a table, and kept on when they die.
 */
#pragma once

#include "identity/ticket.h"
#include "routing.pb-c.h"
#include "routing/routing_choice.h"
#include "routing/routing_session.h"
#include "routing/routing_table.h"
#include "service/service.h"
#include "store/store.h"

enum {
	ROUTING_IN_FLIGHT_MAX = 4096,
	ROUTING_CURSOR_BYTES = 64,
	ROUTING_ENDPOINT_BYTES = 256,
	ROUTING_KEY_BYTES = 41, /* Z85 of 32 bytes */
	ROUTING_ADDRESS_BYTES = 46,
};

struct routing_link;
struct routing_request;

struct routing {
	Boson__Routing__Routing_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct store *store;
	struct ticket_signer *signer;
	struct table table;
	struct sessions sessions;
	struct choice_random random;
	bool stopping;

	/* routing_watch */
	struct bus_peer *discovery;
	struct bus_subscription *nodes_changed, *relays_changed;
	bool snapshot_running, snapshot_due, has_snapshot;
	char snapshot_cursor[ROUTING_CURSOR_BYTES];

	/* routing_links */
	struct routing_link *links;

	/* routing_commit */
	struct routing_request *opened; /* to be written at the end of this turn */
	bool commit_deferred;
	size_t in_flight;

	/* From the configuration. */
	int64_t session_lifetime_ms, answer_timeout_ms;
	size_t candidates;
	uint32_t mtu, keepalive_sec;
	const char *const *dns, *const *allowed_ips;
	const char *relay_group;

	struct loop_timer *timer;
	struct metric *routes, *unserved, *refusals, *silences, *known_nodes, *free_nodes,
		*open_sessions;
};

/* A copy of this is `service`. */
extern const Boson__Routing__Routing_Service routing_mailbox;

/* ---- routing_request.c: a request until a node said yes ---- */

struct routing_request {
	struct routing *routing;
	Boson__Routing__RouteReply_Closure closure;
	void *call;
	struct routing_wish wish;
	struct session_record record; /* of the session in the making */
	bool resumes;
	uint8_t old_node_id[UUID_BYTES]; /* when it resumes */
	uint8_t tried[CHOICE_EXCLUDED_MAX][UUID_BYTES];
	size_t tried_count;
	struct bus_peer *peer; /* of the relay that is being asked */

	/* What the node said. */
	char address4[ROUTING_ADDRESS_BYTES], address6[ROUTING_ADDRESS_BYTES];
	char dns4[ROUTING_ADDRESS_BYTES], dns6[ROUTING_ADDRESS_BYTES];
	uint32_t mtu;

	struct routing_request *next;
};

/* Takes over the call. resumed: the open session that is taken up again, or NULL. */
void routing_request_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
			   const struct routing_wish *wish, const struct session *resumed,
			   Boson__Routing__RouteReply_Closure closure, void *call);
void routing_request_free(struct routing_request *request);

/* ---- routing_commit.c ---- */

/* A node has opened this request's session: it is written and answered with this turn's others. */
void routing_commit(struct routing_request *request);

/* Fills a Route; what it points to is in text. */
struct routing_route_text {
	char id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	char *path[1];
};
void routing_route_fill(const struct session_record *record, Boson__Routing__Route *route,
			struct routing_route_text *text);

/* ---- routing_watch.c ---- */

int routing_watch_start(struct routing *routing);
void routing_watch_stop(struct routing *routing);
void routing_watch_tick(struct routing *routing);

/* ---- routing_links.c: connections to relays ---- */

/* A relay as discovery announced it. */
void routing_links_put(struct routing *routing, const Boson__Common__Relay *message);
void routing_links_gone(struct routing *routing, const char *relay_id);

/* Between a snapshot's first page and its end: who is not in it is gone, if it does not answer. */
void routing_links_mark(struct routing *routing);
void routing_links_sweep(struct routing *routing);
void routing_links_tick(struct routing *routing, int64_t now_ms);
void routing_links_stop(struct routing *routing);

/* NULL when there is none. */
struct bus_peer *routing_links_peer(const struct routing *routing, const char *relay_id);

/* A relay as another relay needs it; what it points to is ours. False when it is not known. */
bool routing_links_describe(const struct routing *routing, const char *relay_id,
			    Boson__Common__Relay *ret);

/* ---- routing_close.c ---- */

/* Tells the node, through the relay that has its leg now, that a session is over. Nobody waits. */
void routing_close_unwanted(struct routing *routing, const uint8_t node_id[UUID_BYTES],
			    const char *relay_id, const uint8_t session_id[UUID_BYTES]);

/* The same for a closed session, until it is told: repeated by the tick. */
void routing_close_session(struct routing *routing, const struct session *session);

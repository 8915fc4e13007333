/*
 * routing_session: the sessions and their routes (one each), by either id and by client, with their
 * ends. The model: no I/O, no clock. What is in here is in the store, too. One thread.
 *
 *	opening --its node said yes--> open --deleted, replaced--> closing --relay told--> closed
 *	    `--no node did------------------------------------------------------------------^
 *
 * A client (its id and its key) has one session that lives, which is: opening or open. Who asks
 * again gets the same one.
 */
#pragma once

#include "idtable/idtable.h"
#include "routing/routing_wish.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SESSIONS_MAX = 256 * 1024, /* that live */
	SESSION_OWNER_BYTES = 72,
	SESSION_HOLDER_BYTES = 17,
	SESSION_CLIENT_BYTES = UUID_BYTES + KEY_BYTES,
};

/* closing: closed for the client, and the relay is still to be told. */
enum session_status { SESSION_OPEN, SESSION_CLOSING, SESSION_CLOSED, SESSION_OPENING };

/* What the store keeps of a session. */
struct session_record {
	uint8_t id[UUID_BYTES], route_id[UUID_BYTES], client_id[UUID_BYTES], node_id[UUID_BYTES];
	struct key client_key;
	char relay_id[ROUTING_RELAY_ID_BYTES];	     /* that has the node's leg */
	char entry_relay_id[ROUTING_RELAY_ID_BYTES]; /* that the client was told of first */
	char owner[SESSION_OWNER_BYTES];   /* the access key it was opened with; NUL-padded */
	char holder[SESSION_HOLDER_BYTES]; /* which access key that is, also of what a token opened:
					    * of its digest, in hex; "": not known */
	bool is_proven;			   /* who opened it, or took it up, had the private key */
	char udp_relay_id[ROUTING_RELAY_ID_BYTES]; /* where a stock app may use it, or "" */
	enum session_status status;
	int64_t created_wall_ms, expires_wall_ms;
	double latency_ms, bandwidth_mbits, cost; /* as estimated when it was opened */
};

struct session {
	struct session_record record;
	struct idtable_link by_id, by_route, by_client;
	uint8_t client[SESSION_CLIENT_BYTES]; /* id and key */
	bool is_in_clients;
	struct session_tally *owner, *holder; /* while it lives, if it has one */
	int64_t ends_ms;		      /* monotonic */
	size_t at;			      /* in the heap */
	struct session *closing_next, *closing_previous;
	struct session *bound_next, *bound_previous; /* of those that a stock app may use */
	bool is_bound;
	uint64_t bound_told; /* table_leg.told of the leg that it is bound for; 0: none */
	uint64_t bound_at;   /* table.told of then */
};

/* Counts the sessions that live of one owner, or of one holder. */
struct session_tally {
	char name[SESSION_OWNER_BYTES];
	struct idtable_link by_name;
	size_t living;
};

struct sessions {
	struct idtable by_id, by_route, by_client, owners, holders;
	struct session **heap; /* the first to end on top */
	size_t count, capacity, open, living;
	struct session *bound;
	struct session *closing,
		*closing_turn; /* the list, and whose turn is next: NULL, the first */
};

int sessions_init(struct sessions *sessions);
void sessions_fini(struct sessions *sessions);

struct session *sessions_find(const struct sessions *sessions, const uint8_t id[UUID_BYTES]);
struct session *sessions_find_route(const struct sessions *sessions,
				    const uint8_t route_id[UUID_BYTES]);

/* The one of this client that lives, or NULL. */
struct session *sessions_find_client(const struct sessions *sessions,
				     const uint8_t client_id[UUID_BYTES],
				     const struct key *client_key);

/* How many of this owner live. */
size_t sessions_of_owner(const struct sessions *sessions, const char owner[SESSION_OWNER_BYTES]);

static inline bool
session_lives(enum session_status status)
{
	return status == SESSION_OPEN || status == SESSION_OPENING;
}

/* Adds, or replaces what is known of this id; what was proven once stays so. 0, -ENOSPC, -ENOMEM,
 * -EEXIST for a route id that is another session's. */
int sessions_put(struct sessions *sessions, const struct session_record *record, int64_t ends_ms,
		 struct session **ret);

/* The next of those to be closed: each in its turn, however long the others wait for their relay.
 * NULL when there is none. */
struct session *sessions_next_closing(struct sessions *sessions);

/* One session whose end has come, off all lists and the caller's to free; NULL when none is left.
 */
struct session *sessions_expire(struct sessions *sessions, int64_t now_ms);

/* When the first one ends; INT64_MAX when there is none. */
static inline int64_t
sessions_next_end_ms(const struct sessions *sessions)
{
	return sessions->count == 0 ? INT64_MAX : sessions->heap[0]->ends_ms;
}

/*
 * routing tells a node, through the relay that has its leg, that a session is over. Nobody waits
 * for it; for a session that its client closed, the tick says it again until the relay has heard,
 * and then it is written.
 */
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	CLOSE_TIMEOUT_MS = 3000,
	CLOSE_AGAIN_MAX = 256,		/* in one tick */
	CLOSED_KEPT_MS = 60 * 60 * 1000 /* so long a closed route can be looked at */
};

struct closing {
	struct routing *routing;
	struct bus_peer *peer;
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES];
	bool is_final; /* the session is over, not only at this node */
};

/* When there is no more room, the tick tells the relay once more. */
static void
note_told(struct routing *routing, const struct session *session)
{
	if (routing->told_count == ROUTING_TOLD_MAX)
		return;
	memcpy(routing->told[routing->told_count++], session->record.id, UUID_BYTES);
}

static void
on_closed(const Boson__Common__Empty *reply, void *arg)
{
	struct closing *closing = arg;
	struct routing *routing = closing->routing;
	enum bus_status status = bus_peer_result(closing->peer)->status;

	/* A relay that does not know the session has nothing to close. A session that went to
	 * another node since is not closed there. */
	if (closing->is_final && !routing->stopping && (reply != NULL || status == BUS_NOT_FOUND)) {
		const struct session *session =
			sessions_find(&routing->sessions, closing->session_id);

		if (session != NULL && session->record.status == SESSION_CLOSING &&
		    memcmp(session->record.node_id, closing->node_id, UUID_BYTES) == 0)
			note_told(routing, session);
	}
	free(closing);
}

static void
tell(struct bus_peer *peer, const struct closing *what, const char *reason)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	char node_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	struct closing *closing = peer == NULL ? NULL : malloc(sizeof(*closing));

	if (closing == NULL)
		return;
	*closing = *what;
	closing->peer = peer;
	uuid_format(what->node_id, node_text);
	uuid_format(what->session_id, session_text);
	request.node_id = node_text;
	request.session_id = session_text;
	request.reason = (char *)(uintptr_t)reason;
	bus_peer_next(peer, CLOSE_TIMEOUT_MS, NULL);
	boson__relay__relay__close_session(bus_peer_service(peer), &request, on_closed, closing);
}

void
routing_close_unwanted(struct routing *routing, const uint8_t node_id[UUID_BYTES],
		       const char *relay_id, const uint8_t session_id[UUID_BYTES],
		       const char *reason)
{
	const struct table_leg *home = table_home_leg(table_find(&routing->table, node_id));
	struct closing what = { .routing = routing };

	/* Where its leg is now, not where it was when the session was opened. */
	if (home != NULL)
		relay_id = home->relay->id;
	memcpy(what.node_id, node_id, UUID_BYTES);
	memcpy(what.session_id, session_id, UUID_BYTES);
	tell(routing_links_peer(routing, relay_id), &what, reason);
}

/* While its node has no leg anywhere nobody can tell it: the tick tries again. */
void
routing_close_session(struct routing *routing, const struct session *session)
{
	const struct table_leg *home =
		table_home_leg(table_find(&routing->table, session->record.node_id));
	struct closing what = { .routing = routing, .is_final = true };

	if (home == NULL)
		return;
	memcpy(what.node_id, session->record.node_id, UUID_BYTES);
	memcpy(what.session_id, session->record.id, UUID_BYTES);
	tell(routing_links_peer(routing, home->relay->id), &what, "closed");
}

/* ---- the tick ---- */

void
routing_close_again(struct routing *routing)
{
	const struct session *first = NULL, *session;

	for (size_t n = 0; n < CLOSE_AGAIN_MAX; n++) {
		session = sessions_next_closing(&routing->sessions);
		if (session == NULL || session == first)
			return;
		if (first == NULL)
			first = session;
		routing_close_session(routing, session);
	}
}

static void
keep_told(struct routing *routing, int64_t expires_wall_ms)
{
	for (size_t i = 0; i < routing->told_count; i++) {
		const struct session *session = sessions_find(&routing->sessions, routing->told[i]);
		struct session_record record;

		if (session == NULL || session->record.status != SESSION_CLOSING)
			continue;
		record = session->record;
		record.status = SESSION_CLOSED;
		record.expires_wall_ms = expires_wall_ms;
		(void)routing_keep(routing, &record, NULL);
	}
}

void
routing_close_write(struct routing *routing)
{
	int64_t expires_wall_ms = clock_wall_ms() + CLOSED_KEPT_MS;
	int error;

	if (routing->told_count == 0 || routing->store == NULL)
		return;
	error = store_begin(routing->store);
	for (size_t i = 0; error == 0 && i < routing->told_count; i++)
		error = routing_store_told(routing->store, routing->told[i], expires_wall_ms);
	if (error == 0)
		error = store_commit(routing->store);
	else
		store_rollback(routing->store);
	if (error == 0)
		keep_told(routing, expires_wall_ms);
	else
		log_warn("closings_not_written", "error=%d", error);
	routing->told_count = 0;
}

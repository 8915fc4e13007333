/*
 * routing: what one replica does for all: it removes sessions that have ended, tells relays again
 * what they have not heard, and looks for rows that nobody remembers. The others only forget.
 */
#include "routing/routing_binding.h"
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
	LEASE_MS = 6 * 1000,
	RENEW_MS = 2 * 1000,
	EXPIRE_MAX = 1000, /* in one transaction */
	CLOSE_AGAIN_MS = 5 * 1000,
	LEFTOVERS_MS = 60 * 1000,
	LEFTOVERS_MAX = 1000,
	LEFTOVER_AGE_MS = 60 * 1000,
};

/* One session that has ended: off the node's count, and off the node. */
static void
end_session(struct routing *routing, const struct session *session)
{
	const struct session_record *record = &session->record;
	struct session_record ended;

	if (!session_lives(record->status))
		return;
	(void)table_sessions_add(&routing->table, record->node_id, -1);
	if (!routing->is_sweeper)
		return;
	routing_close_unwanted(routing, record->node_id, record->relay_id, record->id, "expired");
	ended = *record;
	ended.status = SESSION_CLOSED;
	routing_tell(routing, &ended);
}

/* Opens the transaction in which the sweeper writes; false when it is not us any more: who was
 * thought dead and woke up writes nothing (F09). */
static bool
begin_sweep(struct routing *routing)
{
	int held;

	if (!routing->is_sweeper || routing->store == NULL || store_begin(routing->store) != 0)
		return false;
	held = routing->is_shared
		       ? store_lease_hold(&routing->lease, routing->store, clock_monotonic_ms())
		       : 1;
	if (held == 1)
		return true;
	store_rollback(routing->store);
	routing->is_sweeper = false;
	return false;
}

/* Rows go with their sessions: nothing is kept of who used what (T46). */
static void
expire(struct routing *routing, int64_t now_ms)
{
	bool writes = begin_sweep(routing);
	struct session *session;
	int error = 0;

	for (size_t n = 0; error == 0 && n < EXPIRE_MAX &&
			   (session = sessions_expire(&routing->sessions, now_ms)) != NULL;
	     n++) {
		end_session(routing, session);
		if (writes)
			error = routing_store_remove(routing->store, session->record.id);
		free(session);
	}
	if (!writes)
		return;
	if (error == 0)
		error = store_commit(routing->store);
	else
		store_rollback(routing->store);
	if (error != 0) /* found again as leftovers */
		log_warn("sessions_not_removed", "error=%d", error);
}

/* It ends here and now, and its row with it. */
static int
take_leftover(const struct session_record *record, int64_t change, void *arg)
{
	struct routing *routing = arg;

	(void)change;
	if (sessions_find(&routing->sessions, record->id) == NULL)
		(void)routing_keep(routing, record, NULL);
	return 0;
}

/* Rows that ended so long ago and are still there. */
static void
take_leftovers(struct routing *routing, int64_t age_ms, int64_t now_ms)
{
	if (routing->store == NULL)
		return;
	routing->leftovers_ms = now_ms;
	(void)routing_store_ended(routing->store, clock_wall_ms() - age_ms, LEFTOVERS_MAX,
				  take_leftover, routing);
}

static void
renew(struct routing *routing, int64_t now_ms)
{
	bool was_sweeper = routing->is_sweeper;

	if (!routing->is_shared) {
		routing->is_sweeper = true;
		return;
	}
	if (now_ms - routing->renewed_ms < RENEW_MS)
		return;
	routing->renewed_ms = now_ms;
	routing->is_sweeper =
		routing->store != NULL &&
		store_lease_hold(&routing->lease, routing->store, clock_monotonic_ms()) == 1;
	if (routing->is_sweeper == was_sweeper)
		return;
	log_info(routing->is_sweeper ? "sweeper" : "sweeper_no_more", "store=%d",
		 routing->store != NULL);
	/* What ended while the one before us was gone, we have only forgotten. */
	if (routing->is_sweeper)
		take_leftovers(routing, 0, now_ms);
}

int
routing_sweep_start(struct routing *routing)
{
	routing->leftovers_ms = routing->closed_again_ms = routing->renewed_ms = -LEFTOVERS_MS;
	return store_lease_init(&routing->lease, "sweep", LEASE_MS);
}

void
routing_sweep_tick(struct routing *routing, int64_t now_ms)
{
	renew(routing, now_ms);
	/* Where a removal failed. */
	if (routing->is_sweeper && now_ms - routing->leftovers_ms >= LEFTOVERS_MS)
		take_leftovers(routing, LEFTOVER_AGE_MS, now_ms);
	if (sessions_next_end_ms(&routing->sessions) <= now_ms)
		expire(routing, now_ms);
	if (!routing->is_sweeper)
		return;
	routing_binding_tick(routing);
	if (now_ms - routing->closed_again_ms < CLOSE_AGAIN_MS)
		return;
	routing->closed_again_ms = now_ms;
	routing_close_again(routing);
}

void
routing_sweep_stop(struct routing *routing)
{
	if (routing->is_shared && routing->is_sweeper && routing->store != NULL)
		(void)store_lease_release(&routing->lease, routing->store);
	routing->is_sweeper = false;
}

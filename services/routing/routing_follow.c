/*
 * routing's memory of its sessions follows the store. With a store that replicas share, the others'
 * changes are read by number: now and then, and before an answer that must be right. A PostgreSQL
 * that is not there yet is waited for.
 */
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FOLLOW_ROWS = 1000, URL_BYTES = 544, REASON_BYTES = 256 };

/* Ends are kept on the monotonic clock: a step of the wall clock ends no session (T48). */
static int64_t
end_of(const struct routing *routing, const struct session *known,
       const struct session_record *record)
{
	int64_t left_ms = record->expires_wall_ms - clock_wall_ms();

	if (known != NULL && known->record.expires_wall_ms == record->expires_wall_ms)
		return known->ends_ms;
	if (left_ms > routing->session_lifetime_ms)
		left_ms = routing->session_lifetime_ms;
	return clock_monotonic_ms() + (left_ms > 0 ? left_ms : 0);
}

int
routing_keep(struct routing *routing, const struct session_record *record, struct session **ret)
{
	struct session *session = sessions_find(&routing->sessions, record->id);
	bool did_live = session != NULL && session_lives(session->record.status);
	bool is_bound_anew = session != NULL && session->is_bound &&
			     (session->record.expires_wall_ms != record->expires_wall_ms ||
			      memcmp(session->record.node_id, record->node_id, UUID_BYTES) != 0);
	uint8_t node_id[UUID_BYTES] = { 0 };
	int error;

	if (did_live)
		memcpy(node_id, session->record.node_id, UUID_BYTES);
	error = sessions_put(&routing->sessions, record, end_of(routing, session, record),
			     &session);
	if (error != 0)
		return error;
	if (session_lives(record->status))
		(void)table_sessions_add(&routing->table, record->node_id, 1);
	if (did_live)
		(void)table_sessions_add(&routing->table, node_id, -1);
	/* A stock app's relay is told of the new node, or the new end. */
	if (is_bound_anew)
		session->bound_told = routing->bound_told = 0;
	if (ret != NULL)
		*ret = session;
	return 0;
}

static int
take_row(const struct session_record *record, int64_t change, void *arg)
{
	struct routing *routing = arg;
	int error = routing_keep(routing, record, NULL);

	if (error != 0)
		log_warn("session_not_kept", "error=%d", error);
	if (change > routing->change)
		routing->change = change;
	return 0;
}

int
routing_follow(struct routing *routing)
{
	int n;

	if (routing->store == NULL)
		return -EIO;
	/* Once a batch, and before its first write: what it wrote itself may not come about, and
	 * what its requests ask for was there before it began. */
	if (!routing->is_shared || (routing->is_in_batch && routing->has_followed))
		return routing->follow_error;
	do {
		n = routing_store_since(routing->store, routing->change, FOLLOW_ROWS, take_row,
					routing);
	} while (n == FOLLOW_ROWS);
	routing->has_followed = true;
	routing->follow_error = n < 0 ? -EIO : 0;
	return routing->follow_error;
}

/* All rows into memory. 0 or -errno. */
static int
load_all(struct routing *routing)
{
	int error = routing_store_each(routing->store, take_row, routing);

	if (error != 0) {
		log_error("sessions_not_loaded", "error=%d", error);
		return error;
	}
	return 0;
}

/* ---- the store ---- */

static void
fill_url(const struct routing *routing, char ret_url[URL_BYTES])
{
	const struct actor_context *context = routing->context;
	const char *configured = config_string(context->config, "routing", "store");

	if (configured[0] != '\0')
		(void)snprintf(ret_url, URL_BYTES, "%s", configured);
	else
		(void)snprintf(ret_url, URL_BYTES, "sqlite:%s/routing.db", context->state_dir);
}

static int
open_store(struct routing *routing, char ret_reason[REASON_BYTES])
{
	char url[URL_BYTES];
	int error;

	fill_url(routing, url);
	routing->is_shared = strncmp(url, "postgresql:", sizeof("postgresql:") - 1) == 0;
	error = routing_store_open(url, &routing->store, ret_reason, REASON_BYTES);
	if (error == 0)
		error = load_all(routing);
	if (error != 0)
		store_close(&routing->store);
	return error;
}

int
routing_store_start(struct routing *routing)
{
	char reason[REASON_BYTES] = "";
	int error = open_store(routing, reason);

	if (error == 0)
		return 0;
	log_error("store_not_opened", "reason=%s", reason);
	return routing->is_shared && error == -EIO ? 0 : store_exit_code(error);
}

void
routing_follow_tick(struct routing *routing)
{
	char reason[REASON_BYTES] = "";

	if (routing->store == NULL) {
		if (open_store(routing, reason) != 0)
			return;
		log_info("store_opened", "sessions=%zu", routing->sessions.count);
	}
	(void)routing_follow(routing);
}

/* ---- a batch of requests: one transaction ---- */

int
routing_batch_begin(void *arg)
{
	struct routing *routing = arg;

	routing->is_in_batch = true;
	routing->has_followed = false;
	return routing->store == NULL ? 0 : store_batch_begin(routing->store);
}

int
routing_batch_commit(void *arg)
{
	struct routing *routing = arg;

	routing->is_in_batch = false;
	return routing->store == NULL ? 0 : store_batch_commit(routing->store);
}

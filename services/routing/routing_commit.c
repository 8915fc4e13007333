/*
 * routing: what requests have to write in one turn is written in one transaction; only then they go
 * on. The store decides between replicas: a client has one session that lives, and one that has
 * ended is not opened again.
 */
#include "routing/routing_handlers.h"
#include "routing/routing_liveness.h"
#include "routing/routing_store.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In one transaction, and replicas' one after the other: who proves the key has it then (T05). */
static int
add_row(struct store *store, struct routing_request *request)
{
	int taken =
		request->is_proven ? routing_store_take_key(store, &request->record.client_key) : 0;

	if (taken < 0)
		return taken;
	request->has_taken = taken > 0;
	return routing_store_add(store, &request->record);
}

static int
write_step(struct store *store, struct routing_request *request)
{
	if (request->step == ROUTING_INTENDS && !request->has_row)
		return add_row(store, request);
	return routing_store_change(store, &request->record, request->step != ROUTING_OPENED);
}

/* Each request's own error is what the store said of its row; what fails as a whole fails them all.
 */
static int
write_all(struct routing *routing, struct routing_request *due)
{
	int error = routing->store == NULL ? -EIO : store_begin(routing->store);

	for (struct routing_request *request = due; error == 0 && request != NULL;
	     request = request->next) {
		request->error = write_step(routing->store, request);
		if (request->error == -EIO)
			error = -EIO;
	}
	if (error == 0)
		return store_commit(routing->store);
	if (routing->store != NULL)
		store_rollback(routing->store);
	return error;
}

/* It is written, but there is no place for it here: nobody will ever use its row. */
static void
take_back(struct routing_request *request)
{
	struct routing *routing = request->routing;

	if (request->is_new && routing_store_remove(routing->store, request->record.id) != 0)
		log_warn("session_not_removed", "error=%d", -EIO);
}

/* A session that moved need not be kept by its old node; the new one is watched. */
static void
settle_at_node(const struct routing_request *request)
{
	const struct session_record *record = &request->record;

	if (request->has_old && memcmp(request->old_node_id, record->node_id, UUID_BYTES) == 0)
		return;
	if (request->has_old)
		routing_close_unwanted(request->routing, request->old_node_id, record->relay_id,
				       record->id, "moved");
	routing_liveness_watch(request->routing, record);
}

static void
end_opened(struct routing_request *request)
{
	const struct session_record *record = &request->record;
	struct routing *routing = request->routing;

	if (request->error == -ESTALE) {
		routing_close_unwanted(routing, record->node_id, record->relay_id, record->id,
				       "closed");
		routing_request_overtaken(request);
		return;
	}
	if (request->error == 0) {
		request->error = routing_keep(routing, record, NULL);
		if (request->error != 0)
			take_back(request);
	}
	if (request->error != 0) {
		if (request->is_new)
			routing_close_unwanted(routing, record->node_id, record->relay_id,
					       record->id, "closed");
		routing_request_fail(request, BUS_UNAVAILABLE, "store_failed");
		return;
	}
	settle_at_node(request);
	/* The node may have lost its last leg while this was written: asked again, the client gets
	 * the same session at another. */
	if (routing_answer(request) != 0) {
		routing_request_fail(request, BUS_UNAVAILABLE, "no_node_available");
		return;
	}
	metric_add(routing->routes, 1);
	routing_tell(routing, record);
	routing_request_free(request);
}

/* One that had the key: over for its client, and its relay is told. */
static int
give_way(const struct session_record *record, int64_t change, void *arg)
{
	struct routing *routing = arg;
	struct session *session = sessions_find(&routing->sessions, record->id);
	char id[UUID_TEXT_BYTES];

	(void)change;
	if (session != NULL && !session_lives(session->record.status))
		return 0; /* it was closing before */
	if (routing_keep(routing, record, &session) != 0)
		return 0;
	metric_add(routing->keys_taken, 1);
	uuid_format(record->id, id);
	log_info("key_taken", "session=%s", id);
	routing_tell(routing, record);
	routing_close_session(routing, session);
	return 0;
}

static void
end_intended(struct routing_request *request)
{
	struct routing *routing = request->routing;

	if (request->has_taken &&
	    routing_store_closing_of_key(routing->store, &request->record.client_key, give_way,
					 routing) != 0)
		log_warn("key_not_taken", "error=%d", -EIO);
	request->has_taken = false;
	if (request->error == -EBUSY) {
		routing_request_fail(request, BUS_CONFLICT, "key_in_use");
		return;
	}
	if (request->error == -EEXIST) {
		routing_request_take_over(request);
		return;
	}
	if (request->error == -ESTALE) {
		routing_request_overtaken(request);
		return;
	}
	request->has_row = request->has_row || request->error == 0;
	if (request->error == 0) {
		request->error = routing_keep(routing, &request->record, NULL);
		if (request->error != 0)
			take_back(request);
	}
	if (request->error != 0)
		routing_request_fail(request, BUS_UNAVAILABLE, "store_failed");
	else
		routing_request_ask(request);
}

/* Nobody had it: that is answered, whether it could be written or not; the row ends by itself. */
static void
end_given_up(struct routing_request *request)
{
	if (request->error == 0)
		(void)routing_keep(request->routing, &request->record, NULL);
	routing_request_fail(request, request->failure, request->failure_code);
}

static void
end_step(struct routing_request *request)
{
	request->next = NULL;
	switch (request->step) {
	case ROUTING_INTENDS:
		end_intended(request);
		break;
	case ROUTING_OPENED:
		end_opened(request);
		break;
	case ROUTING_GIVES_UP:
		end_given_up(request);
		break;
	}
}

static void
commit_turn(struct loop *loop, void *arg)
{
	struct routing *routing = arg;
	struct routing_request *due = routing->due, *request;
	int error;

	(void)loop;
	routing->commit_deferred = false;
	routing->due = NULL;
	routing->due_end = &routing->due;
	if (due == NULL)
		return;
	error = write_all(routing, due);
	if (error != 0)
		log_warn("routes_not_written", "error=%d", error);
	while ((request = due) != NULL) {
		due = request->next;
		if (error != 0)
			request->error = -EIO;
		end_step(request);
	}
}

void
routing_commit(struct routing_request *request, enum routing_step step)
{
	struct routing *routing = request->routing;

	request->step = step;
	request->next = NULL;
	if (routing->due == NULL)
		routing->due_end = &routing->due;
	*routing->due_end = request;
	routing->due_end = &request->next;
	if (routing->commit_deferred)
		return;
	if (loop_defer(routing->context->loop, commit_turn, routing) == 0)
		routing->commit_deferred = true;
	else
		commit_turn(routing->context->loop, routing);
}

/* ---- changes that a handler makes: part of its batch ---- */

struct change {
	struct routing *routing;
	struct session_record before, after;
	routing_changed_fn then;
};

static void
change_committed(void *arg)
{
	struct change *change = arg;
	struct session *session;

	if (routing_keep(change->routing, &change->after, &session) == 0)
		change->then(change->routing, &change->before, session);
	free(change);
}

int
routing_change(struct routing *routing, const struct session *session,
	       const struct session_record *after, routing_changed_fn then)
{
	struct change *change = routing->store == NULL ? NULL : malloc(sizeof(*change));
	int error = change == NULL ? -EIO : store_savepoint(routing->store);

	if (error != 0) {
		free(change);
		return error;
	}
	*change = (struct change){ routing, session->record, *after, then };
	error = routing_store_change(routing->store, after, false);
	if (error == 0)
		error = store_after_commit(routing->store, change_committed, free, change);
	if (error != 0) {
		store_savepoint_rollback(routing->store);
		free(change);
		return error;
	}
	return store_savepoint_release(routing->store);
}

/* routing_session: two hash tables, a heap of ends, a list of those to be closed. */
#include "routing/routing_session.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
sessions_init(struct sessions *sessions)
{
	int error;

	memset(sessions, 0, sizeof(*sessions));
	error = idtable_init(&sessions->by_id, offsetof(struct session, by_id),
			     offsetof(struct session, record.id), UUID_BYTES);
	if (error == 0)
		error = idtable_init(&sessions->by_route, offsetof(struct session, by_route),
				     offsetof(struct session, record.route_id), UUID_BYTES);
	if (error != 0)
		sessions_fini(sessions);
	return error;
}

void
sessions_fini(struct sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++)
		free(sessions->heap[i]);
	free(sessions->heap);
	idtable_fini(&sessions->by_id);
	idtable_fini(&sessions->by_route);
	memset(sessions, 0, sizeof(*sessions));
}

struct session *
sessions_find(const struct sessions *sessions, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&sessions->by_id, id);
}

struct session *
sessions_find_route(const struct sessions *sessions, const uint8_t route_id[UUID_BYTES])
{
	return idtable_find(&sessions->by_route, route_id);
}

/* ---- the heap ---- */

static void
place(struct sessions *sessions, size_t at, struct session *session)
{
	sessions->heap[at] = session;
	session->at = at;
}

static void
sift(struct sessions *sessions, struct session *session)
{
	size_t at = session->at;

	for (; at > 0 && session->ends_ms < sessions->heap[(at - 1) / 2]->ends_ms;
	     at = (at - 1) / 2)
		place(sessions, at, sessions->heap[(at - 1) / 2]);
	for (size_t child; (child = 2 * at + 1) < sessions->count; at = child) {
		if (child + 1 < sessions->count &&
		    sessions->heap[child + 1]->ends_ms < sessions->heap[child]->ends_ms)
			child++;
		if (session->ends_ms <= sessions->heap[child]->ends_ms)
			break;
		place(sessions, at, sessions->heap[child]);
	}
	place(sessions, at, session);
}

static void
take_top(struct sessions *sessions)
{
	struct session *last = sessions->heap[--sessions->count];

	if (sessions->count == 0)
		return;
	place(sessions, 0, last);
	sift(sessions, last);
}

/* ---- the list of those to be closed ---- */

static void
unlist_closing(struct sessions *sessions, struct session *session)
{
	struct session **at = &sessions->closing;

	if (sessions->closing_turn == session)
		sessions->closing_turn = session->closing_next;
	while (*at != NULL && *at != session)
		at = &(*at)->closing_next;
	if (*at != NULL)
		*at = session->closing_next;
	session->closing_next = NULL;
}

static void
set_status(struct sessions *sessions, struct session *session, enum session_status status)
{
	enum session_status before = session->record.status;

	if (before == SESSION_OPEN)
		sessions->open--;
	if (before == SESSION_CLOSING)
		unlist_closing(sessions, session);
	session->record.status = status;
	if (status == SESSION_OPEN)
		sessions->open++;
	if (status == SESSION_CLOSING) {
		session->closing_next = sessions->closing;
		sessions->closing = session;
	}
}

struct session *
sessions_next_closing(struct sessions *sessions)
{
	struct session *session = sessions->closing_turn;

	if (session == NULL)
		session = sessions->closing;
	if (session != NULL)
		sessions->closing_turn = session->closing_next;
	return session;
}

/* ---- */

static int
reserve(struct sessions *sessions)
{
	size_t capacity = sessions->capacity == 0 ? 64 : sessions->capacity * 2;
	struct session **heap;

	if (sessions->count == SESSIONS_MAX)
		return -ENOSPC;
	if (sessions->count < sessions->capacity)
		return 0;
	heap = reallocarray(sessions->heap, capacity, sizeof(struct session *));
	if (heap == NULL)
		return -ENOMEM;
	sessions->heap = heap;
	sessions->capacity = capacity;
	return 0;
}

static int
add(struct sessions *sessions, const struct session_record *record, struct session **ret)
{
	struct session *session;
	int error = reserve(sessions);

	if (error != 0)
		return error;
	session = calloc(1, sizeof(*session));
	if (session == NULL)
		return -ENOMEM;
	session->record = *record;
	session->record.status = SESSION_CLOSED; /* set_status makes it what it is */
	(void)idtable_add(&sessions->by_id, session);
	(void)idtable_add(&sessions->by_route, session);
	place(sessions, sessions->count++, session);
	*ret = session;
	return 0;
}

int
sessions_put(struct sessions *sessions, const struct session_record *record, int64_t ends_ms,
	     struct session **ret)
{
	struct session *session = sessions_find(sessions, record->id);
	const struct session *holder = sessions_find_route(sessions, record->route_id);
	enum session_status before;

	if (holder != NULL && holder != session)
		return -EEXIST;
	if (session == NULL) {
		int error = add(sessions, record, &session);

		if (error != 0)
			return error;
	} else if (holder == NULL) {
		idtable_remove(&sessions->by_route, session);
		memcpy(session->record.route_id, record->route_id, UUID_BYTES);
		(void)idtable_add(&sessions->by_route, session);
	}
	before = session->record.status;
	session->record = *record;
	session->record.status = before;
	set_status(sessions, session, record->status);
	session->ends_ms = ends_ms;
	sift(sessions, session);
	*ret = session;
	return 0;
}

void
sessions_close(struct sessions *sessions, struct session *session)
{
	if (session->record.status == SESSION_OPEN)
		set_status(sessions, session, SESSION_CLOSING);
}

void
sessions_closed(struct sessions *sessions, struct session *session)
{
	set_status(sessions, session, SESSION_CLOSED);
}

struct session *
sessions_expire(struct sessions *sessions, int64_t now_ms)
{
	struct session *session = sessions->count == 0 ? NULL : sessions->heap[0];
	enum session_status before;

	if (session == NULL || session->ends_ms > now_ms)
		return NULL;
	before = session->record.status;
	set_status(sessions, session, SESSION_CLOSED);
	session->record.status = before; /* the caller's to know */
	take_top(sessions);
	idtable_remove(&sessions->by_id, session);
	idtable_remove(&sessions->by_route, session);
	return session;
}

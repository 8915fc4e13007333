/* routing_session: hash tables, a heap of ends, a list of those to be closed. */
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
	if (error == 0)
		error = idtable_init(&sessions->by_client, offsetof(struct session, by_client),
				     offsetof(struct session, client), SESSION_CLIENT_BYTES);
	if (error == 0)
		error = idtable_init(&sessions->owners, offsetof(struct session_tally, by_name),
				     offsetof(struct session_tally, name), SESSION_OWNER_BYTES);
	if (error == 0)
		error = idtable_init(&sessions->holders, offsetof(struct session_tally, by_name),
				     offsetof(struct session_tally, name), SESSION_OWNER_BYTES);
	if (error != 0)
		sessions_fini(sessions);
	return error;
}

static void
free_tallies(struct idtable *tallies)
{
	struct session_tally *tally;

	if (tallies->buckets == NULL)
		return;
	while ((tally = idtable_next(tallies, NULL)) != NULL) {
		idtable_remove(tallies, tally);
		free(tally);
	}
	idtable_fini(tallies);
}

void
sessions_fini(struct sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++)
		free(sessions->heap[i]);
	free(sessions->heap);
	idtable_fini(&sessions->by_id);
	idtable_fini(&sessions->by_route);
	idtable_fini(&sessions->by_client);
	free_tallies(&sessions->owners);
	free_tallies(&sessions->holders);
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

static void
fill_client(uint8_t ret[SESSION_CLIENT_BYTES], const uint8_t client_id[UUID_BYTES],
	    const struct key *client_key)
{
	memcpy(ret, client_id, UUID_BYTES);
	memcpy(ret + UUID_BYTES, client_key->bytes, KEY_BYTES);
}

struct session *
sessions_find_client(const struct sessions *sessions, const uint8_t client_id[UUID_BYTES],
		     const struct key *client_key)
{
	uint8_t client[SESSION_CLIENT_BYTES];

	fill_client(client, client_id, client_key);
	return idtable_find(&sessions->by_client, client);
}

size_t
sessions_of_owner(const struct sessions *sessions, const char owner[SESSION_OWNER_BYTES])
{
	const struct session_tally *found = idtable_find(&sessions->owners, owner);

	return found == NULL ? 0 : found->living;
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
list_closing(struct sessions *sessions, struct session *session)
{
	session->closing_previous = NULL;
	session->closing_next = sessions->closing;
	if (sessions->closing != NULL)
		sessions->closing->closing_previous = session;
	sessions->closing = session;
}

static void
unlist_closing(struct sessions *sessions, struct session *session)
{
	if (sessions->closing_turn == session)
		sessions->closing_turn = session->closing_next;
	if (session->closing_previous != NULL)
		session->closing_previous->closing_next = session->closing_next;
	else
		sessions->closing = session->closing_next;
	if (session->closing_next != NULL)
		session->closing_next->closing_previous = session->closing_previous;
	session->closing_next = session->closing_previous = NULL;
}

/* ---- those that live, and those of them that a stock app may use ---- */

/* NULL for the empty name, and when out of memory: then it is not counted, nothing worse. */
static struct session_tally *
tally_add(struct idtable *tallies, const char *name)
{
	char key[SESSION_OWNER_BYTES] = "";
	struct session_tally *tally;

	if (name[0] == '\0')
		return NULL;
	strncpy(key, name, sizeof(key) - 1);
	tally = idtable_find(tallies, key);
	if (tally == NULL) {
		tally = calloc(1, sizeof(*tally));
		if (tally == NULL)
			return NULL;
		memcpy(tally->name, key, sizeof(key));
		(void)idtable_add(tallies, tally);
	}
	tally->living++;
	return tally;
}

static void
tally_remove(struct idtable *tallies, struct session_tally **tally)
{
	struct session_tally *of = *tally;

	*tally = NULL;
	if (of == NULL || --of->living > 0)
		return;
	idtable_remove(tallies, of);
	free(of);
}

static void
set_living(struct sessions *sessions, struct session *session, bool lives)
{
	if (lives) {
		sessions->living++;
		fill_client(session->client, session->record.client_id,
			    &session->record.client_key);
		session->is_in_clients = idtable_add(&sessions->by_client, session) == 0;
		session->owner = tally_add(&sessions->owners, session->record.owner);
		session->holder = tally_add(&sessions->holders, session->record.holder);
		return;
	}
	sessions->living--;
	if (session->is_in_clients)
		idtable_remove(&sessions->by_client, session);
	session->is_in_clients = false;
	tally_remove(&sessions->owners, &session->owner);
	tally_remove(&sessions->holders, &session->holder);
}

static void
set_bound(struct sessions *sessions, struct session *session)
{
	bool is_bound =
		session->record.status == SESSION_OPEN && session->record.udp_relay_id[0] != '\0';

	if (is_bound == session->is_bound)
		return;
	session->is_bound = is_bound;
	if (is_bound) {
		session->bound_previous = NULL;
		session->bound_next = sessions->bound;
		if (sessions->bound != NULL)
			sessions->bound->bound_previous = session;
		sessions->bound = session;
		return;
	}
	if (session->bound_previous != NULL)
		session->bound_previous->bound_next = session->bound_next;
	else
		sessions->bound = session->bound_next;
	if (session->bound_next != NULL)
		session->bound_next->bound_previous = session->bound_previous;
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
	if (session_lives(before) != session_lives(status))
		set_living(sessions, session, session_lives(status));
	if (status == SESSION_OPEN)
		sessions->open++;
	if (status == SESSION_CLOSING)
		list_closing(sessions, session);
	set_bound(sessions, session);
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
	int error = session_lives(record->status) && sessions->living == SESSIONS_MAX
			    ? -ENOSPC
			    : reserve(sessions);

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
	bool was_proven = session != NULL && session->record.is_proven;

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
	/* What it is found by and counted with changes while it is nothing. */
	set_status(sessions, session, SESSION_CLOSED);
	session->record = *record;
	session->record.status = SESSION_CLOSED;
	session->record.is_proven = record->is_proven || was_proven;
	set_status(sessions, session, record->status);
	session->ends_ms = ends_ms;
	sift(sessions, session);
	*ret = session;
	return 0;
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

/*
 * relay_udp_indexes: the receiver indexes by which nodes know their sessions, and back: a table of
 * them, and in each session the newest of its own.
 */
#include "relay/relay_udp_indexes.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct relay_udp_index_entry {
	struct idtable_link by_index;
	uint32_t index, n;
	struct relay_udp_session *sessions[RELAY_UDP_SAME_INDEX_MAX];
};

int
relay_udp_indexes_init(struct relay_udp_sessions *s)
{
	return idtable_init(&s->indexes, offsetof(struct relay_udp_index_entry, by_index),
			    offsetof(struct relay_udp_index_entry, index), sizeof(uint32_t));
}

static void
forget_index(struct relay_udp_sessions *s, const struct relay_udp_session *session, uint32_t index)
{
	struct relay_udp_index_entry *entry = idtable_find(&s->indexes, &index);

	for (uint32_t i = 0; entry != NULL && i < entry->n; i++) {
		if (entry->sessions[i] != session)
			continue;
		entry->sessions[i] = entry->sessions[--entry->n];
		if (entry->n == 0) {
			idtable_remove(&s->indexes, entry);
			free(entry);
		}
		return;
	}
}

static int
note_index(struct relay_udp_sessions *s, struct relay_udp_session *session, uint32_t index)
{
	struct relay_udp_index_entry *entry = idtable_find(&s->indexes, &index);

	if (entry == NULL) {
		entry = calloc(1, sizeof(*entry));
		if (entry == NULL)
			return -ENOMEM;
		entry->index = index;
		idtable_add(&s->indexes, entry);
	}
	if (entry->n == RELAY_UDP_SAME_INDEX_MAX)
		return -ENOSPC;
	entry->sessions[entry->n++] = session;
	return 0;
}

bool
relay_udp_session_has_index(const struct relay_udp_session *session, uint32_t index)
{
	for (unsigned i = 0; i < session->index_n; i++)
		if (session->indexes[i] == index)
			return true;
	return false;
}

void
relay_udp_sessions_learn(struct relay_udp_sessions *s, struct relay_udp_session *session,
			 uint32_t index)
{
	if (relay_udp_session_has_index(session, index) || note_index(s, session, index) < 0)
		return;
	if (session->index_n < RELAY_UDP_INDEXES) {
		session->indexes[session->index_n++] = index;
		return;
	}
	forget_index(s, session, session->indexes[session->index_at]);
	session->indexes[session->index_at] = index;
	session->index_at = (uint8_t)((session->index_at + 1) % RELAY_UDP_INDEXES);
}

struct relay_udp_session *
relay_udp_sessions_by_index(const struct relay_udp_sessions *s, uint32_t index)
{
	const struct relay_udp_index_entry *entry = idtable_find(&s->indexes, &index);

	return entry != NULL && entry->n == 1 ? entry->sessions[0] : NULL;
}

void
relay_udp_indexes_leave(struct relay_udp_sessions *s, struct relay_udp_session *session)
{
	for (unsigned i = 0; i < session->index_n; i++)
		forget_index(s, session, session->indexes[i]);
	session->index_n = 0;
}

/*
 * relay_udp_sessions: tables and the lists between them; that of indexes is in relay_udp_indexes.c,
 * how a handshake finds its node or session in relay_udp_match.c.
 */
#include "relay/relay_udp_indexes.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct relay_udp_prefix_entry {
	struct idtable_link by_prefix;
	uint8_t prefix[RELAY_UDP_PREFIX_BYTES];
	LIST_HEAD(, relay_udp_session) sessions; /* heard of last, first */
};

int
relay_udp_sessions_init(struct relay_udp_sessions *s)
{
	memset(s, 0, sizeof(*s));
	LIST_INIT(&s->by_age);
	int r = idtable_init(&s->sessions, offsetof(struct relay_udp_session, by_id),
			     offsetof(struct relay_udp_session, id), UUID_BYTES);
	if (r == 0)
		r = idtable_init(&s->nodes, offsetof(struct relay_udp_node, by_id),
				 offsetof(struct relay_udp_node, id), UUID_BYTES);
	if (r == 0)
		r = idtable_init(&s->prefixes, offsetof(struct relay_udp_prefix_entry, by_prefix),
				 offsetof(struct relay_udp_prefix_entry, prefix),
				 RELAY_UDP_PREFIX_BYTES);
	return r < 0 ? r : relay_udp_indexes_init(s);
}

void
relay_udp_sessions_fini(struct relay_udp_sessions *s)
{
	struct relay_udp_session *next, *session;

	session = s->sessions.count > 0 ? idtable_next(&s->sessions, NULL) : NULL;
	for (; session != NULL; session = next) {
		next = idtable_next(&s->sessions, session);
		relay_udp_sessions_unbind(s, session);
	}
	idtable_fini(&s->sessions);
	idtable_fini(&s->nodes);
	idtable_fini(&s->prefixes);
	idtable_fini(&s->indexes);
}

/* ---- nodes ---- */

static void
node_set_key(struct relay_udp_node *node, const struct key *key)
{
	node->key = *key;
	mac1_key_init(&node->mac1, key->bytes);
}

static struct relay_udp_node *
node_get(struct relay_udp_sessions *s, const struct relay_udp_binding *binding)
{
	struct relay_udp_node *node = idtable_find(&s->nodes, binding->node_id);

	if (node == NULL) {
		node = calloc(1, sizeof(*node));
		if (node == NULL)
			return NULL;
		memcpy(node->id, binding->node_id, UUID_BYTES);
		node_set_key(node, &binding->node_key);
		LIST_INIT(&node->sessions);
		TAILQ_INIT(&node->half_open);
		idtable_add(&s->nodes, node);
		LIST_INSERT_HEAD(&s->by_age, node, by_age);
		return node;
	}
	if (!key_is_equal(&node->key, &binding->node_key))
		node_set_key(node, &binding->node_key);
	LIST_REMOVE(node, by_age);
	LIST_INSERT_HEAD(&s->by_age, node, by_age);
	return node;
}

static void
node_put(struct relay_udp_sessions *s, struct relay_udp_node *node)
{
	if (node->session_count > 0)
		return;
	assert(node->half_count == 0);
	LIST_REMOVE(node, by_age);
	idtable_remove(&s->nodes, node);
	free(node);
}

/* ---- where clients are ---- */

static void
leave_prefix(struct relay_udp_sessions *s, struct relay_udp_session *session)
{
	struct relay_udp_prefix_entry *entry = session->prefix;

	if (entry == NULL)
		return;
	LIST_REMOVE(session, of_prefix);
	session->prefix = NULL;
	if (!LIST_EMPTY(&entry->sessions))
		return;
	idtable_remove(&s->prefixes, entry);
	free(entry);
}

void
relay_udp_sessions_near(struct relay_udp_sessions *s, struct relay_udp_session *session,
			const struct in6_addr *address)
{
	uint8_t prefix[RELAY_UDP_PREFIX_BYTES];

	relay_udp_prefix(RELAY_UDP_NETWORK, address, prefix);
	struct relay_udp_prefix_entry *entry = idtable_find(&s->prefixes, prefix);
	if (entry != NULL && entry == session->prefix)
		return;
	if (entry == NULL) {
		entry = calloc(1, sizeof(*entry));
		if (entry == NULL)
			return; /* a hint only */
		memcpy(entry->prefix, prefix, sizeof(prefix));
		LIST_INIT(&entry->sessions);
		idtable_add(&s->prefixes, entry);
	}
	leave_prefix(s, session);
	session->prefix = entry;
	LIST_INSERT_HEAD(&entry->sessions, session, of_prefix);
}

struct relay_udp_session *
relay_udp_sessions_near_first(const struct relay_udp_sessions *s, const struct in6_addr *address)
{
	uint8_t prefix[RELAY_UDP_PREFIX_BYTES];

	relay_udp_prefix(RELAY_UDP_NETWORK, address, prefix);
	const struct relay_udp_prefix_entry *entry = idtable_find(&s->prefixes, prefix);
	return entry != NULL ? LIST_FIRST(&entry->sessions) : NULL;
}

/* ---- sessions ---- */

struct relay_udp_session *
relay_udp_sessions_find(const struct relay_udp_sessions *s, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&s->sessions, id);
}

static struct relay_udp_session *
session_new(struct relay_udp_sessions *s, const struct relay_udp_binding *binding)
{
	struct relay_udp_session *session = calloc(1, sizeof(*session));
	struct relay_udp_node *node = session != NULL ? node_get(s, binding) : NULL;

	if (node == NULL) {
		free(session);
		return NULL;
	}
	memcpy(session->id, binding->session_id, UUID_BYTES);
	session->client_key = binding->client_key;
	mac1_key_init(&session->mac1, binding->client_key.bytes);
	session->node = node;
	LIST_INIT(&session->flows);
	LIST_INSERT_HEAD(&node->sessions, session, of_node);
	node->session_count++;
	idtable_add(&s->sessions, session);
	return session;
}

int
relay_udp_sessions_bind(struct relay_udp_sessions *s, const struct relay_udp_binding *binding)
{
	struct relay_udp_session *session = relay_udp_sessions_find(s, binding->session_id);

	if (session != NULL && (memcmp(session->node->id, binding->node_id, UUID_BYTES) != 0 ||
				!key_is_equal(&session->client_key, &binding->client_key)))
		return -EEXIST;
	if (session == NULL && s->sessions.count >= RELAY_UDP_SESSIONS_MAX)
		return -ENOSPC;
	if (session == NULL)
		session = session_new(s, binding);
	else
		node_get(s, binding); /* its key may be a new one */
	if (session == NULL)
		return -ENOMEM;
	session->ends_ms = binding->ends_ms;
	session->rate_kbytes = binding->rate_kbytes;
	if (binding->has_address && session->flow_count == 0)
		relay_udp_sessions_near(s, session, &binding->address);
	return 0;
}

void
relay_udp_sessions_unbind(struct relay_udp_sessions *s, struct relay_udp_session *session)
{
	assert(LIST_EMPTY(&session->flows));
	relay_udp_indexes_leave(s, session);
	leave_prefix(s, session);
	LIST_REMOVE(session, of_node);
	session->node->session_count--;
	idtable_remove(&s->sessions, session);
	node_put(s, session->node);
	free(session);
}

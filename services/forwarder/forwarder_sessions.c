/*
 * forwarder_sessions: see forwarder_sessions.h.
 */
#include "forwarder/forwarder_sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct forwarder_sessions {
	struct idtable by_id;
};

int
forwarder_sessions_new(struct forwarder_sessions **ret)
{
	struct forwarder_sessions *sessions = calloc(1, sizeof *sessions);
	if (!sessions)
		return -ENOMEM;
	int r = idtable_init(&sessions->by_id, offsetof(struct session, by_id),
			     offsetof(struct session, id), UUID_TEXT_BYTES);
	if (r < 0) {
		free(sessions);
		return r;
	}
	*ret = sessions;
	return 0;
}

void
forwarder_sessions_free(struct forwarder_sessions **sessions)
{
	struct session *session;
	if (!*sessions)
		return;
	while ((session = idtable_next(&(*sessions)->by_id, NULL))) {
		idtable_remove(&(*sessions)->by_id, session);
		free(session);
	}
	idtable_fini(&(*sessions)->by_id);
	free(*sessions);
	*sessions = NULL;
}

int
session_parse(const char *id, const char *client_key, const char *address4, const char *address6,
	      struct session *ret)
{
	struct session session = { 0 };
	uint8_t uuid[UUID_BYTES];
	bool has4 = address4 && *address4, has6 = address6 && *address6;
	if (!id || uuid_parse(id, uuid) < 0 || !client_key ||
	    key_parse(client_key, &session.client_key) < 0 || (!has4 && !has6))
		return -EINVAL;
	if (has4 && inet_pton(AF_INET, address4, &session.address4) != 1)
		return -EINVAL;
	if (has6 && inet_pton(AF_INET6, address6, &session.address6) != 1)
		return -EINVAL;
	uuid_format(uuid, session.id);
	*ret = session;
	return 0;
}

void
session_fix_end(struct session *session, int64_t left_ms, int64_t boot_now_ms)
{
	if (left_ms < 0)
		left_ms = 0;
	if (left_ms > SESSION_LIFE_MAX_MS)
		left_ms = SESSION_LIFE_MAX_MS;
	session->ends_ms = boot_now_ms + left_ms;
}

int
forwarder_sessions_add(struct forwarder_sessions *sessions, const struct session *session)
{
	if (sessions->by_id.count >= SESSIONS_MAX)
		return -ENOSPC;
	struct session *copy = malloc(sizeof *copy);
	if (!copy)
		return -ENOMEM;
	*copy = *session;
	int r = idtable_add(&sessions->by_id, copy);
	if (r < 0)
		free(copy);
	return r;
}

struct session *
forwarder_sessions_find(const struct forwarder_sessions *sessions, const char *id)
{
	char key[UUID_TEXT_BYTES] = { 0 };
	if (!id || strlen(id) >= sizeof key)
		return NULL;
	strcpy(key, id);
	return idtable_find(&sessions->by_id, key);
}

void
forwarder_sessions_remove(struct forwarder_sessions *sessions, const char *id)
{
	struct session *session = forwarder_sessions_find(sessions, id);
	if (!session)
		return;
	idtable_remove(&sessions->by_id, session);
	free(session);
}

const struct session *
forwarder_sessions_next(const struct forwarder_sessions *sessions, const struct session *previous)
{
	return idtable_next(&sessions->by_id, previous);
}

void
forwarder_sessions_need_handshake(struct forwarder_sessions *sessions, bool need)
{
	struct session *session = NULL;
	while ((session = idtable_next(&sessions->by_id, session)))
		session->needs_handshake = need;
}

size_t
forwarder_sessions_count(const struct forwarder_sessions *sessions)
{
	return sessions->by_id.count;
}

const struct session *
forwarder_sessions_expired(const struct forwarder_sessions *sessions, int64_t boot_now_ms)
{
	const struct session *session = NULL;
	while ((session = forwarder_sessions_next(sessions, session)))
		if (session->ends_ms <= boot_now_ms)
			return session;
	return NULL;
}

bool
forwarder_sessions_share_key(const struct forwarder_sessions *sessions,
			     const struct session *session)
{
	const struct session *other = NULL;
	while ((other = forwarder_sessions_next(sessions, other)))
		if (strcmp(other->id, session->id) != 0 &&
		    key_is_equal(&other->client_key, &session->client_key))
			return true;
	return false;
}

bool
forwarder_sessions_has_address(const struct forwarder_sessions *sessions,
			       const struct in6_addr *address)
{
	const struct session *session = NULL;
	struct in6_addr address4, address6;
	if (IN6_IS_ADDR_UNSPECIFIED(address))
		return false;
	while ((session = forwarder_sessions_next(sessions, session))) {
		session_mapped_addresses(session, &address4, &address6);
		if (IN6_ARE_ADDR_EQUAL(address, &address4) ||
		    IN6_ARE_ADDR_EQUAL(address, &address6))
			return true;
	}
	return false;
}

void
session_mapped_addresses(const struct session *session, struct in6_addr *ret_address4,
			 struct in6_addr *ret_address6)
{
	memset(ret_address4, 0, sizeof *ret_address4);
	if (session->address4.s_addr) {
		ret_address4->s6_addr[10] = ret_address4->s6_addr[11] = 0xff;
		memcpy(&ret_address4->s6_addr[12], &session->address4, sizeof session->address4);
	}
	*ret_address6 = session->address6;
}

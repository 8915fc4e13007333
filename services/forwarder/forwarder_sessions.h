/*
 * forwarder_sessions: the sessions that this forwarder carries. A model: no I/O, no clock. The
 * agent has them durably; here is what the packets need.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <netinet/in.h>
#include <stdbool.h>

enum { SESSIONS_MAX = 1024 };
#define SESSION_LIFE_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

struct session {
	struct idtable_link by_id;
	char id[UUID_TEXT_BYTES]; /* NUL-padded */
	struct key client_key;
	struct in_addr address4;  /* 0: none */
	struct in6_addr address6; /* ::: none */
	int64_t ends_ms;	  /* on the boot clock, which nobody sets */
	bool needs_handshake; /* WireGuard was started anew since, and the client has not noticed */
};

struct forwarder_sessions;

int forwarder_sessions_new(struct forwarder_sessions **ret);
void forwarder_sessions_free(struct forwarder_sessions **sessions);

/* From the texts of the wire. -EINVAL: one of them is none; at least one address must be there. */
int session_parse(const char *id, const char *client_key, const char *address4,
		  const char *address6, struct session *ret);

/* Fixes the end on the boot clock: left_ms from now. A wall clock that is set ends nothing (F20).
 */
void session_fix_end(struct session *session, int64_t left_ms, int64_t boot_now_ms);

/* Copies. -EEXIST, -ENOSPC. */
int forwarder_sessions_add(struct forwarder_sessions *sessions, const struct session *session);
void forwarder_sessions_remove(struct forwarder_sessions *sessions, const char *id);

/* Valid until it is removed. */
struct session *forwarder_sessions_find(const struct forwarder_sessions *sessions, const char *id);

/* Each once: NULL starts, NULL ends. Nothing may be added or removed meanwhile. */
const struct session *forwarder_sessions_next(const struct forwarder_sessions *sessions,
					      const struct session *previous);

/* All of them: set or not. */
void forwarder_sessions_need_handshake(struct forwarder_sessions *sessions, bool need);
size_t forwarder_sessions_count(const struct forwarder_sessions *sessions);

/* One whose time is over, or NULL. */
const struct session *forwarder_sessions_expired(const struct forwarder_sessions *sessions,
						 int64_t boot_now_ms);

/* Does another session have the same client key? Then its WireGuard peer must stay when this goes.
 */
bool forwarder_sessions_share_key(const struct forwarder_sessions *sessions,
				  const struct session *session);

/* Is this (IPv4 in mapped form) a session's tunnel address? */
bool forwarder_sessions_has_address(const struct forwarder_sessions *sessions,
				    const struct in6_addr *address);

/* The two addresses in the mapped form that flow_table wants. */
void session_mapped_addresses(const struct session *session, struct in6_addr *ret_address4,
			      struct in6_addr *ret_address6);

/*
 * relay_udp_indexes: what relay_udp_sessions.c alone asks of relay_udp_indexes.c; what others may
 * is in relay_udp_sessions.h.
 */
#pragma once

#include "relay/relay_udp_sessions.h"

/* The table, ended by relay_udp_sessions_fini(). */
int relay_udp_indexes_init(struct relay_udp_sessions *sessions);

/* The session's are nobody's any more. */
void relay_udp_indexes_leave(struct relay_udp_sessions *sessions,
			     struct relay_udp_session *session);

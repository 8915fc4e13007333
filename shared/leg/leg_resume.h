/*
 * leg_resume: TLS sessions that a relay gave, to come back with: a handshake without certificates,
 * which costs the relay a fraction. libwebsockets 4.1 keeps none, so OpenSSL is asked directly.
 * A session is used at the relay that gave it and at no other: its certificate was checked then.
 * Inside shared/leg only, on the leg's thread.
 */
#pragma once

#include "leg/leg_url.h"

#include <openssl/ssl.h>
#include <stddef.h>

enum { LEG_SESSIONS_MAX = 8 };

struct leg_sessions {
	struct leg_session {
		char authority[LEG_URL_AUTHORITY_BYTES];
		SSL_SESSION *session; /* NULL: none */
	} kept[LEG_SESSIONS_MAX];
	size_t next;
	const char *authority; /* of the relay that is being spoken to */
};

/* The context's connections keep and use these. */
void leg_sessions_watch(struct leg_sessions *sessions, SSL_CTX *context);
void leg_sessions_fini(struct leg_sessions *sessions);

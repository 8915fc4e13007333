/*
 * routing_access: who may ask for what. No state. Whose word `caller` is: the gateway's, never a
 * body's.
 */
#pragma once

#include "common.pb-c.h"
#include "routing/routing_session.h"

#include <stdbool.h>

/* A caller as it is kept while its request is under way. */
struct routing_caller {
	Boson__Common__Caller__Role role;
	char subject[SESSION_OWNER_BYTES]; /* a longer one is cut, and fits nobody's */
};

/* A client's token says "<clientId>.<digest of the access key's subject>": whoever has another
 * access key may name a client's id, and gets a token that is no good for what the client has
 * (T05). */
enum { ROUTING_TOKEN_BYTES = UUID_TEXT_BYTES + 1 + 16 };

/* Is a caller's subject that of a client's token, not of an access key? */
bool routing_is_token(const char *subject);

/* The subject of tokens for sessions of this client and owner (of what a token opened, that token
 * is the owner). 0 or -EIO. */
int routing_token_subject(const uint8_t client_id[UUID_BYTES], const char *owner,
			  char ret_subject[ROUTING_TOKEN_BYTES]);

/* Which access key an owner is, or is a token of: SESSION_HOLDER_BYTES of text. 0 or -EIO. */
int routing_holder(const char *owner, char ret_holder[SESSION_HOLDER_BYTES]);

/* May start something for this client: a client's own token names the client; an access key, whose
 * subject does not begin with a UUID, may speak for any client. */
bool routing_may_speak_for(const Boson__Common__Caller *caller, const char *client_id);

/* A client's own token, of any session of its. */
bool routing_is_client(const Boson__Common__Caller *caller, const char *client_id);

void routing_caller_take(struct routing_caller *ret, const Boson__Common__Caller *caller);

/* 0 for its client, by the token that came with it; -EACCES, or -EIO when it cannot be told now. */
int routing_check_client(const struct session *session, const struct routing_caller *caller);

/* Its client by its own token, the access key that opened it, an admin (T05: to know a client's id
 * and key, or a session's id, is not enough). 0, -EACCES, or -EIO: it cannot be told now. */
int routing_check_use(const struct session *session, const struct routing_caller *caller);

/* Likewise, to ask for its route again: for one that was proven, by a proof only. */
int routing_check_take_up(const struct session *session, const struct routing_caller *caller,
			  bool is_proven);

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

Boson__Common__Caller__Role routing_role(const Boson__Common__Caller *caller);
bool routing_is_admin(const Boson__Common__Caller *caller);

/* May start something for this client: a client's own token names the client; an access key, whose
 * subject is no UUID, may speak for any client. */
bool routing_may_speak_for(const Boson__Common__Caller *caller, const char *client_id);

/* The client or node itself, by its own token. */
bool routing_is_client(const Boson__Common__Caller *caller, const char *client_id);
bool routing_is_node(const Boson__Common__Caller *caller, const char *node_id);

void routing_caller_take(struct routing_caller *ret, const Boson__Common__Caller *caller);

/* May take up this session: the client by its own token, the access key that opened it, an admin
 * (T05: to know a client's id and key, or a session's id, is not enough). */
bool routing_may_use(const struct session *session, const struct routing_caller *caller);

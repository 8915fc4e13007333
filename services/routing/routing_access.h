/*
 * routing_access: who may ask for what. No state. Whose word `caller` is: the gateway's, never a
 * body's.
 */
#pragma once

#include "common.pb-c.h"

#include <stdbool.h>

Boson__Common__Caller__Role routing_role(const Boson__Common__Caller *caller);
bool routing_is_admin(const Boson__Common__Caller *caller);

/* May start something for this client: a client's own token names the client; an access key, whose
 * subject is no UUID, may speak for any client. */
bool routing_may_speak_for(const Boson__Common__Caller *caller, const char *client_id);

/* The client or node itself, by its own token. */
bool routing_is_client(const Boson__Common__Caller *caller, const char *client_id);
bool routing_is_node(const Boson__Common__Caller *caller, const char *node_id);

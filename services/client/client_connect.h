/*
 * client_connect: a session from the first word to the last: asks for a route, blocks, builds the
 * tunnel, says "connected", keeps it alive, and puts everything back. Talks to the gateway by
 * http_client, to the relay by leg_client, to this machine by client_tunnel, to `status` and
 * `disconnect` by client_control, to the person by client_voice.
 */
#pragma once

#include "client/client_options.h"
#include "client/client_state.h"
#include "client/client_voice.h"

struct client_connect_options {
	const struct client_options *options; /* paths absolute */
	const char *access_key;
	const char *client_id;
	struct client_voice *voice;
};

/* Runs until disconnected, interrupted or failed. Returns the exit status. */
int client_connect_run(const struct client_connect_options *options);

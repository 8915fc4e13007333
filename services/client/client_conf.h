/*
 * client_conf: a session as the configuration file that stock WireGuard apps read (wg-quick(8)),
 * and its registration for use over UDP. Pure.
 */
#pragma once

#include "client/client_route.h"

#include <stdbool.h>

enum { CONF_TEXT_BYTES = 2048, CONF_ENDPOINT_BYTES = ROUTE_UDP_BYTES };

/* The body of POST /wireguard/register. *ret is malloc'd JSON. */
int client_conf_registration(const char *client_id, const struct key *public_key,
			     const char *session_id, char **ret);

/* The endpoint in the answer, checked: "host:port" or "[v6]:port". -EBADMSG: it is none. */
int client_conf_endpoint(const char *json, size_t n, char ret[CONF_ENDPOINT_BYTES]);

/* Text of an endpoint that may go into a file or a rule. */
bool client_conf_is_endpoint(const char *text);

/* The file. -ENOSPC. Holds the private key. */
int client_conf_write(const struct client_route *route, const struct key *private_key,
		      const char *endpoint, char ret[CONF_TEXT_BYTES]);

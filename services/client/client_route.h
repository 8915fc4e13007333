/*
 * client_route: the route request as JSON, and the answer checked field by field: nothing that a
 * server said goes on into rules, an interface or a URL before it was found to be what it must be.
 * Pure.
 */
#pragma once

#include "identity/key.h"
#include "leg/leg_url.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ROUTE_RELAYS_MAX = 8,
	ROUTE_DNS_MAX = 4,
	ROUTE_TICKET_BYTES = 600,
	ROUTE_TOKEN_BYTES = 1024,
	ROUTE_URL_BYTES = LEG_URL_HOST_BYTES + LEG_URL_PATH_BYTES + 16,
	ROUTE_MTU_DEFAULT = 1280,
	ROUTE_UDP_BYTES = 300,
};

struct client_route {
	char id[UUID_TEXT_BYTES + 32]; /* of the route; a path segment */
	char session_id[UUID_TEXT_BYTES];
	char session_token[ROUTE_TOKEN_BYTES]; /* REST; empty: none */
	char ticket[ROUTE_TICKET_BYTES];
	int64_t expires_at_ms; /* epoch */
	char relays[ROUTE_RELAYS_MAX][ROUTE_URL_BYTES];
	size_t relay_n;
	char node_id[UUID_TEXT_BYTES];
	struct key node_key;
	char address4[INET_ADDRSTRLEN]; /* empty: none; no prefix length */
	char address6[INET6_ADDRSTRLEN];
	char dns[ROUTE_DNS_MAX][INET6_ADDRSTRLEN];
	size_t dns_n;
	uint32_t mtu;
	uint32_t keepalive_sec;
	char udp_endpoint[ROUTE_UDP_BYTES]; /* "host:port"; empty: none */
};

struct client_route_wish {
	const char *client_id;
	const struct key *public_key;
	const char *node_id;	    /* NULL: any */
	const char *country;	    /* NULL: any */
	const char *session_id;	    /* NULL: a new one */
	const char *failed_node_id; /* the session's, which does not answer; NULL: it does */
};

/* *ret is malloc'd JSON. */
int client_route_request(const struct client_route_wish *wish, char **ret);

/* 0, or -EBADMSG and what is wrong with it. */
int client_route_parse(const char *json, size_t n, struct client_route *ret, char *ret_error,
		       size_t error_bytes);

/* The machine-readable code in an error answer, "" when there is none. */
void client_route_error_code(const char *json, size_t n, char *ret_code, size_t capacity);

/* Ticket and token are secrets. */
void client_route_wipe(struct client_route *route);

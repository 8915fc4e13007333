/* turn_servers: the configured servers, parsed once. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TURN_SERVERS_MAX = 16, TURN_URL_MAX_BYTES = 200, TURN_HOST_BYTES = 192 };

struct turn_server {
	const char *url; /* borrowed from the configuration */
	bool relays;	 /* turn: or turns:, not stun: */
	char host[TURN_HOST_BYTES];
	unsigned int port;
};

/* "stun:host[:port]", "turn:host[:port][?transport=udp|tcp]", "turns:..." (RFC 7064, 7065). 0 or
 * -EINVAL. */
int turn_server_parse(const char *url, struct turn_server *ret);

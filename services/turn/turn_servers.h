/*
 * turn_servers: the configured servers, and which of them to hand out: those that answered their
 * last probe, the nearest first, then those that cannot be probed (TLS). The model: no I/O, no
 * clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TURN_SERVERS_MAX = 16, TURN_URL_MAX_BYTES = 200, TURN_HOST_BYTES = 192 };

enum turn_health {
	TURN_UNTRIED, /* not yet, or cannot be */
	TURN_HEALTHY,
	TURN_FAILING,
};

struct turn_server {
	const char *url; /* borrowed from the configuration */
	bool relays;	 /* turn: or turns:, not stun: */
	bool is_probed;	 /* over UDP: not turns:, not ?transport=tcp */
	char host[TURN_HOST_BYTES];
	uint16_t port;

	enum turn_health health;
	uint32_t round_trip_us; /* smoothed */
	const char *reason;	/* why it is failing; static */
};

/* "stun:host[:port]", "turn:host[:port][?transport=udp|tcp]", "turns:..." (RFC 7064, 7065). 0 or
 * -EINVAL. */
int turn_server_parse(const char *url, struct turn_server *ret);

/* A probe ended. reason NULL: it was answered. True when the health is another one now. */
bool turn_server_note(struct turn_server *server, const char *reason, uint32_t round_trip_us);

/* Those to hand out, best first: places in servers. relays_only: turn: and turns: alone. Returns
 * how many. A server that cannot be probed shares the fate of a probed one at its host and port. */
size_t turn_servers_order(const struct turn_server *servers, size_t n, bool relays_only,
			  size_t ret_places[TURN_SERVERS_MAX]);

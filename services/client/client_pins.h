/*
 * client_pins: the few places that may be reached outside the tunnel: exactly (tcp, address, port)
 * of gateway and relays (or of the proxy before them), and (udp, address, port) of one relay. Names
 * are resolved once, before the rules that would keep a resolver from working, and stay what they
 * were. Pure.
 */
#pragma once

#include "leg/leg_url.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_PINS_MAX = 16 };

struct client_pin {
	char host[LEG_URL_HOST_BYTES]; /* as the URL has it; may be an address */
	uint16_t port;
	char address[INET6_ADDRSTRLEN]; /* empty: not resolved yet */
	bool is_v6;
	bool is_udp;
};

struct client_pins {
	struct client_pin pins[CLIENT_PINS_MAX];
	size_t n;
};

/* What has to be reachable for this URL: https://, or wss:// for a leg. Addresses are taken as they
 * are; a host that is known already keeps its address. -EINVAL, -ENOSPC. */
int client_pins_add_url(struct client_pins *pins, const char *url);

/* Likewise for "host:port" or "[v6]:port" by UDP. */
int client_pins_add_udp(struct client_pins *pins, const char *endpoint);

/* The place by UDP, or NULL. */
const struct client_pin *client_pins_udp(const struct client_pins *pins);

/* Takes over addresses of hosts that `known` has resolved. */
void client_pins_learn(struct client_pins *pins, const struct client_pins *known);

/* The first that has no address, or NULL. */
struct client_pin *client_pins_unresolved(struct client_pins *pins);

/* Sets the address of every pin of this host. -EINVAL: not an address. */
int client_pins_set(struct client_pins *pins, const char *host, const char *address);

/* What the name of the first pin without an address was found to stand for (shared/loop/lookup).
 * -EINVAL: nothing, or no address of IPv4 or IPv6. */
int client_pins_set_found(struct client_pins *pins, const struct sockaddr_storage *addresses,
			  size_t n);

/* Same places, in whatever order. */
bool client_pins_are_equal(const struct client_pins *a, const struct client_pins *b);

/*
 * client_routes: the policy rules and the table that send everything into the tunnel but what is
 * pinned. All carry our protocol number, so that those of a client that was killed are found again.
 *
 *	priority 18500	to <pinned address>, tcp or udp, <port>, our uid	-> main
 *	priority 18510	everything else				-> table 18503
 *	table 18503	default via the interface, else unreachable
 *
 * The unreachable routes stay when the interface goes, so that nothing falls through to main. An
 * address family that the tunnel does not carry has only those (T34). Needs CAP_NET_ADMIN.
 */
#pragma once

#include "client/client_pins.h"

#include <stdint.h>
#include <sys/types.h>

enum {
	CLIENT_ROUTE_PROTOCOL = 72,
	CLIENT_ROUTE_TABLE = 18503,
	CLIENT_PRIORITY_PINNED = 18500,
	CLIENT_PRIORITY_TUNNEL = 18510,
};

/* Rules and unreachable routes; replaces what there was of ours. */
int client_routes_block(const struct client_pins *pins, uid_t uid);

/* Only the rules for what is pinned: new ones before the old ones go. */
int client_routes_set_pins(const struct client_pins *pins, uid_t uid);

/* The default route of a family (AF_INET, AF_INET6) through the interface. */
int client_routes_open(int family, uint32_t interface_index);

/* Removes all that is ours. Returns how many things, or -errno. */
int client_routes_remove(void);

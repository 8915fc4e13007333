/*
 * client_tunnel: what a session changes on this machine, in the order in which it is safe: kill
 * switch, rules, interface, routes, name server; and all of it back in reverse. It also finds and
 * removes what a client that was killed left behind. Owns device and shim.
 */
#pragma once

#include "client/client_pins.h"
#include "client/client_route.h"
#include "client/client_shim.h"
#include "wg/device.h"

#include <stdbool.h>

struct client_tunnel_options {
	const char *interface, *folder, *resolv_conf;
	bool kill_switch, dns;
	const struct key *private_key;
	void (*on_restart)(bool alive, void *arg); /* the device's */
	void *arg;
};

struct client_tunnel;

int client_tunnel_new(struct loop *loop, struct metrics *metrics,
		      const struct client_tunnel_options *options, struct client_tunnel **ret);

/* Puts everything back, and frees. */
void client_tunnel_free(struct client_tunnel **tunnel);

/* Blocks all but what is pinned; later: exchanges what is pinned. On failure a line for people and
 * an exit code in ret_text, ret_status. */
int client_tunnel_block(struct client_tunnel *tunnel, const struct client_pins *pins,
			int *ret_status, char *ret_text, size_t capacity);

/* Makes the interface for this route, without a peer yet, and its routes; the shim carries to leg.
 * Again with the same addresses and node it does nothing, with others it makes a new interface.
 * ret_text may hold a warning when all went well. */
int client_tunnel_open(struct client_tunnel *tunnel, const struct client_route *route,
		       struct leg_client *leg, int *ret_status, char *ret_text, size_t capacity);

/* Sets the node as WireGuard's peer, which makes it shake hands: when the leg is up. */
int client_tunnel_set_peer(struct client_tunnel *tunnel, const struct client_route *route);

/* After the interface came back with another index. */
int client_tunnel_reopen_routes(struct client_tunnel *tunnel, const struct client_route *route);

struct client_shim *client_tunnel_shim(struct client_tunnel *tunnel);
struct device *client_tunnel_device(struct client_tunnel *tunnel); /* NULL: none */

/* What a killed client left in this network namespace and folder. Returns how many things went. */
int client_tunnel_remove_leftovers(const char *folder, const char *resolv_conf);

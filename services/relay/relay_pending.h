/*
 * relay_pending: how many connections of one address (IPv6: of one /64) are not admitted yet. Each
 * may hold a request and a TLS handshake's memory until its deadline, so an address gets only so
 * many at once. Shard thread only.
 */
#pragma once

#include "idtable/idtable.h"

#include <sys/socket.h>

enum { RELAY_ADDRESS_KEY_BYTES = 8 };

struct relay_pending {
	struct idtable addresses;
};

/* One address that has any. */
struct relay_pending_address {
	struct idtable_link by_key;
	uint8_t key[RELAY_ADDRESS_KEY_BYTES];
	struct relay_pending *pending;
	uint32_t count;
};

int relay_pending_init(struct relay_pending *pending);

/* All must have been put. */
void relay_pending_fini(struct relay_pending *pending);

/* What addresses that share a limit have in common. */
void relay_pending_key(const struct sockaddr *address, uint8_t ret[RELAY_ADDRESS_KEY_BYTES]);

/* One more of this address; NULL: it has `most` already, or out of memory. */
struct relay_pending_address *relay_pending_get(struct relay_pending *pending,
						const uint8_t key[RELAY_ADDRESS_KEY_BYTES],
						uint32_t most);

/* It was admitted, or has gone. Takes NULL. */
void relay_pending_put(struct relay_pending_address **address);

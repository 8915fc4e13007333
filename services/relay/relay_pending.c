/*
 * relay_pending: an exact count for each address that has one, and nothing for others.
 */
#include "relay/relay_pending.h"

#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
relay_pending_init(struct relay_pending *pending)
{
	return idtable_init(&pending->addresses, offsetof(struct relay_pending_address, by_key),
			    offsetof(struct relay_pending_address, key), RELAY_ADDRESS_KEY_BYTES);
}

void
relay_pending_fini(struct relay_pending *pending)
{
	assert(pending->addresses.count == 0);
	idtable_fini(&pending->addresses);
}

void
relay_pending_key(const struct sockaddr *address, uint8_t ret[RELAY_ADDRESS_KEY_BYTES])
{
	memset(ret, 0, RELAY_ADDRESS_KEY_BYTES);
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

		memcpy(ret,
		       in6->sin6_addr.s6_addr + (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 8 : 0),
		       RELAY_ADDRESS_KEY_BYTES);
	} else if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		memcpy(ret, &in->sin_addr, sizeof(in->sin_addr));
	}
}

struct relay_pending_address *
relay_pending_get(struct relay_pending *pending, const uint8_t key[RELAY_ADDRESS_KEY_BYTES],
		  uint32_t most)
{
	struct relay_pending_address *address = idtable_find(&pending->addresses, key);

	if (address != NULL && address->count >= most)
		return NULL;
	if (address == NULL) {
		address = calloc(1, sizeof(*address));
		if (address == NULL)
			return NULL;
		memcpy(address->key, key, RELAY_ADDRESS_KEY_BYTES);
		address->pending = pending;
		idtable_add(&pending->addresses, address);
	}
	address->count++;
	return address;
}

void
relay_pending_put(struct relay_pending_address **address)
{
	struct relay_pending_address *a = *address;

	*address = NULL;
	if (a == NULL || --a->count > 0)
		return;
	idtable_remove(&a->pending->addresses, a);
	free(a);
}

/*
 * relay_mesh_wire: sections, and where the socket is.
 */
#include "relay/relay_mesh_wire.h"

#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MESH_PORT_OFFSET = 2 }; /* the mailbox's, its events', ours */

uint32_t
relay_mesh_get32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

void
relay_mesh_put32(uint8_t *bytes, uint32_t number)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

int
relay_mesh_section_next(uint8_t **at, uint8_t *end, struct relay_mesh_section *ret)
{
	size_t left = (size_t)(end - *at);

	if (left == 0)
		return 0;
	if (left < RELAY_MESH_SECTION_BYTES)
		return -EBADMSG;
	size_t n = relay_mesh_get32(*at + UUID_BYTES);
	if (n == 0 || n > LEG_MESSAGE_MAX_BYTES || n > left - RELAY_MESH_SECTION_BYTES)
		return -EBADMSG;
	ret->node_id = *at;
	ret->message = *at + RELAY_MESH_SECTION_BYTES;
	ret->n = n;
	*at = ret->message + n;
	return 1;
}

void
relay_mesh_section_write(uint8_t to[RELAY_MESH_SECTION_BYTES], const uint8_t node_id[UUID_BYTES],
			 size_t n)
{
	memcpy(to, node_id, UUID_BYTES);
	relay_mesh_put32(to + UUID_BYTES, (uint32_t)n);
}

int
relay_mesh_endpoint(const char *bus_endpoint, char ret[RELAY_MESH_ENDPOINT_BYTES])
{
	const char *colon = strrchr(bus_endpoint, ':');
	int n;

	if (strncmp(bus_endpoint, "ipc://", strlen("ipc://")) == 0) {
		n = snprintf(ret, RELAY_MESH_ENDPOINT_BYTES, "%s-mesh", bus_endpoint);
		return n < RELAY_MESH_ENDPOINT_BYTES ? 0 : -EINVAL;
	}
	if (strncmp(bus_endpoint, "tcp://", strlen("tcp://")) != 0 || colon == NULL)
		return -EINVAL;
	uint16_t port;
	if (address_parse_port(colon + 1, strlen(colon + 1), &port) < 0 ||
	    port > UINT16_MAX - MESH_PORT_OFFSET)
		return -EINVAL;
	n = snprintf(ret, RELAY_MESH_ENDPOINT_BYTES, "%.*s:%u", (int)(colon - bus_endpoint),
		     bus_endpoint, (unsigned)port + MESH_PORT_OFFSET);
	return n < RELAY_MESH_ENDPOINT_BYTES ? 0 : -EINVAL;
}

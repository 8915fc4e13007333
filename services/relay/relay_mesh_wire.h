/*
 * relay_mesh_wire: what two relays say to each other (docs/protocol.md, "Mesh"). A ZeroMQ message
 * is a kind byte and
 *
 *	data	one or more sections { node id (16 bytes); u32 length, big-endian; a leg message }:
 *		the channels of that node's leg, as its home relay would exchange them with the
 *		node itself
 *	control	the same, of leg messages of kind control alone: what must not be dropped
 *	link	one boson.relay.Mesh: about the link itself
 *
 * Readers check before they hand out; nothing is copied. No I/O.
 */
#pragma once

#include "identity/key.h"
#include "leg/leg_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum relay_mesh_kind {
	RELAY_MESH_DATA = 1,
	RELAY_MESH_CONTROL = 2,
	RELAY_MESH_LINK = 3,
};

enum {
	RELAY_MESH_SECTION_BYTES = UUID_BYTES + 4, /* before the leg message */
	RELAY_MESH_MESSAGE_MAX_BYTES =
		1 + RELAY_MESH_SECTION_BYTES + LEG_MESSAGE_MAX_BYTES, /* kind byte included */
	RELAY_MESH_ENDPOINT_BYTES = 330,
};

struct relay_mesh_section {
	const uint8_t *node_id;
	uint8_t *message;
	size_t n;
};

/* The section at *at, which is moved past it. 1; 0: the end; -EBADMSG: cut short, or empty. */
int relay_mesh_section_next(uint8_t **at, uint8_t *end, struct relay_mesh_section *ret);

/* Writes what comes before the leg message. */
void relay_mesh_section_write(uint8_t to[RELAY_MESH_SECTION_BYTES],
			      const uint8_t node_id[UUID_BYTES], size_t n);

/* Big-endian numbers, as on legs. */
uint32_t relay_mesh_get32(const uint8_t *bytes);
void relay_mesh_put32(uint8_t *bytes, uint32_t number);

/* Where a relay's mesh socket is, from the endpoint of its mailbox: the third port from there, or
 * the name with "-mesh". -EINVAL: it has none (inproc, or a port that is not said). */
int relay_mesh_endpoint(const char *bus_endpoint, char ret[RELAY_MESH_ENDPOINT_BYTES]);

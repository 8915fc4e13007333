/*
 * relay_udp_shape: what can be said of a datagram by itself and by where it came from. Pure: no
 * state, no clock. Everything that fails here is met with silence, and counted by its reason.
 */
#pragma once

#include "wg/datagram.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_UDP_DATAGRAM_MAX_BYTES = 9216, /* a jumbo frame's; a stock client sends up to 1500 */
	RELAY_UDP_INDEX_BYTES = 4,
	RELAY_UDP_INITIATION_BYTES = 148,
};

/* Where a datagram came from and arrived; IPv4 in its mapped form. Hashed and compared as bytes. */
struct relay_udp_tuple {
	struct in6_addr remote, local;
	uint16_t port; /* the remote one, in network order */
	uint16_t zero; /* no padding */
};

enum relay_udp_fault {
	RELAY_UDP_SHORT, /* order of enum datagram_fault */
	RELAY_UDP_TYPE,
	RELAY_UDP_RESERVED,
	RELAY_UDP_LENGTH,
	RELAY_UDP_SIZE,
	RELAY_UDP_COUNTER,     /* of a transport message: WireGuard takes none so high */
	RELAY_UDP_SOURCE,      /* port 0, or no address to answer to */
	RELAY_UDP_MARTIAN,     /* a private source at a public address */
	RELAY_UDP_LOOP,	       /* from a relay */
	RELAY_UDP_DESTINATION, /* broadcast or multicast */
};

/* What was written to; is_broadcast: the kernel took it for another address than its local one. */
struct relay_udp_arrival {
	struct relay_udp_tuple tuple;
	bool is_broadcast;
};

/* Relays, as (address, port): what comes from there would go in circles. */
struct relay_udp_peer {
	struct in6_addr address;
	uint16_t port; /* network order */
};

enum { RELAY_UDP_PEERS_MAX = 256 };

struct relay_udp_peers {
	uint32_t n;
	struct relay_udp_peer peers[RELAY_UDP_PEERS_MAX];
};

/* Once for all that one source sent in a bundle. 0, or - fault - 1. */
int relay_udp_check_source(const struct relay_udp_arrival *arrival,
			   const struct relay_udp_peers *peers);

/* For each datagram. Its type (enum datagram_type), or - fault - 1. */
int relay_udp_check(const uint8_t *bytes, size_t n);

/* Fields of a WireGuard message, whose shape was checked. Indexes are compared, never computed
 * with, so their byte order is the machine's. */
uint32_t relay_udp_sender(const uint8_t *message);	       /* initiation and response */
uint32_t relay_udp_receiver(const uint8_t *message, int type); /* all but an initiation */

/*
 * relay_udp_peers: where relays' own UDP datagrams come from: each says it of itself when it
 * announces itself, and hears nothing from where the others are, or two of them could play ball
 * with a forged datagram. Control actor's thread only.
 */
#pragma once

#include "common.pb-c.h"
#include "relay/relay_udp_shape.h"

#include <stdbool.h>
#include <stddef.h>

struct relay_control;

enum {
	RELAY_UDP_SOURCES_MAX = 8,
	RELAY_UDP_SOURCE_TEXT_BYTES = 64, /* [address]:port */
};

/* Of one relay. */
struct relay_udp_sources {
	size_t n;
	struct relay_udp_peer peers[RELAY_UDP_SOURCES_MAX];
};

/* Ours: where the socket is bound; if that is everywhere, the machine's public addresses, and the
 * address that clients are told, when it is none of those. */
void relay_udp_sources_find(int fd, const char *udp_endpoint, struct relay_udp_sources *ret);

/* As an announcement has them. What cannot be read is left out. */
void relay_udp_sources_read(const Boson__Common__Relay *relay, struct relay_udp_sources *ret);
void relay_udp_source_format(const struct relay_udp_peer *peer,
			     char ret[RELAY_UDP_SOURCE_TEXT_BYTES]);

/* Tells the shards of all other relays that are known; again with relay_udp_peers_retry if some of
 * them could not be told. */
void relay_udp_peers_tell(struct relay_control *control);
void relay_udp_peers_retry(struct relay_control *control);

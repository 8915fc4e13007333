/*
 * udp_ends: what stands at both sides of the server that is measured: clients' UDP sockets on one,
 * and on the other a node's leg (relay) or a UDP socket for each client (TURN). Connected once;
 * then datagrams go in bursts and are counted where they arrive.
 */
#pragma once

#include "load_connect.h"
#include "load_flow.h"

enum { UDP_CLIENTS_MAX = 256, UDP_BURST_MAX = 16, UDP_HEADER_MAX_BYTES = 4 };

struct udp_client {
	int fd;
	uint32_t index;			    /* the node's, of its session */
	uint32_t channel;		    /* at the relay */
	uint8_t head[UDP_HEADER_MAX_BYTES]; /* of TURN's ChannelData */
};

struct udp_ends {
	struct udp_client clients[UDP_CLIENTS_MAX];
	unsigned count;
	bool is_turn, is_joined;    /* bursts leave as one send (UDP_SEGMENT) */
	size_t bytes;		    /* of a datagram */
	int node_fd;		    /* relay: the leg */
	int peers[UDP_CLIENTS_MAX]; /* TURN: the far ends */
	uint64_t received_up, received_down;
	uint8_t *read; /* of the leg: a frame that is not whole */
	size_t read_n;
	uint8_t *frames; /* for each client a masked frame of a burst, on its way down */
	size_t frame_n;
};

/* The public keys that stand for node (client 0) and clients: nobody computes with them. */
void udp_ends_key(unsigned client, uint8_t ret[32]);

/* relay_port: of the legs; udp_port: of the ingress, or TURN's. */
void udp_ends_connect(struct udp_ends *ends, const struct load_options *options, uint16_t udp_port);

/* Sends a burst of `n` from this client, or to it. Returns how many the system took. */
unsigned udp_ends_send_up(struct udp_ends *ends, unsigned client, unsigned n);
unsigned udp_ends_send_down(struct udp_ends *ends, unsigned client, unsigned n);

/* Takes what has arrived. */
void udp_ends_receive_up(struct udp_ends *ends);
void udp_ends_receive_down(struct udp_ends *ends);

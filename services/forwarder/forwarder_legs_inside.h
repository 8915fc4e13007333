/*
 * forwarder_legs_inside: the state of a node's legs, between forwarder_legs.c (packets, state,
 * life) and forwarder_legs_control.c (control messages).
 */
#pragma once

#include "forwarder/forwarder_legs.h"

#include "forwarder/channel_map.h"
#include "forwarder/tunnel_socket.h"
#include "leg/leg_frame.h"

enum {
	BATCHES_OPEN_MAX = 32, /* channels that WireGuard answered in one turn; beyond it: early */
	BATCH_BYTES = LEG_DATA_HEADER_NODE_BYTES + LEG_BATCH_SEND_BYTES + 2048,
	ERROR_BYTES = 160,
	CONTROL_MAX_BYTES = LEG_MESSAGE_MAX_BYTES,
};

struct leg_batch {
	uint64_t channel; /* 0: free */
	struct leg_writer writer;
	uint8_t bytes[BATCH_BYTES];
};

struct forwarder_legs {
	struct leg_client *client;
	uint32_t line; /* of the connection in use */
	struct channel_map *channels;
	struct tunnel_socket *tunnel;
	struct forwarder_legs_events events;
	struct leg_batch batches[BATCHES_OPEN_MAX];
	struct metric *drop_channel, *drop_frame, *drop_leg;
	char last_error[ERROR_BYTES];
	uint8_t control[CONTROL_MAX_BYTES];
};

/* A channel of the connection whose message is in hand. */
static inline uint64_t
forwarder_legs_channel_here(const struct forwarder_legs *legs, uint32_t number)
{
	return channel_map_key(leg_client_line(legs->client), number);
}

/* Over that connection. -ENOTCONN, -EMSGSIZE. */
int forwarder_legs_send_on(struct forwarder_legs *legs, uint32_t line,
			   const Boson__Link__Control *control);

void forwarder_legs_on_control(struct forwarder_legs *legs, const Boson__Link__Control *control);

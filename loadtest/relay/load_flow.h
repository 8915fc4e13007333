/*
 * load_flow: pairs of lines: frames go in at one and are counted at the other. The sender keeps so
 * many messages in flight and no more, so that what is offered is what is taken. Every frame's
 * header is checked where it arrives.
 */
#pragma once

#include "load_line.h"

enum {
	LOAD_DATAGRAM_BYTES = 1408, /* a WireGuard transport message of about the usual size */
	LOAD_BATCH_MAX = 16,
	LOAD_CHUNK_BYTES = 256 * 1024,
};

struct load_pair {
	struct load_line sender, receiver;
	size_t sent_at;		 /* within the chunk */
	uint64_t sent, received; /* messages */
	uint8_t header[10];	 /* of the frame that is arriving */
	size_t header_n, left;	 /* payload still to come */
	bool is_counted;	 /* that frame is a data message */
	bool is_blocked;
};

struct load_flow {
	struct load_pair *pairs;
	unsigned count;
	unsigned window; /* messages in flight, each pair */
	int epoll_fd;
	uint8_t *chunk; /* frames as they are sent */
	size_t chunk_n, frame_n;
	size_t message_out; /* payload of a data message where it arrives */
	uint64_t received;
};

/* batch: datagrams a message. grows_by: what the way adds to a message (the channel). */
void load_flow_init(struct load_flow *flow, unsigned pairs, unsigned batch, size_t grows_by,
		    unsigned window);

/* All lines are connected: from now on they do not block. */
void load_flow_start(struct load_flow *flow);

/* Moves messages for so long; returns the seconds it took. */
double load_flow_run(struct load_flow *flow, double seconds);

/* Sends nothing more and takes what is still under way; the number of messages that never came. */
uint64_t load_flow_settle(struct load_flow *flow);

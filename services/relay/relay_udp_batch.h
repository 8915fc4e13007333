/*
 * relay_udp_batch: datagrams of one flow, as they lie in the read, on their way into one message to
 * its node. One of each shard, and of its thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct relay_shard;
struct relay_udp_flow;

enum { RELAY_UDP_BATCH_MAX = 16, RELAY_UDP_BATCH_BYTES = 24 * 1024 };

struct relay_udp_batch {
	struct relay_udp_flow *flow; /* NULL: none */
	unsigned n;
	size_t bytes;
	uint32_t types[4]; /* by datagram type - 1 */
	struct iovec datagrams[RELAY_UDP_BATCH_MAX];
};

/* The datagram is good: it goes with others of its flow, and what is there of another goes first.
 * It must stay where it lies until the batch is flushed. */
void relay_udp_batch_add(struct relay_shard *shard, struct relay_udp_flow *flow, int type,
			 const uint8_t *datagram, size_t n);

/* The batch goes to its node's leg. */
void relay_udp_batch_flush(struct relay_shard *shard);

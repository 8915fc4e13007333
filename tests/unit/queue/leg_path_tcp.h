/*
 * leg_path_tcp: a TCP as far as its start goes, below a leg of leg_path: slow start that ends when
 * packets begin to wait on the way (HyStart: RFC 9406), then a packet more each round trip; a
 * socket whose memory grows with the congestion window, as Linux's does. It loses nothing.
 */
#pragma once

#include "queue/leg_way.h"

#include <stdint.h>

struct leg_path_tcp {
	double cwnd, ssthresh; /* bytes */
	int64_t least_us, rtt_us;
	uint64_t unsent, unacked;
};

void leg_path_tcp_init(struct leg_path_tcp *tcp, int64_t rtt_us);

/* Would n bytes more not fit into its socket? */
bool leg_path_tcp_is_full(const struct leg_path_tcp *tcp, uint32_t n);

/* May n bytes that are unsent go? Then they have. */
bool leg_path_tcp_send(struct leg_path_tcp *tcp, uint32_t n);

/* n bytes were acknowledged, such a time after they went. */
void leg_path_tcp_acked(struct leg_path_tcp *tcp, uint32_t n, int64_t rtt_us);

/* What the kernel would say of it. */
struct leg_way leg_path_tcp_way(const struct leg_path_tcp *tcp);

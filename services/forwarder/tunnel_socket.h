/*
 * tunnel_socket: the one UDP socket between the legs and WireGuard. Bound to 0.0.0.0 and to the
 * device lo, so that nothing from outside reaches it; a datagram of a channel leaves it from that
 * channel's loopback address, and what WireGuard answers to that address is the channel's. Only
 * WireGuard's own port is heard, and only datagrams of a WireGuard shape pass, either way.
 *
 * Reads and writes go by the batch: recvmmsg with GRO, sendmmsg with GSO. Loop thread.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct tunnel_socket;

struct tunnel_socket_events {
	/* A datagram from WireGuard to a channel's address; borrowed until it returns. */
	void (*on_datagram)(struct in_addr to, const uint8_t *datagram, size_t n, void *arg);
	/* No more of them in this turn. */
	void (*on_batch_end)(void *arg);
	void *arg;
};

/* wireguard_port: where WireGuard listens on the loopback. */
int tunnel_socket_new(struct loop *loop, struct metrics *metrics, uint16_t wireguard_port,
		      const struct tunnel_socket_events *events, struct tunnel_socket **ret);
void tunnel_socket_free(struct tunnel_socket **socket);

/* Hands datagrams of one channel to WireGuard, in order. What does not fit is dropped and counted,
 * as the network would. */
void tunnel_socket_send(struct tunnel_socket *socket, struct in_addr from,
			const struct iovec *datagrams, size_t n);

/* Where WireGuard's answers come in. */
uint16_t tunnel_socket_port(const struct tunnel_socket *socket);

/* Datagrams dropped here, either way. */
uint64_t tunnel_socket_drops(const struct tunnel_socket *socket);

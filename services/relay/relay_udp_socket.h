/*
 * relay_udp_socket: a UDP socket for many strangers: reads bundles as the kernel joined them
 * (recvmmsg, UDP_GRO), sends runs of equal datagrams as one (UDP_SEGMENT). What arrived at an
 * address is answered from there. No state.
 */
#pragma once

#include "relay/relay_udp_shape.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct udp_bundle_reads;

/* Bound to host and *port (0: any, and then set). is_shared: further sockets will be bound to it.
 */
int relay_udp_socket_open(const char *host, bool is_shared, uint16_t *port, int *ret_fd);

/* What one source sent: n bytes, datagrams of `segment` bytes each, the last perhaps shorter.
 * Borrowed. */
typedef void (*relay_udp_bundle_fn)(const struct relay_udp_arrival *arrival, const uint8_t *bytes,
				    size_t n, size_t segment, void *arg);

/* One recvmmsg. Returns whether there may be more; 0 or -errno otherwise. */
int relay_udp_socket_read(int fd, struct udp_bundle_reads *reads, relay_udp_bundle_fn fn,
			  void *arg);

/* Sends datagrams in order from the tuple's local address to its remote one. Returns how many the
 * system took. */
size_t relay_udp_socket_send(int fd, const struct relay_udp_tuple *tuple,
			     const struct iovec *datagrams, size_t n);

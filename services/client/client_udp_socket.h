/*
 * client_udp_socket: the socket to a relay's UDP ingress. Not connected, so that each datagram
 * leaves from whatever address the way to the relay has then: a machine that moves goes on. What
 * comes from anywhere but the relay's address and port, or has no shape of WireGuard's, is not
 * heard. When it is used is client_udp's. Loop thread.
 */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_udp_socket;

/* From the relay: datagrams of `segment` bytes, the last perhaps shorter. Borrowed. */
typedef void (*client_udp_socket_fn)(const uint8_t *bytes, size_t n, size_t segment, void *arg);

/* Closed as yet. */
int client_udp_socket_new(struct loop *loop, client_udp_socket_fn fn, void *arg,
			  struct client_udp_socket **ret);
void client_udp_socket_free(struct client_udp_socket **socket);

/* Where the relay is: open from now on. Another relay of the same address family hears us from the
 * port that the last one heard. 1; 0: it is there already; -EINVAL, no address, and -errno: closed.
 */
int client_udp_socket_aim(struct client_udp_socket *socket, const char *address, uint16_t port);

/* What comes next leaves from another port. */
void client_udp_socket_close(struct client_udp_socket *socket);

/* Shapes as above. How many datagrams went. */
size_t client_udp_socket_send(struct client_udp_socket *socket, const uint8_t *bytes, size_t n,
			      size_t segment);

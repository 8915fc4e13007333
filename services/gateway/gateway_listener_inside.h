/*
 * gateway_listener_inside: what gateway_listener.c and gateway_connection.c share. For them alone.
 */
#pragma once

#include "gateway/gateway_gate.h"
#include "gateway/gateway_listener.h"

#include <sys/socket.h>

struct gateway_listener {
	struct loop *loop;
	struct gateway_listener_options options;
	int fd;
	uint16_t port;
	struct loop_fd *watch;
	bool is_paused; /* full, or out of descriptors */
	struct loop_timer *reaper;
	struct gateway_connection *connections;
	size_t connections_n;
	loop_fn drained;
	void *drained_arg;
	struct metric *accepted, *refused_address, *late, *open;
	char peeked[GATE_HEAD_MAX_BYTES + 1];
};

/* Calls who asked to be told, once nobody is left. */
void gateway_listener_tell_if_drained(struct gateway_listener *listener);

/* Mapped to IPv6; the port in network order. */
void gateway_listener_address(const struct sockaddr_storage *from, struct in6_addr *ret,
			      uint16_t *ret_port);

/* A connection that was accepted. NULL: out of memory, and fd stays the caller's. */
struct gateway_connection *gateway_connection_new(struct gateway_listener *listener, int fd,
						  const struct sockaddr_storage *from);

/* Starts with it: peeks, or hands it on at once. */
void gateway_connection_start(struct gateway_connection *connection);

/* Its deadline has passed. Frees it, if it is ours. */
void gateway_connection_expire(struct gateway_connection *connection);

/* Only while it is ours. Frees it. */
void gateway_connection_close(struct gateway_connection *connection);

/*
 * gateway_listener: accepts connections, reads (peeks at) the first request head where it is not
 * encrypted and refuses what the gate refuses, hands the rest to libmicrohttpd, and ends whatever
 * is over its deadline: libmicrohttpd's own time limit starts anew with each byte, ours do not.
 * Knows nothing of HTTP beyond the gate. On the gateway's loop.
 *
 * A connection that was peeked at serves one request: its later ones could not be peeked at.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway_limits;
struct gateway_listener;

/* What a connection is waited for; each has a deadline from its start. */
enum gateway_phase {
	PHASE_PEEK,   /* ours: the first head */
	PHASE_LINGER, /* ours: refused, until the peer has read why */
	PHASE_HEAD,   /* libmicrohttpd's from here on */
	PHASE_BODY,
	PHASE_ANSWER,
};

struct gateway_connection {
	struct gateway_listener *listener;
	struct gateway_connection *previous, *next;
	struct loop_fd *watch; /* while it is ours */
	int fd;
	struct in6_addr address;
	uint16_t port; /* of the peer, network order */
	enum gateway_phase phase;
	int64_t deadline_ms;
	bool is_doomed; /* shut down; waits for libmicrohttpd to let go */
};

struct gateway_listener_options {
	const char *host;
	uint16_t port;
	bool peeks; /* false: the bytes are TLS */
	uint64_t body_max_bytes;
	uint32_t connections_max, connections_per_address;
	uint32_t head_ms, body_ms, answer_ms;
	const struct gateway_limits *limits; /* whose proxies have no limit per address */
	struct metrics *metrics;
	/* Takes over the descriptor; it closes it in any case, and calls
	 * gateway_connection_closed when it does. */
	void (*take)(struct gateway_connection *connection, void *arg);
	void *arg;
};

/* 0 or -errno of socket, bind or listen. host: an address, not a name: -EINVAL. */
int gateway_listener_open(struct loop *loop, const struct gateway_listener_options *options,
			  struct gateway_listener **ret);

/* Closes what is ours. What was taken over must be gone before. */
void gateway_listener_close(struct gateway_listener **listener);

uint16_t gateway_listener_port(const struct gateway_listener *listener);

/* No further connections; those that are between requests end now, the others in their time. fn is
 * called once, when none is left; perhaps before this returns. */
void gateway_listener_drain(struct gateway_listener *listener, loop_fn fn, void *arg);

/* Starts a phase, and with it its deadline. */
void gateway_connection_enter(struct gateway_connection *connection, enum gateway_phase phase);

/* Whoever took it over has closed it. Frees it. */
void gateway_connection_closed(struct gateway_connection *connection);

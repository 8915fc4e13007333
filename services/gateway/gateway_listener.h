/*
 * gateway_listener: accepts connections, counts them by address, and ends whatever is over its
 * deadline: libmicrohttpd's own time limit starts anew with each byte, ours do not (T09). What
 * arrives goes through gateway_connection. On the gateway's loop.
 */
#pragma once

#include "gateway/gateway_connection.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include <openssl/types.h>
#include <stdint.h>

struct gateway_limits;
struct gateway_listener;
struct gateway_traces;

struct gateway_listener_options {
	const char *host;
	uint16_t port;
	uint64_t body_max_bytes;
	uint32_t connections_max, connections_per_address;
	uint32_t head_ms, body_ms, answer_ms;
	const struct gateway_limits *limits; /* whose proxies have no limit per address */
	struct gateway_traces *traces;
	struct metrics *metrics;
	/* The first head on a connection is good: serve what comes through this socket. It is taken
	 * over, also when false says that it cannot be served; if it can,
	 * gateway_connection_released is called at its end. */
	bool (*serve)(struct gateway_connection *connection, int socket, void *arg);
	/* Bytes have gone into such a socket. */
	void (*fed)(void *arg);
	void *arg;
};

/* 0 or -errno of socket, bind or listen. host: an address, not a name: -EINVAL. */
int gateway_listener_open(struct loop *loop, const struct gateway_listener_options *options,
			  struct gateway_listener **ret);

/* Closes all connections. Those served must have been released before. */
void gateway_listener_close(struct gateway_listener **listener);

/* What connections accepted from now on speak. NULL: plain TCP. Taken over. */
void gateway_listener_set_tls(struct gateway_listener *listener, SSL_CTX **context);

uint16_t gateway_listener_port(const struct gateway_listener *listener);

/* No further connections; those that are between requests end now, the others in their time. fn is
 * called once, when none is left; perhaps before this returns. */
void gateway_listener_drain(struct gateway_listener *listener, loop_fn fn, void *arg);

/*
 * gateway_http: HTTP/1.1 by libmicrohttpd (external epoll, on our loop): heads and bodies become
 * gateway_requests, gateway_answers become responses. A connection whose request waits for the bus
 * is suspended. It hears the peers through gateway_connection alone, which owns sockets and TLS.
 * Only this, gateway_exchange and gateway_response know libmicrohttpd.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/gateway_tls.h"

struct gateway_http;

struct gateway_http_options {
	const char *host;
	uint16_t port;
	const struct gateway_tls *tls; /* NULL: plain TCP */
	uint32_t connections_max, connections_per_address;
	uint32_t head_ms, body_ms, answer_ms;
};

/* 0 or -errno; -EPROTO: libmicrohttpd did not start, or the certificate cannot be used. */
int gateway_http_open(struct gateway *gateway, const struct gateway_http_options *options,
		      struct gateway_http **ret);

/* No request may wait for the bus any more: free the peers first. */
void gateway_http_close(struct gateway_http **http);

uint16_t gateway_http_port(const struct gateway_http *http);

/* Connections from now on get this certificate. 0, or -errno, and nothing has changed. Not for a
 * gateway that was opened without TLS: -EINVAL. */
int gateway_http_set_tls(struct gateway_http *http, const struct gateway_tls *tls);

/* Takes no more connections; fn once the last is gone. */
void gateway_http_drain(struct gateway_http *http, loop_fn fn, void *arg);

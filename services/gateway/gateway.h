/*
 * gateway: what the files of this service share. One actor: it hears HTTP, asks discovery, routing,
 * metrics and turn over the bus, and answers. A request's way:
 *
 *	gateway_listener -> gateway_connection -> gateway_http -> gateway_request -> gateway_call
 *		-> bus -> the service
 *	                    gateway_connection <- gateway_http <- gateway_answer <- gateway_call
 *
 * Holds no truth of its own but the token secret and the access keys. Everything here is on the
 * actor's thread.
 */
#pragma once

#include "bus/bus.h"
#include "gateway/gateway_access.h"
#include "gateway/gateway_access_mailbox.h"
#include "gateway/gateway_access_watch.h"
#include "gateway/gateway_answer.h"
#include "gateway/gateway_endpoints.h"
#include "gateway/gateway_limits.h"
#include "gateway/gateway_trace.h"
#include "metrics/metrics.h"
#include "service/service.h"

struct gateway_events;
struct gateway_http;
struct gateway_health;
struct gateway_parts;
struct gateway_tls_watch;

enum { GATEWAY_STATUS_CLASSES = 6 }; /* by the hundred; 0: no answer */

struct gateway_figures {
	/* The last row is of requests that no endpoint was found for. */
	struct metric *requests[GATEWAY_ENDPOINTS_MAX + 1][GATEWAY_STATUS_CLASSES];
	struct metric *seconds[GATEWAY_ENDPOINTS_MAX + 1];
	struct metric *limited[RATE_CLASSES];
};

struct gateway {
	const struct actor_context *context;
	struct gateway_access *access;
	struct access_mailbox mailbox;
	struct access_watch *watch;
	struct gateway_limits limits;
	struct gateway_networks scrapers; /* who may read GET /metrics without a key */
	struct bus_peer *peers[PEER_COUNT];
	struct gateway_health *health;
	struct gateway_parts *parts;
	struct gateway_events *events;
	struct gateway_http *http;
	struct gateway_tls_watch *tls_watch; /* NULL: no TLS */
	struct gateway_figures figures;
	struct gateway_traces traces;
	char *openapi;
	const char *const *cors_origins; /* the config's */
	int64_t node_token_ms, client_token_ms;
};

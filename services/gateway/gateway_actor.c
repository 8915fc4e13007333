/*
 * gateway_actor: the gateway's start and its end.
 *
 * Talks to: discovery, routing, metrics, turn (requests), relay (is it there).
 * Hears: HTTP; the operator (CreateKey, ListKeys, RevokeKey); TokensRevoked.
 */
#include "gateway/gateway_actor.h"

#include "gateway/gateway.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_events.h"
#include "gateway/gateway_health.h"
#include "gateway/gateway_http.h"
#include "gateway/gateway_openapi.h"
#include "gateway/gateway_parts.h"
#include "gateway/gateway_tls_watch.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { CACHE_ENTRIES_MAX = 65536 };

static uint32_t
config_u32(const struct config *config, const char *name)
{
	return (uint32_t)config_int(config, "gateway", name);
}

static int
open_access(struct gateway *gateway)
{
	const struct actor_context *context = gateway->context;
	return gateway_access_open(
		&(struct gateway_access_options){
			.state_dir = context->state_dir,
			.token_secret = config_string(context->config, "gateway", "token_secret"),
			.store = config_string(context->config, "gateway", "store"),
			.loop = context->loop },
		&gateway->access);
}

static int
open_limits(struct gateway *gateway)
{
	const struct config *config = gateway->context->config;
	struct gateway_limits *limits = &gateway->limits;
	uint32_t general = config_u32(config, "rate_general");
	uint32_t enrolment = config_u32(config, "rate_enrolment");
	for (enum gateway_rate i = 0; i < RATE_CLASSES; i++)
		limits->per_address[i] = limits->per_subject[i] = general;
	limits->per_address[RATE_CHALLENGE] = limits->per_address[RATE_ENROLMENT] = enrolment;
	limits->per_subject[RATE_HEARTBEAT] = config_u32(config, "rate_heartbeat");
	limits->per_subject[RATE_ADMIN] = config_u32(config, "rate_admin");
	int r = gateway_networks_add(&limits->proxies,
				     config_list(config, "gateway", "trusted_proxies"));
	if (r == 0)
		r = gateway_networks_add(&gateway->scrapers,
					 config_list(config, "gateway", "scrape_addresses"));
	if (r == 0)
		r = cache_open("memory:", CACHE_ENTRIES_MAX, &limits->cache);
	const char *shared = config_string(config, "gateway", "cache");
	if (r == 0 && *shared != '\0')
		r = limits_shared_new(gateway->context->loop, limits->cache, shared,
				      &limits->shared);
	return r;
}

static void
open_figures(struct gateway *gateway)
{
	struct metrics *metrics = gateway->context->metrics;
	char label[192];
	for (size_t i = 0; i <= GATEWAY_ENDPOINTS_MAX; i++) {
		if (i >= gateway_endpoints_n && i < GATEWAY_ENDPOINTS_MAX)
			continue;
		bool other = i == GATEWAY_ENDPOINTS_MAX;
		const char *method = other ? "any" : gateway_endpoints[i].method;
		const char *path = other ? "other" : gateway_endpoints[i].path;
		for (int class = 0; class < GATEWAY_STATUS_CLASSES; class ++) {
			char status[8] = "none";
			if (class > 0)
				snprintf(status, sizeof(status), "%dxx", class);
			snprintf(label, sizeof(label),
				 "method=\"%s\",endpoint=\"%s\",status=\"%s\"", method, path,
				 status);
			gateway->figures.requests[i][class] = metrics_counter(
				metrics, "requests_total", label, "REST requests answered");
		}
		snprintf(label, sizeof(label), "method=\"%s\",endpoint=\"%s\"", method, path);
		gateway->figures.seconds[i] =
			metrics_histogram(metrics, "request_seconds", label,
					  "From a request's first line to the end of its answer");
	}
	for (enum gateway_rate i = 0; i < RATE_CLASSES; i++) {
		snprintf(label, sizeof(label), "class=\"%s\"", gateway_rate_name(i));
		gateway->figures.limited[i] = metrics_counter(metrics, "limited_total", label,
							      "Requests refused with 429");
	}
}

static int
open_peers(struct gateway *gateway)
{
	const struct actor_context *context = gateway->context;
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++) {
		const char *name = gateway_peer_name(i);
		int r = bus_peer_new(context->bus, actor_endpoint(context, name),
				     actor_server_key(context, name), gateway_peer_descriptor(i),
				     &gateway->peers[i]);
		if (r < 0)
			return r;
	}
	int r = gateway_events_new(context, gateway->peers[PEER_DISCOVERY], &gateway->events);
	if (r < 0)
		return r;
	r = gateway_health_new(context->loop, gateway->peers, context->metrics, &gateway->health);
	if (r < 0)
		return r;
	return gateway_parts_new(context->loop, gateway_access_store(gateway->access),
				 gateway->limits.shared, gateway->health, &gateway->parts);
}

/* 0 or an exit code. */
static int
load_tls(const char *certificate, const char *private_key, struct gateway_tls *ret)
{
	char error[256];
	int exit_code = gateway_tls_load(certificate, private_key, ret, error, sizeof(error));
	if (exit_code != 0)
		log_error("certificate_unusable", "reason=%s", error);
	return exit_code;
}

static int
open_http(struct gateway *gateway)
{
	const struct config *config = gateway->context->config;
	struct gateway_tls tls = { 0 };
	char host[256];
	const char *certificate = config_string(config, "gateway", "certificate");
	const char *private_key = config_string(config, "gateway", "private_key");
	struct gateway_http_options options = {
		.host = host,
		.tls = *certificate != '\0' ? &tls : NULL,
		.connections_max = config_u32(config, "max_connections"),
		.connections_per_address = config_u32(config, "max_connections_per_address"),
		.head_ms = config_u32(config, "head_deadline"),
		.body_ms = config_u32(config, "request_deadline"),
		.answer_ms = config_u32(config, "answer_deadline"),
	};
	config_address(config, "gateway", "listen", host, sizeof(host), &options.port);
	int r = options.tls != NULL ? load_tls(certificate, private_key, &tls) : 0;
	if (r != 0)
		return r;
	r = gateway_http_open(gateway, &options, &gateway->http);
	gateway_tls_fini(&tls);
	if (r < 0) {
		log_error("listen_failed", "address=%s port=%u error=%s", host, options.port,
			  r == -EINVAL	 ? "not an address"
			  : r == -EPROTO ? "the certificate cannot be used"
					 : strerror(-r));
		return EX_OSERR;
	}
	if (options.tls != NULL)
		r = gateway_tls_watch_new(gateway, certificate, private_key, &gateway->tls_watch);
	if (r < 0)
		return r;
	log_info("gateway_listening", "address=%s port=%u tls=%s", host,
		 gateway_http_port(gateway->http), options.tls != NULL ? "yes" : "no");
	return 0;
}

static void
gateway_actor_stop(void *state)
{
	struct gateway *gateway = state;
	/* The side threads and the peers first: what waits for them is answered, or its exchange
	 * would be freed under the call. */
	if (gateway->access != NULL)
		gateway_access_stop(gateway->access);
	limits_shared_free(&gateway->limits.shared);
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++)
		bus_peer_free(&gateway->peers[i]);
	access_watch_free(&gateway->watch);
	gateway_events_free(&gateway->events);
	gateway_tls_watch_free(&gateway->tls_watch);
	gateway_http_close(&gateway->http);
	gateway_parts_free(&gateway->parts);
	gateway_health_free(&gateway->health);
	cache_close(&gateway->limits.cache);
	gateway_access_close(&gateway->access);
	free(gateway->openapi);
	free(gateway);
}

static int
gateway_actor_start(const struct actor_context *context, void **ret_state)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	if (gateway == NULL)
		return -ENOMEM;
	gateway->context = context;
	gateway->cors_origins = config_list(context->config, "gateway", "cors_origins");
	gateway->node_token_ms = config_int(context->config, "gateway", "node_token_lifetime");
	gateway->client_token_ms = config_int(context->config, "gateway", "client_token_lifetime");
	open_figures(gateway);
	int r = open_access(gateway);
	if (r == 0)
		r = open_limits(gateway);
	if (r == 0)
		r = gateway_openapi_make(&gateway->openapi);
	if (r == 0)
		r = open_peers(gateway);
	if (r == 0)
		r = access_watch_new(context, gateway->peers[PEER_DISCOVERY], gateway->access,
				     &gateway->watch);
	if (r == 0)
		r = access_mailbox_open(&gateway->mailbox, context, gateway->access);
	if (r == 0)
		r = open_http(gateway);
	if (r != 0) {
		if (r < 0)
			log_error("gateway_start_failed", "error=%s", strerror(-r));
		gateway_actor_stop(gateway);
		return r;
	}
	*ret_state = gateway;
	return 0;
}

static bool
gateway_actor_is_ready(const void *state, const char **ret_reason)
{
	const struct gateway *gateway = state;
	return gateway_health_is_ready(gateway->health, ret_reason);
}

static void
on_drained(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway *gateway = arg;
	actor_finished(gateway->context);
}

static void
gateway_actor_drain(void *state)
{
	struct gateway *gateway = state;
	gateway_health_drain(gateway->health);
	gateway_events_drain(gateway->events);
	gateway_http_drain(gateway->http, on_drained, gateway);
}

const struct actor gateway_actor = {
	.name = "gateway",
	.product = "boson",
	.keys = gateway_config_keys,
	.start = gateway_actor_start,
	.is_ready = gateway_actor_is_ready,
	.drain = gateway_actor_drain,
	.stop = gateway_actor_stop,
	.check = gateway_config_check,
};

/*
 * gateway_config: the gateway's section of the configuration; see the header.
 */
#include "gateway/gateway_config.h"

#include "cache/cache.h"
#include "gateway/gateway_tls.h"
#include "net/address.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdio.h>

const struct config_key gateway_config_keys[] = {
	{ "gateway", "listen", CONFIG_ADDRESS, "127.0.0.1:8080", 0, 0, NULL,
	  "Address and port of the REST API; port 0 lets the system choose" },
	{ "gateway", "certificate", CONFIG_PATH, "", 0, 0, NULL,
	  "PEM file with the certificate and its chain; empty: plain HTTP" },
	{ "gateway", "private_key", CONFIG_PATH, "", 0, 0, NULL, "PEM file with its private key" },
	{ "gateway", "behind_proxy", CONFIG_BOOL, "no", 0, 0, NULL,
	  "A proxy in front speaks TLS: allow plain HTTP beyond loopback" },
	{ "gateway", "trusted_proxies", CONFIG_CIDRS, "", 1, 128, NULL,
	  "Networks whose X-Forwarded-For counts" },
	{ "gateway", "scrape_addresses", CONFIG_CIDRS, "", 1, 128, NULL,
	  "Networks that may read GET /metrics without a scraper's key" },
	{ "gateway", "cors_origins", CONFIG_LIST, "", 0, 0, NULL,
	  "Origins whose scripts may read answers, e.g. https://dashboard.example" },
	{ "gateway", "rate_general", CONFIG_INT, "600", 1, 1000000, NULL,
	  "Requests a minute of one address, and of one token" },
	{ "gateway", "rate_enrolment", CONFIG_INT, "10", 1, 1000000, NULL,
	  "Registrations, and challenges, a minute of one address" },
	{ "gateway", "rate_heartbeat", CONFIG_INT, "20", 1, 1000000, NULL,
	  "Heartbeats and metrics a minute of one node" },
	{ "gateway", "rate_admin", CONFIG_INT, "600", 1, 1000000, NULL,
	  "Requests a minute of one admin token" },
	{ "gateway", "cache", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of a cache that replicas share for these, redis:...; empty: each counts alone" },
	{ "gateway", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the access keys' table, the same for all gateways; empty: sqlite in the state "
	  "folder" },
	{ "gateway", "token_secret", CONFIG_PATH, "", 0, 0, NULL,
	  "file with the secret of session tokens and, below it, the one before; the same for all "
	  "gateways; empty: token.secret in the state folder, made at first start" },
	{ "gateway", "max_connections", CONFIG_INT, "1024", 16, 65536, NULL,
	  "Open connections; further ones wait to be accepted" },
	{ "gateway", "max_connections_per_address", CONFIG_INT, "64", 1, 65536, NULL,
	  "Open connections of one address, trusted proxies excepted" },
	{ "gateway", "head_deadline", CONFIG_DURATION, "10s", 100, 60000, NULL,
	  "From accept, or the last answer, to the end of a request's headers" },
	{ "gateway", "request_deadline", CONFIG_DURATION, "15s", 100, 60000, NULL,
	  "From there to the end of its body and to the answer" },
	{ "gateway", "answer_deadline", CONFIG_DURATION, "20s", 100, 60000, NULL,
	  "From there until the peer has taken the answer" },
	{ "gateway", "node_token_lifetime", CONFIG_DURATION, "1h", 60000, 86400000, NULL,
	  "Of session tokens of nodes; heartbeats renew them" },
	{ "gateway", "client_token_lifetime", CONFIG_DURATION, "24h", 60000, 86400000, NULL,
	  "Of session tokens of clients" },
	{ 0 },
};

static bool
host_is_loopback(const char *host)
{
	struct in6_addr address;
	return address_parse(host, &address) == 0 && address_classify(&address) == ADDRESS_LOOPBACK;
}

static bool
is_set(const struct config *config, const char *name)
{
	return *config_string(config, "gateway", name) != '\0';
}

/* Tokens in the clear are for loopback, or behind a proxy that speaks TLS. */
static bool
is_exposed(const struct config *config)
{
	char host[256];
	uint16_t port;
	config_address(config, "gateway", "listen", host, sizeof(host), &port);
	return !host_is_loopback(host) && !config_bool(config, "gateway", "behind_proxy");
}

int
gateway_config_check(const struct config *config, char *ret_error, size_t error_bytes)
{
	struct gateway_tls tls;
	if (is_set(config, "store") &&
	    store_check(config_string(config, "gateway", "store"), ret_error, error_bytes) < 0)
		return CONFIG_EXIT_CONFIG;
	if (is_set(config, "cache") &&
	    cache_check(config_string(config, "gateway", "cache"), ret_error, error_bytes) < 0)
		return CONFIG_EXIT_CONFIG;
	if (is_set(config, "certificate") != is_set(config, "private_key")) {
		snprintf(ret_error, error_bytes,
			 "[gateway] certificate and private_key go together");
		return CONFIG_EXIT_CONFIG;
	}
	if (!is_set(config, "certificate")) {
		if (!is_exposed(config))
			return 0;
		snprintf(ret_error, error_bytes,
			 "[gateway] listens beyond loopback without a certificate; set "
			 "behind_proxy = yes if a proxy in front speaks TLS");
		return CONFIG_EXIT_CONFIG;
	}
	int r = gateway_tls_load(config_string(config, "gateway", "certificate"),
				 config_string(config, "gateway", "private_key"), &tls, ret_error,
				 error_bytes);
	if (r == 0)
		gateway_tls_fini(&tls);
	return r;
}

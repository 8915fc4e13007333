/*
 * discovery_check: is what a request says well formed? Every field that a stranger fills in, by
 * type, length and range. Says which field is wrong, never echoes it. No I/O, no state.
 */
#pragma once

#include "discovery.pb-c.h"
#include "service/fields.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	CHECK_REGION_MAX_BYTES = 64,
	CHECK_HEARTBEAT_MIN_SEC = 10,
	CHECK_HEARTBEAT_MAX_SEC = 300,
	CHECK_CONNECTIONS_MAX = 65535,
	CHECK_BANDWIDTH_MAX_MBITS = 1000 * 1000,
	CHECK_LATENCY_MAX_MS = 60 * 1000,
	CHECK_NAME_MAX_BYTES = 64,
	CHECK_ENDPOINT_MAX_BYTES = 128,
	CHECK_HOST_BYTES = 256,
};

/* Each: 0, or -EINVAL and *ret_problem. */
int discovery_check_challenge(const Boson__Discovery__ChallengeRequest *request,
			      struct field_problem *ret_problem);
int discovery_check_register(const Boson__Discovery__RegisterRequest *request,
			     struct field_problem *ret_problem);
int discovery_check_heartbeat(const Boson__Discovery__HeartbeatRequest *request,
			      struct field_problem *ret_problem);
int discovery_check_relay(const Boson__Common__Relay *relay, struct field_problem *ret_problem);

/* An address of the asked family that a node may call its own: private ones may, loopback,
 * link-local, multicast, unspecified and class E may not. */
bool discovery_check_is_node_address(const char *text, bool want_ipv6);

/* "a.b.c.d", "a.b.c.d:port", "v6" or "[v6]:port", under the same rule. */
bool discovery_check_is_mapped_address(const char *text);

/* "host", "host:port", "[v6]" or "[v6]:port"; without a port *port stays. 0 or -EINVAL. */
int discovery_check_split_host_port(const char *text, char ret_host[CHECK_HOST_BYTES],
				    unsigned int *port);

/* Splits "wss://host[:port]" or "ws://..."; the scheme is ret_protocol, a static string. 0 or
 * -EINVAL, also for a path, a user or an empty host. */
int discovery_check_split_endpoint(const char *url, const char **ret_protocol,
				   char ret_host[CHECK_HOST_BYTES], unsigned int *ret_port);

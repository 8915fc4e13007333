/*
 * gateway_endpoints: the table, and how a request finds its row; see the header.
 */
#include "gateway/gateway_endpoints.h"

#include "discovery.pb-c.h"
#include "metrics.pb-c.h"
#include "relay.pb-c.h"
#include "routing.pb-c.h"
#include "turn.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BODY = GATEWAY_BODY_MAX_BYTES };

/* clang-format off: one row, one line group; read it as a table. */
const struct gateway_endpoint gateway_endpoints[] = {
	{ "GET", "/health", WHO_ANYONE, RATE_PROBE, 0, PEER_NONE, NULL, ENDPOINT_ROOT, 200,
	  LOCAL_HEALTH, "How gateway and services fare" },
	{ "GET", "/health/ready", WHO_ANYONE, RATE_PROBE, 0, PEER_NONE, NULL, ENDPOINT_ROOT, 200,
	  LOCAL_READY, "Are the services behind the main job reachable" },
	{ "GET", "/health/live", WHO_ANYONE, RATE_PROBE, 0, PEER_NONE, NULL, ENDPOINT_ROOT, 200,
	  LOCAL_LIVE, "Does the gateway run" },
	{ "GET", "/openapi.json", WHO_ANYONE, RATE_GENERAL, 0, PEER_NONE, NULL, 0, 200,
	  LOCAL_OPENAPI, "This description" },

	{ "POST", "/nodes/challenge", WHO_ANYONE, RATE_CHALLENGE, BODY, PEER_DISCOVERY, "Challenge",
	  0, 200, LOCAL_NONE, "Ask for what a proof of possession is made over" },
	{ "POST", "/nodes/register", WHO_ANYONE, RATE_ENROLMENT, BODY, PEER_DISCOVERY,
	  "RegisterNode",
	  ENDPOINT_ENROLS | ENDPOINT_PROOF | ENDPOINT_CREATES | ENDPOINT_MINTS_NODE |
		  ENDPOINT_CONFLICTS,
	  201, LOCAL_NONE, "Enrol a node, or tell what changed about it" },
	{ "POST", "/nodes/{nodeId}/heartbeat", WHO_NODE, RATE_HEARTBEAT, BODY, PEER_DISCOVERY,
	  "Heartbeat", ENDPOINT_OWN_NODE | ENDPOINT_MINTS_NODE | ENDPOINT_CONFLICTS, 200,
	  LOCAL_NONE, "Say that a node lives" },
	{ "GET", "/nodes/{nodeId}", WHO_ANY, RATE_GENERAL, 0, PEER_DISCOVERY, "GetNode", 0, 200,
	  LOCAL_NONE, "One node" },
	{ "GET", "/nodes", WHO_ANY, RATE_GENERAL, 0, PEER_DISCOVERY, "ListNodes", 0, 200,
	  LOCAL_NONE, "Nodes, a page at a time" },
	{ "DELETE", "/nodes/{nodeId}", WHO_NODE | WHO_ADMIN, RATE_GENERAL, 0, PEER_DISCOVERY,
	  "DeleteNode", ENDPOINT_OWN_NODE, 204, LOCAL_NONE, "Take a node out" },

	{ "GET", "/relays", WHO_ANY, RATE_GENERAL, 0, PEER_DISCOVERY, "ListRelays", 0, 200,
	  LOCAL_NONE, "Relays that take new legs: to measure the way to them" },

	{ "POST", "/routing/challenge", WHO_CLIENT | WHO_ADMIN, RATE_GENERAL, BODY, PEER_ROUTING,
	  "Challenge", ENDPOINT_EMPTY, 200, LOCAL_NONE,
	  "Ask for what a proof of possession, with a request for a route, is made over" },
	{ "POST", "/routing/request", WHO_CLIENT | WHO_ADMIN, RATE_GENERAL, BODY, PEER_ROUTING,
	  "RequestRoute", ENDPOINT_PROOF | ENDPOINT_MINTS_CLIENT | ENDPOINT_CONFLICTS, 200,
	  LOCAL_NONE, "Ask for a node, and a session on it" },
	{ "GET", "/routing/route/{routeId}", WHO_CLIENT | WHO_ADMIN, RATE_GENERAL, 0, PEER_ROUTING,
	  "GetRoute", 0, 200, LOCAL_NONE, "One route" },
	{ "DELETE", "/routing/route/{routeId}", WHO_CLIENT | WHO_ADMIN, RATE_GENERAL, 0,
	  PEER_ROUTING, "DeleteRoute", 0, 204, LOCAL_NONE,
	  "Give a route back; its session is closed" },

	{ "POST", "/wireguard/register", WHO_CLIENT, RATE_GENERAL, BODY, PEER_ROUTING,
	  "RegisterWireguard", 0, 200, LOCAL_NONE,
	  "Let a stock WireGuard app use a session over UDP" },
	{ "POST", "/wireguard/unregister", WHO_CLIENT, RATE_GENERAL, BODY, PEER_ROUTING,
	  "UnregisterWireguard", 0, 200, LOCAL_NONE, "Let it do so no longer" },

	{ "POST", "/packets", WHO_NODE, RATE_GENERAL, BODY, PEER_ROUTING, "PacketFromNode", 0, 200,
	  LOCAL_NONE, "A datagram from a node to the client of a session" },
	{ "POST", "/packets/from-client", WHO_CLIENT, RATE_GENERAL, BODY, PEER_ROUTING,
	  "PacketFromClient", 0, 200, LOCAL_NONE, "A datagram from a client to its node" },
	{ "GET", "/clients", WHO_ADMIN, RATE_GENERAL, 0, PEER_ROUTING, "ListClients", 0, 200,
	  LOCAL_NONE, "Clients, a page at a time" },
	{ "GET", "/clients/{clientId}", WHO_ADMIN, RATE_GENERAL, 0, PEER_ROUTING, "GetClient", 0,
	  200, LOCAL_NONE, "One client" },

	{ "POST", "/metrics", WHO_NODE, RATE_HEARTBEAT, BODY, PEER_METRICS, "Submit",
	  ENDPOINT_OWN_NODE | ENDPOINT_CONFLICTS, 202, LOCAL_NONE, "What a node measured" },
	{ "GET", "/metrics/{nodeId}/latest", WHO_NODE | WHO_ADMIN, RATE_GENERAL, 0, PEER_METRICS,
	  "Latest", ENDPOINT_OWN_NODE, 200, LOCAL_NONE, "A node's newest measurement" },

	{ "GET", "/metrics/{nodeId}/history", WHO_NODE | WHO_ADMIN, RATE_GENERAL, 0, PEER_METRICS,
	  "History", ENDPOINT_OWN_NODE | ENDPOINT_EMPTY, 200, LOCAL_NONE,
	  "A node's measurements over time" },
	{ "GET", "/metrics/{nodeId}/aggregated", WHO_NODE | WHO_ADMIN, RATE_GENERAL, 0,
	  PEER_METRICS, "Aggregated", ENDPOINT_OWN_NODE | ENDPOINT_EMPTY, 200, LOCAL_NONE,
	  "Least, mean, greatest and 95th percentile of a node's measurements" },
	{ "GET", "/metrics", WHO_SCRAPER | WHO_ADMIN, RATE_PROBE, 0, PEER_METRICS, "Exposition",
	  ENDPOINT_ROOT_ONLY | ENDPOINT_TEXT | ENDPOINT_SCRAPE, 200, LOCAL_NONE,
	  "The fleet's figures for Prometheus" },

	{ "GET", "/events", WHO_ADMIN, RATE_GENERAL, 0, PEER_NONE, NULL, ENDPOINT_UPGRADE, 101,
	  LOCAL_EVENTS, "What happens in the fleet, as a WebSocket" },

	{ "GET", "/turn/servers", WHO_ANY, RATE_GENERAL, 0, PEER_TURN, "Servers", 0, 200,
	  LOCAL_NONE, "TURN servers with short-lived credentials" },
	{ "GET", "/turn/stun", WHO_ANY, RATE_GENERAL, 0, PEER_TURN, "Stun", 0, 200, LOCAL_NONE,
	  "STUN servers" },
	{ "GET", "/turn/ice", WHO_ANY, RATE_GENERAL, 0, PEER_TURN, "Ice", 0, 200, LOCAL_NONE,
	  "Both, in WebRTC's form" },
};
/* clang-format on */

const size_t gateway_endpoints_n = sizeof(gateway_endpoints) / sizeof(gateway_endpoints[0]);

static const struct {
	const char *name;
	const ProtobufCServiceDescriptor *mailbox;
} peers[PEER_COUNT] = {
	[PEER_DISCOVERY] = { "discovery", &boson__discovery__discovery__descriptor },
	[PEER_ROUTING] = { "routing", &boson__routing__routing__descriptor },
	[PEER_RELAY] = { "relay", &boson__relay__relay__descriptor },
	[PEER_METRICS] = { "metrics", &boson__metrics__metrics__descriptor },
	[PEER_TURN] = { "turn", &boson__turn__turn__descriptor },
};

const ProtobufCServiceDescriptor *
gateway_peer_descriptor(enum gateway_peer peer)
{
	return peers[peer].mailbox;
}

const char *
gateway_peer_name(enum gateway_peer peer)
{
	return peers[peer].name;
}

const ProtobufCMethodDescriptor *
gateway_endpoint_rpc(const struct gateway_endpoint *endpoint, unsigned int *ret_index)
{
	if (endpoint->rpc == NULL)
		return NULL;
	const ProtobufCServiceDescriptor *mailbox = peers[endpoint->peer].mailbox;
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(mailbox, endpoint->rpc);
	if (method != NULL)
		*ret_index = (unsigned int)(method - mailbox->methods);
	return method;
}

/* Does the template fit the segments from the given one on? Fills in the parameters. */
static bool
template_fits(const char *template, const struct gateway_path *path, size_t segment,
	      struct gateway_match *match)
{
	match->parameters_n = 0;
	for (; *template == '/'; segment++) {
		const char *part = template + 1;
		size_t n = strcspn(part, "/");
		if (segment >= path->segments_n)
			return false;
		const char *value = path->segments[segment];
		if (*part == '{') {
			match->parameters[match->parameters_n++] =
				(struct gateway_parameter){ part + 1, n - 2, value };
		} else if (strlen(value) != n || memcmp(value, part, n) != 0) {
			return false;
		}
		template = part + n;
	}
	return segment == path->segments_n;
}

static bool
endpoint_fits(const struct gateway_endpoint *endpoint, const struct gateway_path *path,
	      struct gateway_match *match)
{
	bool based = path->segments_n >= 2 && strcmp(path->segments[0], "api") == 0 &&
		     strcmp(path->segments[1], "v1") == 0;
	if (based)
		return (endpoint->flags & ENDPOINT_ROOT_ONLY) == 0 &&
		       template_fits(endpoint->path, path, 2, match);
	return (endpoint->flags & (ENDPOINT_ROOT | ENDPOINT_ROOT_ONLY)) != 0 &&
	       template_fits(endpoint->path, path, 0, match);
}

static void
allow_add(char allow[GATEWAY_ALLOW_BYTES], const char *method)
{
	size_t n = strlen(allow);
	snprintf(allow + n, GATEWAY_ALLOW_BYTES - n, "%s%s", n > 0 ? ", " : "", method);
}

int
gateway_endpoints_match(const char *method, const struct gateway_path *path,
			struct gateway_match *ret, char ret_allow[GATEWAY_ALLOW_BYTES])
{
	bool head = strcmp(method, "HEAD") == 0;
	ret_allow[0] = '\0';
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		const struct gateway_endpoint *endpoint = &gateway_endpoints[i];
		if (!endpoint_fits(endpoint, path, ret))
			continue;
		if (strcmp(head ? "GET" : method, endpoint->method) == 0) {
			ret->endpoint = endpoint;
			ret_allow[0] = '\0';
			return 0;
		}
		allow_add(ret_allow, endpoint->method);
		if (strcmp(endpoint->method, "GET") == 0)
			allow_add(ret_allow, "HEAD");
	}
	if (ret_allow[0] == '\0')
		return -ENOENT;
	allow_add(ret_allow, "OPTIONS");
	return -EPERM;
}

/*
 * client_route: see the header. The JSON goes through the same protobuf messages as the server's.
 */
#include "client/client_route.h"
#include "client/client_conf.h"

#include "routing.pb-c.h"
#include "json/json_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MTU_MIN = 1280, MTU_MAX = 9000, KEEPALIVE_DEFAULT_SEC = 25, KEEPALIVE_MAX_SEC = 600 };

int
client_route_request(const struct client_route_wish *wish, char **ret)
{
	Boson__Routing__RouteRequest request = BOSON__ROUTING__ROUTE_REQUEST__INIT;
	Boson__Routing__Requirements requirements = BOSON__ROUTING__REQUIREMENTS__INIT;
	struct json_text text = { 0 };
	char key[KEY_TEXT_BYTES];

	key_format(wish->public_key, key);
	request.client_id = (char *)(uintptr_t)wish->client_id;
	request.public_key = key;
	request.target_node_id = (char *)(uintptr_t)wish->node_id;
	request.session_id = (char *)(uintptr_t)wish->session_id;
	request.failed_node_id = (char *)(uintptr_t)wish->failed_node_id;
	if (wish->country != NULL) {
		requirements.preferred_country = (char *)(uintptr_t)wish->country;
		request.requirements = &requirements;
	}
	json_message_write(&text, &request.base, 0);
	if (json_text_failed(&text)) {
		json_text_fini(&text);
		return -ENOMEM;
	}
	*ret = text.bytes;
	return 0;
}

/* Copies a text of printable ASCII without blanks; false when absent, empty or too long. */
static bool
take(char *to, size_t capacity, const char *from)
{
	if (from == NULL || *from == '\0' || strlen(from) >= capacity)
		return false;
	for (const char *c = from; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	strcpy(to, from);
	return true;
}

static bool
take_uuid(char to[UUID_TEXT_BYTES], const char *from)
{
	uint8_t id[UUID_BYTES];

	return from != NULL && uuid_parse(from, id) == 0 && take(to, UUID_TEXT_BYTES, from);
}

/* The id goes into a URL's path. */
static bool
take_segment(char *to, size_t capacity, const char *from)
{
	return take(to, capacity, from) && strpbrk(to, "/?#%\\") == NULL;
}

static const char *
take_relays(struct client_route *route, const Boson__Routing__SelectedRoute *from)
{
	size_t n = from->n_relay_endpoints;

	for (size_t i = 0; i < n || (n == 0 && i == 0); i++) {
		const char *url = n > 0 ? from->relay_endpoints[i] : from->relay_endpoint;
		struct leg_url parts;
		if (url == NULL || route->relay_n == ROUTE_RELAYS_MAX)
			break;
		/* The ticket is a secret: TLS only. */
		if (leg_url_parse(url, &parts) < 0 || !parts.is_tls ||
		    !take(route->relays[route->relay_n], ROUTE_URL_BYTES, url))
			return "relayEndpoints: not a wss URL";
		route->relay_n++;
	}
	return route->relay_n > 0 ? NULL : "relayEndpoints: none";
}

/* "10.90.0.2/32, fd48::2/128": at most one of each family. */
static const char *
take_addresses(struct client_route *route, const char *text)
{
	char one[INET6_ADDRSTRLEN + 8];
	struct in_addr four;
	struct in6_addr six;

	while (text != NULL && *text != '\0') {
		text += strspn(text, ", ");
		size_t n = strcspn(text, ", ");
		if (n == 0)
			break;
		if (n >= sizeof one)
			return "wireguardConfig.address: no addresses";
		memcpy(one, text, n);
		one[n] = '\0';
		text += n;
		one[strcspn(one, "/")] = '\0';
		if (inet_pton(AF_INET, one, &four) == 1 && route->address4[0] == '\0')
			inet_ntop(AF_INET, &four, route->address4, sizeof route->address4);
		else if (inet_pton(AF_INET6, one, &six) == 1 && route->address6[0] == '\0')
			inet_ntop(AF_INET6, &six, route->address6, sizeof route->address6);
		else
			return "wireguardConfig.address: no addresses";
	}
	return route->address4[0] != '\0' || route->address6[0] != '\0'
		       ? NULL
		       : "wireguardConfig.address: missing";
}

static const char *
take_dns(struct client_route *route, const Boson__Routing__WireguardConfig *config)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	for (size_t i = 0; i < config->n_dns && route->dns_n < ROUTE_DNS_MAX; i++) {
		const char *text = config->dns[i];
		bool is_v6 = inet_pton(AF_INET6, text, bytes) == 1;
		if (!is_v6 && inet_pton(AF_INET, text, bytes) != 1)
			return "wireguardConfig.dns: not an address";
		inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes, route->dns[route->dns_n++],
			  INET6_ADDRSTRLEN);
	}
	return NULL;
}

static const char *
take_wireguard(struct client_route *route, const Boson__Routing__WireguardConfig *config)
{
	const char *error = take_addresses(route, config->address);

	if (error == NULL)
		error = take_dns(route, config);
	/* One that is none is no reason to refuse: the leg carries everything, too. */
	if (config->endpoint != NULL && client_conf_is_endpoint(config->endpoint))
		strcpy(route->udp_endpoint, config->endpoint);
	route->mtu = ROUTE_MTU_DEFAULT;
	if (config->has_mtu && config->mtu >= MTU_MIN && config->mtu <= MTU_MAX)
		route->mtu = config->mtu;
	route->keepalive_sec = KEEPALIVE_DEFAULT_SEC;
	if (config->has_persistent_keepalive && config->persistent_keepalive > 0 &&
	    config->persistent_keepalive <= KEEPALIVE_MAX_SEC)
		route->keepalive_sec = config->persistent_keepalive;
	return error;
}

static const char *
take_route(struct client_route *route, const Boson__Routing__RouteReply *reply)
{
	const Boson__Routing__SelectedRoute *from = reply->selected_route;

	if (from == NULL || from->node_endpoint == NULL ||
	    from->node_endpoint->wireguard_config == NULL)
		return "selectedRoute: missing or incomplete";
	if (!take_segment(route->id, sizeof route->id, from->id))
		return "selectedRoute.id: missing or malformed";
	if (!take_uuid(route->session_id, from->session_id))
		return "sessionId: not a UUID";
	if (!take(route->ticket, sizeof route->ticket, from->relay_ticket))
		return "relayTicket: missing or malformed";
	if (from->session_token != NULL && *from->session_token != '\0' &&
	    !take(route->session_token, sizeof route->session_token, from->session_token))
		return "sessionToken: malformed";
	if (!from->has_expires_at || from->expires_at <= 0)
		return "expiresAt: missing";
	route->expires_at_ms = from->expires_at;
	if (!take_uuid(route->node_id, from->node_endpoint->node_id))
		return "nodeEndpoint.nodeId: not a UUID";
	if (from->node_endpoint->public_key == NULL ||
	    key_parse(from->node_endpoint->public_key, &route->node_key) < 0)
		return "nodeEndpoint.publicKey: not a WireGuard key";
	const char *error = take_relays(route, from);
	return error != NULL ? error : take_wireguard(route, from->node_endpoint->wireguard_config);
}

int
client_route_parse(const char *json, size_t n, struct client_route *ret, char *ret_error,
		   size_t error_bytes)
{
	struct client_route route = { 0 };
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES] = "";
	const char *error;

	int r = json_message_read(&boson__routing__route_reply__descriptor, json, n, 0, &message,
				  field);
	if (r < 0) {
		snprintf(ret_error, error_bytes, "%s%s%s", field[0] != '\0' ? field : "the answer",
			 ": ", r == -EBADMSG ? "not JSON" : strerror(-r));
		return -EBADMSG;
	}
	error = take_route(&route, (const Boson__Routing__RouteReply *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	if (error != NULL) {
		snprintf(ret_error, error_bytes, "%s", error);
		client_route_wipe(&route);
		return -EBADMSG;
	}
	*ret = route;
	client_route_wipe(&route);
	return 0;
}

void
client_route_error_code(const char *json, size_t n, char *ret_code, size_t capacity)
{
	json_t *root =
		n > 0 && n <= 4096 ? json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *code =
		json_string_value(json_object_get(json_object_get(root, "error"), "code"));

	if (!take(ret_code, capacity, code))
		ret_code[0] = '\0';
	json_decref(root);
}

void
client_route_wipe(struct client_route *route)
{
	key_wipe(route, sizeof *route);
}

/*
 * client_conf: see the header.
 */
#include "client/client_conf.h"

#include "net/address.h"
#include "routing.pb-c.h"
#include "json/json_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

int
client_conf_registration(const char *client_id, const struct key *public_key,
			 const char *session_id, char **ret)
{
	Boson__Routing__RegisterWireguardRequest request =
		BOSON__ROUTING__REGISTER_WIREGUARD_REQUEST__INIT;
	struct json_text text = { 0 };
	char key[KEY_TEXT_BYTES];

	key_format(public_key, key);
	request.client_id = (char *)(uintptr_t)client_id;
	request.public_key = key;
	request.session_id = (char *)(uintptr_t)session_id;
	json_message_write(&text, &request.base, 0);
	if (json_text_failed(&text)) {
		json_text_fini(&text);
		return -ENOMEM;
	}
	*ret = text.bytes;
	return 0;
}

bool
client_conf_is_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	struct in6_addr six;
	char host[INET6_ADDRSTRLEN + 2];
	uint16_t port;

	if (colon == NULL || colon == text || strlen(text) >= CONF_ENDPOINT_BYTES ||
	    address_parse_port(colon + 1, strlen(colon + 1), &port) < 0)
		return false;
	size_t n = (size_t)(colon - text);
	if (*text != '[')
		return strspn(text, HOST_LETTERS) == n;
	if (n < 3 || n >= sizeof host || text[n - 1] != ']')
		return false;
	memcpy(host, text + 1, n - 2);
	host[n - 2] = '\0';
	return inet_pton(AF_INET6, host, &six) == 1;
}

int
client_conf_endpoint(const char *json, size_t n, char ret[CONF_ENDPOINT_BYTES])
{
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES] = "";

	if (json_message_read(&boson__routing__wireguard_reply__descriptor, json, n, 0, &message,
			      field) < 0)
		return -EBADMSG;
	const Boson__Routing__WireguardReply *reply =
		(const Boson__Routing__WireguardReply *)message;
	bool is_good = reply->udp_endpoint != NULL && client_conf_is_endpoint(reply->udp_endpoint);
	if (is_good)
		strcpy(ret, reply->udp_endpoint);
	protobuf_c_message_free_unpacked(message, NULL);
	return is_good ? 0 : -EBADMSG;
}

struct text {
	char *bytes;
	size_t n;
	bool is_full;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(text->bytes + text->n, CONF_TEXT_BYTES - text->n, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= CONF_TEXT_BYTES - text->n)
		text->is_full = true;
	else
		text->n += (size_t)n;
}

static void
put_interface(struct text *text, const struct client_route *route, const struct key *private_key)
{
	char secret[KEY_TEXT_BYTES];
	bool has_both = route->address4[0] != '\0' && route->address6[0] != '\0';

	key_format(private_key, secret);
	put(text, "[Interface]\nPrivateKey = %s\nAddress = %s%s%s%s%s\n", secret, route->address4,
	    route->address4[0] != '\0' ? "/32" : "", has_both ? ", " : "", route->address6,
	    route->address6[0] != '\0' ? "/128" : "");
	for (size_t i = 0; i < route->dns_n; i++)
		put(text, "%s%s", i == 0 ? "DNS = " : ", ", route->dns[i]);
	put(text, "%sMTU = %u\n", route->dns_n > 0 ? "\n" : "", route->mtu);
	key_wipe(secret, sizeof secret);
}

int
client_conf_write(const struct client_route *route, const struct key *private_key,
		  const char *endpoint, char ret[CONF_TEXT_BYTES])
{
	struct text text = { .bytes = ret };
	time_t end = (time_t)(route->expires_at_ms / 1000);
	char key[KEY_TEXT_BYTES], until[32] = "";
	struct tm broken;

	if (gmtime_r(&end, &broken) != NULL)
		strftime(until, sizeof until, "%Y-%m-%d %H:%M UTC", &broken);
	put(&text, "# node %s, good until %s\n", route->node_id, until);
	put_interface(&text, route, private_key);
	key_format(&route->node_key, key);
	/* Both families, also when the tunnel carries one: the other must not leave beside it. */
	put(&text,
	    "\n[Peer]\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = 0.0.0.0/0, ::/0\n"
	    "PersistentKeepalive = %u\n",
	    key, endpoint, route->keepalive_sec);
	return text.is_full ? -ENOSPC : 0;
}

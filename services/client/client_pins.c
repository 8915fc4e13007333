/*
 * client_pins: see the header.
 */
#include "client/client_pins.h"

#include "client/client_conf.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
is_address(const char *text, bool *ret_is_v6)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	*ret_is_v6 = inet_pton(AF_INET6, text, bytes) == 1;
	return *ret_is_v6 || inet_pton(AF_INET, text, bytes) == 1;
}

static int
add(struct client_pins *pins, const char *host, uint16_t port, bool is_udp)
{
	struct client_pin pin = { .port = port, .is_udp = is_udp };

	snprintf(pin.host, sizeof pin.host, "%s", host);
	if (is_address(host, &pin.is_v6))
		snprintf(pin.address, sizeof pin.address, "%s", host);
	for (size_t i = 0; i < pins->n; i++) {
		if (strcasecmp(pins->pins[i].host, host) != 0)
			continue;
		if (pins->pins[i].port == port && pins->pins[i].is_udp == is_udp)
			return 0;
		memcpy(pin.address, pins->pins[i].address, sizeof pin.address);
		pin.is_v6 = pins->pins[i].is_v6;
	}
	if (pins->n == CLIENT_PINS_MAX)
		return -ENOSPC;
	pins->pins[pins->n++] = pin;
	return 0;
}

int
client_pins_add_url(struct client_pins *pins, const char *url)
{
	char as_leg[LEG_URL_HOST_BYTES + LEG_URL_PATH_BYTES + 16], proxy[LEG_URL_PROXY_BYTES];
	char host[LEG_URL_HOST_BYTES];
	struct leg_url parts;
	uint16_t port;

	if (strncmp(url, "https://", 8) == 0) {
		int n = snprintf(as_leg, sizeof as_leg, "wss://%s", url + 8);
		if (n < 0 || (size_t)n >= sizeof as_leg)
			return -EINVAL;
		url = as_leg;
	}
	if (leg_url_parse(url, &parts) < 0)
		return -EINVAL;
	if (!leg_url_proxy(&parts, proxy))
		return add(pins, parts.host, parts.port, false);
	int r = leg_proxy_address(proxy, host, &port);
	return r < 0 ? r : add(pins, host, port, false);
}

int
client_pins_add_udp(struct client_pins *pins, const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');
	bool is_bracketed = *endpoint == '[';
	char host[LEG_URL_HOST_BYTES];
	uint16_t port;

	if (!client_conf_is_endpoint(endpoint) ||
	    address_parse_port(colon + 1, strlen(colon + 1), &port) < 0)
		return -EINVAL;
	int n = (int)(colon - endpoint) - (is_bracketed ? 2 : 0);
	snprintf(host, sizeof host, "%.*s", n, endpoint + (is_bracketed ? 1 : 0));
	return add(pins, host, port, true);
}

const struct client_pin *
client_pins_udp(const struct client_pins *pins)
{
	for (size_t i = 0; i < pins->n; i++)
		if (pins->pins[i].is_udp)
			return &pins->pins[i];
	return NULL;
}

void
client_pins_learn(struct client_pins *pins, const struct client_pins *known)
{
	for (size_t i = 0; i < known->n; i++)
		if (known->pins[i].address[0] != '\0')
			client_pins_set(pins, known->pins[i].host, known->pins[i].address);
}

struct client_pin *
client_pins_unresolved(struct client_pins *pins)
{
	for (size_t i = 0; i < pins->n; i++)
		if (pins->pins[i].address[0] == '\0')
			return &pins->pins[i];
	return NULL;
}

int
client_pins_set(struct client_pins *pins, const char *host, const char *address)
{
	bool is_v6;

	if (!is_address(address, &is_v6))
		return -EINVAL;
	for (size_t i = 0; i < pins->n; i++) {
		struct client_pin *pin = &pins->pins[i];
		if (strcasecmp(pin->host, host) != 0)
			continue;
		snprintf(pin->address, sizeof pin->address, "%s", address);
		pin->is_v6 = is_v6;
	}
	return 0;
}

int
client_pins_set_found(struct client_pins *pins, const struct sockaddr_storage *addresses, size_t n)
{
	const struct client_pin *pin = client_pins_unresolved(pins);
	char host[LEG_URL_HOST_BYTES], address[INET6_ADDRSTRLEN];

	if (pin == NULL || n == 0)
		return -EINVAL;
	snprintf(host, sizeof host, "%s", pin->host);
	return getnameinfo((const struct sockaddr *)&addresses[0], sizeof addresses[0], address,
			   sizeof address, NULL, 0, NI_NUMERICHOST) == 0
		       ? client_pins_set(pins, host, address)
		       : -EINVAL;
}

static bool
has(const struct client_pins *pins, const struct client_pin *pin)
{
	for (size_t i = 0; i < pins->n; i++)
		if (pins->pins[i].port == pin->port && pins->pins[i].is_udp == pin->is_udp &&
		    strcmp(pins->pins[i].address, pin->address) == 0)
			return true;
	return false;
}

bool
client_pins_are_equal(const struct client_pins *a, const struct client_pins *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!has(b, &a->pins[i]))
			return false;
	for (size_t i = 0; i < b->n; i++)
		if (!has(a, &b->pins[i]))
			return false;
	return true;
}

/*
 * Any bytes as the server's answer to a route request, and what `higgs config` writes of it: a
 * server, or a node behind it, must not be able to add a line to the user's file, or a word to one
 * that is there (wg-quick runs what PostUp says, as root).
 */
#include "client/client_conf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
check_line(const char *line, size_t n)
{
	static const char *const starts[] = {
		"#",
		"[Interface]",
		"PrivateKey = ",
		"Address = ",
		"DNS = ",
		"MTU = ",
		"[Peer]",
		"PublicKey = ",
		"PresharedKey = ",
		"AllowedIPs = ",
		"Endpoint = ",
		"PersistentKeepalive = ",
	};
	bool is_known = n == 0;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		is_known = is_known || (n >= strlen(starts[i]) &&
					memcmp(line, starts[i], strlen(starts[i])) == 0);
	require(is_known);
	for (size_t i = 0; i < n; i++)
		require(line[i] >= ' ' && line[i] <= '~');
	if (n > 0 && line[0] != '#')
		require(memchr(line, ';', n) == NULL && memchr(line, '$', n) == NULL &&
			memchr(line, '#', n) == NULL);
}

static void
check_text(const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		check_line(text, n);
		text += n + (text[n] == '\n');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct key private_key = { .bytes = { 1 } };
	char error[256] = "", conf[CONF_TEXT_BYTES], endpoint[CONF_ENDPOINT_BYTES], code[64];
	struct client_route route;

	client_route_error_code((const char *)data, n, code, sizeof(code));
	if (client_conf_endpoint((const char *)data, n, endpoint) == 0)
		require(client_conf_is_endpoint(endpoint));
	if (client_route_parse((const char *)data, n, &route, error, sizeof(error)) < 0) {
		require(error[0] != '\0');
		return 0;
	}
	require(route.relay_n > 0 && strstr(route.relays[0], "wss://") == route.relays[0]);
	const char *where = route.udp_endpoint[0] != '\0' ? route.udp_endpoint : "192.0.2.1:1";
	if (client_conf_write(&route, &private_key, where, conf) == 0)
		check_text(conf);
	return 0;
}

/*
 * config_network: the types of the schema that name something on a network: addresses, endpoints,
 * URLs, networks, ports, interfaces. Checks form only; nothing is looked up.
 */
#include "config/config_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { IPC_PATH_MAX_BYTES = 107, IFNAME_MAX_BYTES = 15 };

static int
reject(char *ret_reason, const char *reason)
{
	snprintf(ret_reason, CONFIG_REASON_BYTES, "%s", reason);
	return -EINVAL;
}

static bool
is_only(const char *text, const char *extra)
{
	for (; *text != '\0'; text++) {
		bool is_word = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			       (*text >= '0' && *text <= '9');

		if (!is_word && strchr(extra, *text) == NULL)
			return false;
	}
	return true;
}

/* A name or an IPv4 literal. What looks like a dotted number must be one. */
static bool
is_host(const char *host)
{
	struct in_addr address;

	if (*host == '\0' || *host == '-' || *host == '.' || !is_only(host, ".-_"))
		return false;
	if (strspn(host, "0123456789.") == strlen(host))
		return inet_pton(AF_INET, host, &address) == 1;
	return true;
}

static int
split_host(const char *text, size_t n, char *ret_host, size_t host_bytes)
{
	struct in6_addr address;
	bool is_bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';

	if (is_bracketed) {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= host_bytes)
		return -EINVAL;
	memcpy(ret_host, text, n);
	ret_host[n] = '\0';
	if (is_bracketed)
		return inet_pton(AF_INET6, ret_host, &address) == 1 ? 0 : -EINVAL;
	return is_host(ret_host) ? 0 : -EINVAL;
}

static int
split_port(const char *text, int64_t min, uint16_t *ret_port)
{
	int64_t port = 0;

	if (config_parse_integer(text, strlen(text), false, &port) < 0 || port < min ||
	    port > CONFIG_PORT_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int
config_address_split(const char *text, char *ret_host, size_t host_bytes, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL || split_host(text, (size_t)(colon - text), ret_host, host_bytes) < 0)
		return -EINVAL;
	return split_port(colon + 1, 0, ret_port);
}

int
config_address_check(const char *text, char *ret_reason)
{
	char host[CONFIG_HOST_BYTES];
	uint16_t port;

	if (config_address_split(text, host, sizeof(host), &port) < 0)
		return reject(ret_reason, "must be host:port or [v6]:port, port 0 to 65535");
	return 0;
}

/* host:port, or *:port for all addresses. */
static bool
is_tcp_place(const char *text, uint16_t *ret_port)
{
	char host[CONFIG_HOST_BYTES];

	if (strncmp(text, "*:", 2) == 0)
		return split_port(text + 2, 1, ret_port) == 0;
	return config_address_split(text, host, sizeof(host), ret_port) == 0 && *ret_port > 0;
}

int
config_endpoint_check(const char *text, char *ret_reason)
{
	uint16_t port;

	if (strncmp(text, "inproc://", 9) == 0 && text[9] != '\0' && is_only(text + 9, "_-."))
		return 0;
	if (strncmp(text, "ipc:///", 7) == 0 && text[7] != '\0') {
		/* "-events" is added for the PUB beside it */
		if (strlen(text + 6) + strlen("-events") <= IPC_PATH_MAX_BYTES)
			return 0;
		return reject(ret_reason, "is too long for a unix socket");
	}
	if (strncmp(text, "tcp://", 6) == 0 && is_tcp_place(text + 6, &port)) {
		if (port < CONFIG_PORT_MAX)
			return 0;
		return reject(ret_reason, "has no port after it, where its events would be");
	}
	return reject(ret_reason, "must be inproc://name, ipc:///path or tcp://host:port");
}

/* The part after the scheme: host, then an optional port. */
static int
url_authority_check(const char *text, size_t n)
{
	char authority[CONFIG_HOST_BYTES + 8], host[CONFIG_HOST_BYTES];
	const char *colon, *bracket;
	uint16_t port;

	if (n >= sizeof(authority))
		return -EINVAL;
	memcpy(authority, text, n);
	authority[n] = '\0';
	colon = strrchr(authority, ':');
	bracket = strrchr(authority, ']');
	if (colon == NULL || (bracket != NULL && colon < bracket))
		return split_host(authority, n, host, sizeof(host));
	if (split_port(colon + 1, 1, &port) < 0)
		return -EINVAL;
	return split_host(authority, (size_t)(colon - authority), host, sizeof(host));
}

/* RFC 3986 for http and ws, RFC 7064 and 7065 (no "//") for stun and turn. */
int
config_url_check(const char *text, char *ret_reason)
{
	static const char *const schemes[] = { "http", "https", "ws", "wss", NULL };
	static const char *const bare[] = { "stun", "stuns", "turn", "turns", NULL };
	const char *colon = strchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	bool is_bare = false, is_known = false;

	for (size_t i = 0; schemes[i] != NULL; i++)
		is_known |= strlen(schemes[i]) == n && memcmp(schemes[i], text, n) == 0;
	for (size_t i = 0; bare[i] != NULL; i++)
		is_bare |= strlen(bare[i]) == n && memcmp(bare[i], text, n) == 0;
	if (!is_known && !is_bare)
		return reject(ret_reason, "must be a URL of http, https, ws, wss, stun or turn");
	text = colon + 1;
	if (strncmp(text, "//", 2) == 0)
		text += 2;
	else if (!is_bare)
		return reject(ret_reason, "must have // after its scheme");
	n = strcspn(text, "/?#");
	if (memchr(text, '@', n) != NULL)
		return reject(ret_reason, "must not carry user:password@ (secrets are files)");
	if (n == 0)
		return reject(ret_reason, "has no host");
	if (url_authority_check(text, n) < 0)
		return reject(ret_reason, "has a bad host or port");
	if (strpbrk(text, " \t\"<>\\") != NULL)
		return reject(ret_reason, "holds a character that no URL may");
	return 0;
}

/* Clears the bits after the prefix; true when there were any. */
static bool
clear_host_bits(uint8_t *address, size_t bytes, unsigned prefix)
{
	bool had_any = false;

	for (size_t i = 0; i < bytes; i++) {
		unsigned kept = prefix > i * 8 ? prefix - (unsigned)(i * 8) : 0;
		uint8_t mask = (uint8_t)(0xff00U >> (kept < 8 ? kept : 8));

		had_any |= (address[i] & ~mask) != 0;
		address[i] &= mask;
	}
	return had_any;
}

int
config_cidr_check(const char *text, int64_t prefix_min, char *ret_reason)
{
	char host[INET6_ADDRSTRLEN];
	uint8_t address[16];
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	int64_t bits = family == AF_INET6 ? 128 : 32, prefix = bits;

	if (n >= sizeof(host))
		return reject(ret_reason, "must be a network such as 10.0.0.0/8");
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(family, host, address) != 1 ||
	    (slash != NULL &&
	     (config_parse_integer(slash + 1, strlen(slash + 1), false, &prefix) < 0 ||
	      prefix > bits)))
		return reject(ret_reason, "must be a network such as 10.0.0.0/8 or fd00::/8");
	if (prefix < prefix_min) {
		snprintf(ret_reason, CONFIG_REASON_BYTES, "is wider than /%d", (int)prefix_min);
		return -EINVAL;
	}
	if (clear_host_bits(address, (size_t)bits / 8, (unsigned)prefix) || slash == NULL) {
		inet_ntop(family, address, host, sizeof(host));
		snprintf(ret_reason, CONFIG_REASON_BYTES, "must be written %s/%d", host,
			 (int)prefix);
		return -EINVAL;
	}
	return 0;
}

int
config_port_range_check(const char *text, char *ret_reason)
{
	const char *dash = strchr(text, '-');
	size_t n = dash != NULL ? (size_t)(dash - text) : strlen(text);
	int64_t first = 0, last = 0;

	if (config_parse_integer(text, n, false, &first) < 0)
		return reject(ret_reason, "must be ports or ranges such as 25, 135-139");
	last = first;
	if (dash != NULL && config_parse_integer(dash + 1, strlen(dash + 1), false, &last) < 0)
		return reject(ret_reason, "must be ports or ranges such as 25, 135-139");
	if (first < 1 || last > CONFIG_PORT_MAX || last < first)
		return reject(ret_reason, "must be ports from 1 to 65535");
	return 0;
}

/* What the kernel's dev_valid_name() takes, and less: nothing that a shell or a rule could read as
 * anything else. */
int
config_ifname_check(const char *text, char *ret_reason)
{
	if (strlen(text) > IFNAME_MAX_BYTES || !is_only(text, "_.-") || *text == '-' ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return reject(ret_reason,
			      "must be an interface name: at most 15 of a-z A-Z 0-9 _ . -");
	return 0;
}

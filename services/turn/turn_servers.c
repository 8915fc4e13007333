/* turn_servers: RFC 7064 and 7065 URLs. */
#include "turn/turn_servers.h"

#include <errno.h>
#include <string.h>

enum { PORT_PLAIN = 3478, PORT_TLS = 5349, PORT_MAX = 65535 };

static int
parse_port(const char *text, size_t n, unsigned int *ret_port)
{
	unsigned int port = 0;

	if (n == 0 || n > 5 || strspn(text, "0123456789") < n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (unsigned int)(text[i] - '0');
	if (port == 0 || port > PORT_MAX)
		return -EINVAL;
	*ret_port = port;
	return 0;
}

static int
parse_host(const char *at, size_t n, struct turn_server *ret)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-:";

	if (n == 0 || n >= sizeof(ret->host) || strspn(at, allowed) < n)
		return -EINVAL;
	memcpy(ret->host, at, n);
	ret->host[n] = '\0';
	return 0;
}

int
turn_server_parse(const char *url, struct turn_server *ret)
{
	size_t scheme = strcspn(url, ":");
	size_t host, end;

	if (strnlen(url, TURN_URL_MAX_BYTES + 1) > TURN_URL_MAX_BYTES || url[scheme] == '\0')
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->url = url;
	ret->port = PORT_PLAIN;
	if (scheme == 5 && strncmp(url, "turns", 5) == 0)
		ret->port = PORT_TLS;
	else if (scheme != 4 || (strncmp(url, "turn", 4) != 0 && strncmp(url, "stun", 4) != 0))
		return -EINVAL;
	ret->relays = url[0] == 't';
	url += scheme + 1;
	end = strcspn(url, "?");
	if (url[end] != '\0' && (!ret->relays || (strcmp(url + end, "?transport=udp") != 0 &&
						  strcmp(url + end, "?transport=tcp") != 0)))
		return -EINVAL;
	if (url[0] == '[') {
		host = strcspn(++url, "]");
		end--;
		if (host >= end || parse_host(url, host, ret) != 0)
			return -EINVAL;
		url += host + 1;
		end -= host + 1;
	} else {
		host = strcspn(url, ":?");
		if (parse_host(url, host, ret) != 0)
			return -EINVAL;
		url += host;
		end -= host;
	}
	if (end == 0)
		return 0;
	return url[0] == ':' ? parse_port(url + 1, end - 1, &ret->port) : -EINVAL;
}

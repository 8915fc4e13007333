/*
 * leg_url: parses strictly, since what comes in here was said by a server and goes on into a
 * request line and a Host header.
 */
#include "leg/leg_url.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_host(const char *host)
{
	if (*host == '\0' || *host == '.' || *host == '-')
		return false;
	for (; *host != '\0'; host++)
		if (!is_alnum(*host) && *host != '.' && *host != '-' && *host != '_')
			return false;
	return true;
}

static bool
is_path(const char *path)
{
	for (; *path != '\0'; path++)
		if (*path <= ' ' || *path > '~' || *path == '#' || *path == '?')
			return false;
	return true;
}

/* Copies n bytes and a NUL; -EINVAL when they do not fit. */
static int
copy(char *to, size_t capacity, const char *from, size_t n)
{
	if (n >= capacity)
		return -EINVAL;
	memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

/* "host", "host:port" or "[v6]:port", n bytes; the port stays as it is when not given. */
static int
parse_authority(const char *text, size_t n, char *ret_host, bool *ret_is_v6, uint16_t *ret_port)
{
	const char *end = text + n, *colon;
	struct in6_addr address;

	*ret_is_v6 = n > 0 && *text == '[';
	if (*ret_is_v6) {
		const char *bracket = memchr(text, ']', n);
		if (bracket == NULL ||
		    copy(ret_host, LEG_URL_HOST_BYTES, text + 1, (size_t)(bracket - text - 1)) <
			    0 ||
		    inet_pton(AF_INET6, ret_host, &address) != 1)
			return -EINVAL;
		colon = bracket + 1;
	} else {
		colon = memchr(text, ':', n);
		if (colon == NULL)
			colon = end;
		if (copy(ret_host, LEG_URL_HOST_BYTES, text, (size_t)(colon - text)) < 0 ||
		    !is_host(ret_host))
			return -EINVAL;
	}
	if (colon == end)
		return 0;
	if (*colon != ':')
		return -EINVAL;
	return address_parse_port(colon + 1, (size_t)(end - colon - 1), ret_port);
}

int
leg_url_parse(const char *text, struct leg_url *ret)
{
	struct leg_url url = { 0 };

	if (strncmp(text, "wss://", 6) == 0)
		url.is_tls = true;
	else if (strncmp(text, "ws://", 5) != 0)
		return -EINVAL;
	text += url.is_tls ? 6 : 5;
	url.port = url.is_tls ? 443 : 80;
	size_t n = strcspn(text, "/");
	if (parse_authority(text, n, url.host, &url.is_v6, &url.port) < 0)
		return -EINVAL;
	const char *path = text[n] == '\0' ? "/" : text + n;
	if (!is_path(path) || copy(url.path, sizeof url.path, path, strlen(path)) < 0)
		return -EINVAL;
	snprintf(url.authority, sizeof url.authority, url.is_v6 ? "[%s]:%u" : "%s:%u", url.host,
		 url.port);
	if (url.port == (url.is_tls ? 443 : 80))
		*strrchr(url.authority, ':') = '\0';
	*ret = url;
	return 0;
}

void
leg_url_format(const struct leg_url *url, char ret_text[LEG_URL_TEXT_BYTES])
{
	snprintf(ret_text, LEG_URL_TEXT_BYTES, "%s://%s%s", url->is_tls ? "wss" : "ws",
		 url->authority, url->path);
}

/* Does no_proxy, a list of names and domains, name the host? */
static bool
is_excepted(const char *list, const char *host)
{
	size_t host_n = strlen(host);

	while (*list != '\0') {
		list += strspn(list, ", ");
		size_t n = strcspn(list, ", ");
		if (n == 1 && *list == '*')
			return true;
		const char *name = list;
		list += n;
		if (n > 0 && *name == '.') {
			name++;
			n--;
		}
		if (n == 0 || n > host_n || strncasecmp(host + host_n - n, name, n) != 0)
			continue;
		if (n == host_n || host[host_n - n - 1] == '.')
			return true;
	}
	return false;
}

static const char *
environment(const char *lower, const char *upper)
{
	const char *value = getenv(lower);

	if ((value == NULL || *value == '\0') && upper != NULL)
		value = getenv(upper);
	return value != NULL && *value != '\0' ? value : NULL;
}

int
leg_proxy_address(const char *proxy, char ret_host[LEG_URL_HOST_BYTES], uint16_t *ret_port)
{
	const char *at = strrchr(proxy, '@');
	const char *host = at != NULL ? at + 1 : proxy;
	bool is_v6;

	*ret_port = 1080; /* what curl takes */
	return parse_authority(host, strlen(host), ret_host, &is_v6, ret_port);
}

int
leg_proxy_set_address(char proxy[LEG_URL_PROXY_BYTES], const char *address)
{
	char host[LEG_URL_HOST_BYTES], *at = strrchr(proxy, '@');
	char *start = at != NULL ? at + 1 : proxy;
	size_t room = LEG_URL_PROXY_BYTES - (size_t)(start - proxy);
	bool is_v6 = strchr(address, ':') != NULL;
	uint16_t port;
	int r = leg_proxy_address(proxy, host, &port);

	if (r < 0)
		return r;
	r = snprintf(start, room, is_v6 ? "[%s]:%u" : "%s:%u", address, port);
	return r > 0 && (size_t)r < room ? 0 : -EINVAL;
}

bool
leg_url_proxy(const struct leg_url *url, char ret_proxy[LEG_URL_PROXY_BYTES])
{
	/* HTTP_PROXY in capitals is not heard: in a CGI it is a request header. */
	const char *value = url->is_tls ? environment("https_proxy", "HTTPS_PROXY")
					: environment("http_proxy", NULL);
	const char *except = environment("no_proxy", "NO_PROXY");
	char host[LEG_URL_HOST_BYTES];
	uint16_t port;

	if (value == NULL)
		value = environment("all_proxy", "ALL_PROXY");
	if (value == NULL || (except != NULL && is_excepted(except, url->host)))
		return false;
	if (strncmp(value, "http://", 7) == 0)
		value += 7;
	else if (strstr(value, "://") != NULL)
		return false;
	size_t n = strcspn(value, "/");
	char proxy[LEG_URL_PROXY_BYTES];
	if (copy(proxy, sizeof proxy, value, n) < 0 || leg_proxy_address(proxy, host, &port) < 0)
		return false;
	const char *at = strrchr(proxy, '@');
	int user_n = at != NULL ? (int)(at - proxy) + 1 : 0;
	bool is_v6 = strchr(host, ':') != NULL;
	int r = snprintf(ret_proxy, LEG_URL_PROXY_BYTES, is_v6 ? "%.*s[%s]:%u" : "%.*s%s:%u",
			 user_n, proxy, host, port);
	return r > 0 && r < LEG_URL_PROXY_BYTES;
}

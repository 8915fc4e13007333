/* turn_servers: RFC 7064 and 7065 URLs, and their order. */
#include "turn/turn_servers.h"

#include "net/address.h"

#include <errno.h>
#include <string.h>

enum { PORT_PLAIN = 3478, PORT_TLS = 5349 };

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
	ret->is_probed = scheme == 4 && strstr(url, "?transport=tcp") == NULL;
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
	return url[0] == ':' ? address_parse_port(url + 1, end - 1, &ret->port) : -EINVAL;
}

bool
turn_server_note(struct turn_server *server, const char *reason, uint32_t round_trip_us)
{
	enum turn_health before = server->health;

	server->health = reason == NULL ? TURN_HEALTHY : TURN_FAILING;
	server->reason = reason;
	if (reason == NULL)
		server->round_trip_us =
			before != TURN_HEALTHY
				? round_trip_us
				: (uint32_t)((7 * (uint64_t)server->round_trip_us + round_trip_us) /
					     8);
	return server->health != before;
}

/* Of the server itself, or of the one that stands for it. */
static const struct turn_server *
probed(const struct turn_server *servers, size_t n, const struct turn_server *server)
{
	for (size_t i = 0; i < n && !server->is_probed; i++)
		if (servers[i].is_probed && servers[i].relays >= server->relays &&
		    servers[i].port == server->port && strcmp(servers[i].host, server->host) == 0)
			return &servers[i];
	return server;
}

/* Healthy ones by round trip, then the untried; those configured first come first. */
static uint64_t
rank(const struct turn_server *servers, size_t n, size_t place)
{
	const struct turn_server *server = probed(servers, n, &servers[place]);
	uint64_t round_trip =
		server->health == TURN_HEALTHY ? server->round_trip_us : (uint64_t)UINT32_MAX + 1;

	return round_trip << 8 | place;
}

static bool
may_be_given(const struct turn_server *servers, size_t n, const struct turn_server *server)
{
	const struct turn_server *known = probed(servers, n, server);

	return known->health == TURN_HEALTHY || !known->is_probed;
}

size_t
turn_servers_order(const struct turn_server *servers, size_t n, bool relays_only,
		   size_t ret_places[TURN_SERVERS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = count;

		if ((relays_only && !servers[i].relays) || !may_be_given(servers, n, &servers[i]))
			continue;
		while (at > 0 && rank(servers, n, ret_places[at - 1]) > rank(servers, n, i)) {
			ret_places[at] = ret_places[at - 1];
			at--;
		}
		ret_places[at] = i;
		count++;
	}
	return count;
}

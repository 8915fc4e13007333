/* stun_lookup: bus_lookup's resolver thread, whose answers are endpoints of the bus. */
#include "stun/stun_lookup.h"

#include "bus/bus_lookup.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_BYTES = 64 };

struct stun_lookup {
	struct bus_lookup *lookup;
	unsigned port;
	stun_lookup_fn fn;
	void *arg;
	struct stun_lookup **at; /* where the caller keeps us */
};

bool
stun_lookup_literal(const char *host, unsigned port, struct sockaddr_in6 *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sin6_family = AF_INET6;
	ret->sin6_port = htons((uint16_t)port);
	return address_parse(host, &ret->sin6_addr) == 0;
}

/* "tcp://192.0.2.1:3478", "tcp://[2001:db8::1]:3478" */
static bool
parse_endpoint(const char *endpoint, unsigned port, struct sockaddr_in6 *ret)
{
	const char *host = endpoint + strlen("tcp://");
	const char *end = strrchr(host, ':');
	char text[HOST_BYTES];
	size_t n;

	if (end == NULL)
		return false;
	n = (size_t)(end - host);
	if (n >= 2 && host[0] == '[') {
		host++;
		n -= 2;
	}
	if (n >= sizeof(text))
		return false;
	memcpy(text, host, n);
	text[n] = '\0';
	return stun_lookup_literal(text, port, ret);
}

static void
on_found(const char (*endpoints)[BUS_ENDPOINT_BYTES], size_t n, void *arg)
{
	struct stun_lookup *lookup = arg;
	stun_lookup_fn fn = lookup->fn;
	void *fn_arg = lookup->arg;
	struct sockaddr_in6 address;
	bool is_found = n > 0 && parse_endpoint(endpoints[0], lookup->port, &address);

	*lookup->at = NULL;
	free(lookup);
	fn(is_found ? &address : NULL, fn_arg);
}

int
stun_lookup_start(struct loop *loop, const char *host, unsigned port, stun_lookup_fn fn, void *arg,
		  struct stun_lookup **ret)
{
	struct stun_lookup *lookup = calloc(1, sizeof(*lookup));
	char text[BUS_LOOKUP_PORT_BYTES];
	int error;

	if (lookup == NULL)
		return -ENOMEM;
	lookup->port = port;
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->at = ret;
	(void)snprintf(text, sizeof(text), "%u", port);
	error = bus_lookup_start(loop, host, text, on_found, lookup, &lookup->lookup);
	if (error != 0) {
		free(lookup);
		return error;
	}
	*ret = lookup;
	return 0;
}

void
stun_lookup_stop(struct stun_lookup **lookup)
{
	if (*lookup == NULL)
		return;
	bus_lookup_stop(&(*lookup)->lookup);
	free(*lookup);
	*lookup = NULL;
}

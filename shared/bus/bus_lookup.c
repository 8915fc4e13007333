/*
 * bus_lookup: see bus_lookup.h.
 */
#include "bus/bus_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum { ADDRESS_BYTES = 64 };

struct bus_lookup {
	struct lookup *lookup;
	struct loop_fd *watch;
	char port[BUS_LOOKUP_PORT_BYTES];
	bus_lookup_fn fn;
	void *arg;
	struct bus_lookup **at; /* where the caller keeps us */
};

static bool
format(const struct sockaddr_storage *address, const char *port, char ret[BUS_ENDPOINT_BYTES])
{
	char text[ADDRESS_BYTES];

	if (getnameinfo((const struct sockaddr *)address, sizeof(*address), text, sizeof(text),
			NULL, 0, NI_NUMERICHOST) != 0)
		return false;
	snprintf(ret, BUS_ENDPOINT_BYTES,
		 address->ss_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", text, port);
	return true;
}

static void
on_done(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct bus_lookup *lookup = arg;
	char endpoints[BUS_LOOKUP_MAX][BUS_ENDPOINT_BYTES];
	const struct sockaddr_storage *addresses;
	bus_lookup_fn fn = lookup->fn;
	void *fn_arg = lookup->arg;
	size_t found, n = 0;
	const char *error;

	(void)loop, (void)fd, (void)events;
	found = lookup_addresses(lookup->lookup, &addresses, &error);
	for (size_t i = 0; i < found && n < BUS_LOOKUP_MAX; i++)
		if (format(&addresses[i], lookup->port, endpoints[n]))
			n++;
	bus_lookup_stop(lookup->at);
	fn((const char(*)[BUS_ENDPOINT_BYTES])endpoints, n, fn_arg);
}

int
bus_lookup_start(struct loop *loop, const char *host, const char *port, bus_lookup_fn fn, void *arg,
		 struct bus_lookup **ret)
{
	struct bus_lookup *lookup = calloc(1, sizeof(*lookup));
	int r = lookup ? lookup_start(host, &lookup->lookup) : -ENOMEM;

	if (r == 0)
		r = loop_fd_add(loop, lookup_fd(lookup->lookup), EPOLLIN, on_done, lookup,
				&lookup->watch);
	if (r < 0) {
		bus_lookup_stop(&lookup);
		return r;
	}
	snprintf(lookup->port, sizeof(lookup->port), "%s", port);
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->at = ret;
	*ret = lookup;
	return 0;
}

void
bus_lookup_stop(struct bus_lookup **lookup)
{
	struct bus_lookup *l = *lookup;

	if (!l)
		return;
	loop_fd_remove(&l->watch);
	lookup_free(&l->lookup);
	free(l);
	*lookup = NULL;
}

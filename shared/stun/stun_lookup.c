/* stun_lookup: see stun_lookup.h. */
#include "stun/stun_lookup.h"

#include "loop/lookup.h"
#include "net/address.h"
#include "stun/stun_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stun_lookup {
	struct lookup *lookup;
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

static void
on_found(const struct sockaddr_storage *addresses, size_t n, const char *error, void *arg)
{
	struct stun_lookup *lookup = arg;
	stun_lookup_fn fn = lookup->fn;
	void *fn_arg = lookup->arg;
	struct sockaddr_in6 address;

	(void)error;
	if (n > 0) {
		stun_from_native(&addresses[0], &address);
		address.sin6_port = htons((uint16_t)lookup->port);
	}
	*lookup->at = NULL;
	free(lookup);
	fn(n > 0 ? &address : NULL, fn_arg);
}

int
stun_lookup_start(struct loop *loop, const char *host, unsigned port, stun_lookup_fn fn, void *arg,
		  struct stun_lookup **ret)
{
	struct stun_lookup *lookup = calloc(1, sizeof(*lookup));
	int error;

	if (lookup == NULL)
		return -ENOMEM;
	lookup->port = port;
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->at = ret;
	error = lookup_start(loop, host, on_found, lookup, &lookup->lookup);
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
	lookup_stop(&(*lookup)->lookup);
	free(*lookup);
	*lookup = NULL;
}

/* stun_lookup: the address of a STUN server, whose host may be a name. */
#pragma once

#include "loop/loop.h"

#include <netinet/in.h>
#include <stdbool.h>

struct stun_lookup;

/* address NULL: the name has none. The lookup is over by then. */
typedef void (*stun_lookup_fn)(const struct sockaddr_in6 *address, void *arg);

/* An address as text is no question: true, and *ret. */
bool stun_lookup_literal(const char *host, unsigned port, struct sockaddr_in6 *ret);

/* fn is called once, later, with the first address. 0 or -errno. */
int stun_lookup_start(struct loop *loop, const char *host, unsigned port, stun_lookup_fn fn,
		      void *arg, struct stun_lookup **ret);
/* fn will not be called. Takes one that is over as NULL. */
void stun_lookup_stop(struct stun_lookup **lookup);

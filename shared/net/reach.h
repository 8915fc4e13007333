/*
 * reach: which of a host's addresses can be reached: they are tried one after the other, each a
 * moment after the last one and before that has failed, and the first that takes a TCP connection
 * is it (RFC 8305, 5). So an address family that swallows everything costs a quarter of a second.
 */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct reach;

/* address: the one; or, when none took a connection within three seconds, the first. Valid until it
 * returns; the search is over by then. */
typedef void (*reach_fn)(const struct sockaddr_storage *address, bool is_reached, void *arg);

/* Tries this port of n addresses, in this order; they are copied. fn is called once, later.
 * -EINVAL: no addresses, or more than LOOKUP_MAX; -ENOMEM. */
int reach_start(struct loop *loop, const struct sockaddr_storage *addresses, size_t n,
		uint16_t port, reach_fn fn, void *arg, struct reach **ret);

/* Nobody will be called. Takes one that is over as NULL. */
void reach_stop(struct reach **reach);

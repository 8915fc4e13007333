/*
 * bus_lookup: the endpoints of a host name, told to the loop when the resolver has answered.
 */
#pragma once

#include "bus/bus_socket.h"
#include "loop/lookup.h"
#include "loop/loop.h"

enum {
	BUS_LOOKUP_MAX = LOOKUP_MAX,
	BUS_LOOKUP_HOST_BYTES = LOOKUP_HOST_BYTES,
	BUS_LOOKUP_PORT_BYTES = 8,
};

struct bus_lookup;

/* endpoints: n of them as "tcp://address:port", valid until it returns; 0: the name has none, or
 * nobody could say. The lookup is over by then. */
typedef void (*bus_lookup_fn)(const char (*endpoints)[BUS_ENDPOINT_BYTES], size_t n, void *arg);

/* 0, or -errno when there is no thread to be had. */
int bus_lookup_start(struct loop *loop, const char *host, const char *port, bus_lookup_fn fn,
		     void *arg, struct bus_lookup **ret);

/* fn will not be called. Takes a lookup that is over as NULL. */
void bus_lookup_stop(struct bus_lookup **lookup);

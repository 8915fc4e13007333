/*
 * bus_places: where a service's replicas are: a list of endpoints, separated by commas, in which
 * the host of a tcp:// endpoint may be a name that stands for several addresses. Names are looked
 * up again now and then, and soon after a connection died.
 */
#pragma once

#include "bus/bus_socket.h"
#include "loop/loop.h"

enum { BUS_PLACES_MAX = 16 };

struct bus_places;

/* More than one fixed place: a list, or a name. */
bool bus_places_are_many(const char *endpoints);

/* fn is called, never from here, after each time that names were looked up. What needs no looking
 * up is there at once. -EINVAL: no list of at most BUS_PLACES_MAX endpoints. */
typedef void (*bus_places_fn)(void *arg);
int bus_places_new(struct loop *loop, const char *endpoints, bus_places_fn fn, void *arg,
		   struct bus_places **ret);
void bus_places_free(struct bus_places **places);

/* The i-th endpoint, or NULL behind the last. */
const char *bus_places_at(const struct bus_places *places, size_t i);
bool bus_places_has(const struct bus_places *places, const char *endpoint);

/* A name was not looked up yet. */
bool bus_places_is_open(const struct bus_places *places);

/* Somebody is not where he was. */
void bus_places_look_again(struct bus_places *places);

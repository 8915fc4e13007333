/*
 * bus_many: a subscription to several publishers (replicas of one service): one to each place there
 * is, all telling the same function.
 */
#include "bus/bus_inside.h"

#include "bus/bus_places.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A place that is no longer on the list is left when nothing has come from it for so long. */
enum { LEFT_AFTER_MS = 10 * 1000 };

struct bus_many {
	struct bus *bus;
	struct bus_places *places;
	char server_key[BUS_KEY_TEXT_BYTES];
	const ProtobufCMessageDescriptor *type;
	bus_event_fn fn;
	void *arg;
	struct bus_subscription *members[BUS_PLACES_MAX];
};

static bool
has_member(const struct bus_many *many, const char *endpoint)
{
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		if (many->members[i] &&
		    strcmp(bus_subscription_endpoint(many->members[i]), endpoint) == 0)
			return true;
	return false;
}

static int
add_member(struct bus_many *many, const char *endpoint)
{
	size_t i = 0;

	while (i < BUS_PLACES_MAX && many->members[i])
		i++;
	if (i == BUS_PLACES_MAX)
		return 0; /* enough of them */
	return bus_subscribe_one(many->bus, endpoint, many->server_key[0] ? many->server_key : NULL,
				 many->type, many->fn, many->arg, many, &many->members[i]);
}

static int
add_members(struct bus_many *many)
{
	const char *endpoint;
	int r = 0;

	for (size_t i = 0; r == 0 && (endpoint = bus_places_at(many->places, i)); i++)
		if (!has_member(many, endpoint))
			r = add_member(many, endpoint);
	return r;
}

static void
on_places(void *arg)
{
	struct bus_many *many = arg;
	int r = add_members(many);

	if (r < 0)
		log_warn("subscription_not_added", "type=%s error=%d", many->type->short_name, r);
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		if (many->members[i] &&
		    !bus_places_has(many->places, bus_subscription_endpoint(many->members[i])) &&
		    bus_subscription_silence_ms(many->members[i]) > LEFT_AFTER_MS)
			bus_unsubscribe(&many->members[i]);
}

void
bus_many_look_again(struct bus_many *many)
{
	bus_places_look_again(many->places);
}

int
bus_many_new(struct bus *bus, const char *endpoints, const char *server_key,
	     const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
	     struct bus_many **ret)
{
	struct bus_many *many = calloc(1, sizeof(*many));
	int r;

	if (!many)
		return -ENOMEM;
	many->bus = bus;
	many->type = type;
	many->fn = fn;
	many->arg = arg;
	if (server_key && strlen(server_key) < sizeof(many->server_key))
		strcpy(many->server_key, server_key);
	r = bus_places_new(bus->loop, endpoints, on_places, many, &many->places);
	if (r == 0)
		r = add_members(many);
	if (r < 0) {
		bus_many_free(&many);
		return r;
	}
	*ret = many;
	return 0;
}

void
bus_many_free(struct bus_many **many)
{
	struct bus_many *m = *many;

	if (!m)
		return;
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		bus_unsubscribe(&m->members[i]);
	bus_places_free(&m->places);
	free(m);
	*many = NULL;
}

/*
 * bus_places: see bus_places.h.
 */
#include "bus/bus_places.h"

#include "log/log.h"
#include "loop/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 500,
	AGAIN_MIN_MS = 2000,	  /* between two looks, however often somebody asks */
	AGAIN_MAX_MS = 30 * 1000, /* replicas come too */
	PORT_BYTES = 8,
	ADDRESS_BYTES = 64,
};

/* One item of the list. */
struct item {
	struct bus_places *places;
	bool is_name, was_looked_up;
	char host[LOOKUP_HOST_BYTES], port[PORT_BYTES];
	struct lookup *lookup;
	char found[LOOKUP_MAX][BUS_ENDPOINT_BYTES]; /* or the item itself */
	size_t n;
};

struct bus_places {
	struct loop *loop;
	bus_places_fn fn;
	void *arg;
	struct item items[BUS_PLACES_MAX];
	size_t n;
	bool look_again;
	int64_t looked_ms;
	struct loop_timer *timer;
};

/* The host between "tcp://" and the last colon; false when there is none. */
static bool
split(const char *endpoint, size_t n, char host[LOOKUP_HOST_BYTES], char port[PORT_BYTES])
{
	const char *start = endpoint + strlen("tcp://");
	const char *colon;

	if (n < strlen("tcp://") || strncmp(endpoint, "tcp://", strlen("tcp://")) != 0)
		return false;
	colon = memrchr(start, ':', n - strlen("tcp://"));
	if (!colon || colon == start || (size_t)(colon - start) >= LOOKUP_HOST_BYTES)
		return false;
	size_t port_n = n - (size_t)(colon + 1 - endpoint);
	if (port_n == 0 || port_n >= PORT_BYTES)
		return false;
	memcpy(host, start, (size_t)(colon - start));
	host[colon - start] = '\0';
	memcpy(port, colon + 1, port_n);
	port[port_n] = '\0';
	return true;
}

/* Addresses, [v6], and libzmq's own notations (a source before ';', '*') are no names. */
static bool
is_name(const char *host)
{
	struct in_addr address;

	return inet_pton(AF_INET, host, &address) != 1 && !strpbrk(host, "[]*;:%");
}

bool
bus_places_are_many(const char *endpoints)
{
	char host[LOOKUP_HOST_BYTES], port[PORT_BYTES];

	return strchr(endpoints, ',') != NULL ||
	       (split(endpoints, strlen(endpoints), host, port) && is_name(host));
}

static int
take_item(struct bus_places *places, const char *text, size_t n)
{
	enum bus_transport transport;
	struct item *item;

	while (n > 0 && *text == ' ')
		text++, n--;
	while (n > 0 && text[n - 1] == ' ')
		n--;
	if (n >= BUS_ENDPOINT_BYTES || places->n == BUS_PLACES_MAX)
		return -EINVAL;
	item = &places->items[places->n];
	memcpy(item->found[0], text, n);
	item->found[0][n] = '\0';
	if (bus_transport_of(item->found[0], &transport) < 0)
		return -EINVAL;
	item->places = places;
	item->is_name = split(text, n, item->host, item->port) && is_name(item->host);
	item->n = item->is_name ? 0 : 1;
	places->n++;
	return 0;
}

static int
take_items(struct bus_places *places, const char *endpoints)
{
	int r = 0;

	for (const char *at = endpoints; r == 0; at++) {
		size_t n = strcspn(at, ",");

		r = take_item(places, at, n);
		at += n;
		if (*at == '\0')
			break;
	}
	return r;
}

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

/* A name that cannot be looked up now stands for what it stood for. */
static void
on_found(const struct sockaddr_storage *addresses, size_t n, const char *error, void *arg)
{
	struct item *item = arg;
	struct bus_places *places = item->places;

	(void)error;
	if (n > 0)
		item->n = 0;
	for (size_t i = 0; i < n; i++)
		if (format(&addresses[i], item->port, item->found[item->n]))
			item->n++;
	if (n == 0) {
		places->look_again = true;
		if (!item->was_looked_up)
			log_warn("bus_name_unknown", "host=%s", item->host);
	}
	item->was_looked_up = true;
	places->fn(places->arg);
}

static void
look(struct bus_places *places)
{
	places->look_again = false;
	places->looked_ms = loop_now_ms(places->loop);
	for (size_t i = 0; i < places->n; i++) {
		struct item *item = &places->items[i];

		if (item->is_name && !item->lookup &&
		    lookup_start(places->loop, item->host, on_found, item, &item->lookup) < 0)
			places->look_again = true;
	}
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct bus_places *places = arg;
	int64_t age_ms = loop_now_ms(loop) - places->looked_ms;

	if (age_ms >= AGAIN_MAX_MS || (places->look_again && age_ms >= AGAIN_MIN_MS))
		look(places);
}

static bool
has_names(const struct bus_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		if (places->items[i].is_name)
			return true;
	return false;
}

int
bus_places_new(struct loop *loop, const char *endpoints, bus_places_fn fn, void *arg,
	       struct bus_places **ret)
{
	struct bus_places *places = calloc(1, sizeof(*places));
	int r;

	if (!places)
		return -ENOMEM;
	places->loop = loop;
	places->fn = fn;
	places->arg = arg;
	r = take_items(places, endpoints);
	if (r == 0 && has_names(places)) {
		look(places);
		r = loop_timer_start(loop, TICK_MS, TICK_MS, on_timer, places, &places->timer);
	}
	if (r < 0) {
		bus_places_free(&places);
		return r;
	}
	*ret = places;
	return 0;
}

void
bus_places_free(struct bus_places **places)
{
	struct bus_places *p = *places;

	if (!p)
		return;
	loop_timer_stop(&p->timer);
	for (size_t i = 0; i < p->n; i++)
		lookup_stop(&p->items[i].lookup);
	free(p);
	*places = NULL;
}

const char *
bus_places_at(const struct bus_places *places, size_t i)
{
	for (size_t item = 0; item < places->n; item++) {
		if (i < places->items[item].n)
			return places->items[item].found[i];
		i -= places->items[item].n;
	}
	return NULL;
}

bool
bus_places_has(const struct bus_places *places, const char *endpoint)
{
	const char *place;

	for (size_t i = 0; (place = bus_places_at(places, i)); i++)
		if (strcmp(place, endpoint) == 0)
			return true;
	return false;
}

bool
bus_places_is_open(const struct bus_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		if (places->items[i].is_name && !places->items[i].was_looked_up)
			return true;
	return false;
}

void
bus_places_look_again(struct bus_places *places)
{
	places->look_again = true;
}

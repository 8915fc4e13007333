/*
 * routing's connections to relays: one peer and three subscriptions each. Hears LegAttached,
 * LegDetached and RelayLoad; asks ListLegs at first, after a gap and now and then; asks the bus
 * itself whether the relay is there, so that discovery's death changes nothing.
 */
#include "routing/routing_handlers.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PING_PERIOD_MS = 2000,
	PING_TIMEOUT_MS = 1500,
	PINGS_MISSED_MAX = 2,
	LIST_PERIOD_MS = 30 * 1000,
	LIST_TIMEOUT_MS = 3000,
	SETTLE_MS = 2000,
};

struct routing_link {
	struct routing *routing;
	struct table_relay *relay;
	struct bus_peer *peer;
	struct bus_subscription *attached, *detached, *load;
	char bus_endpoint[ROUTING_ENDPOINT_BYTES], event_endpoint[ROUTING_ENDPOINT_BYTES];
	char bus_key[ROUTING_KEY_BYTES];
	bool listing, list_due;
	char cursor[ROUTING_CURSOR_BYTES];
	int64_t listed_ms, pinged_ms;
	unsigned int missed_pings;
	bool marked, gone; /* discovery says it is */
	struct routing_link *next;
};

static void list_legs(struct routing_link *link);
static void ask_page(struct routing_link *link);

static struct routing_link *
find(const struct routing *routing, const char *relay_id)
{
	struct routing_link *link = routing->links;

	while (link != NULL && strcmp(link->relay->id, relay_id) != 0)
		link = link->next;
	return link;
}

/* True unless there was no memory for it: then the relay is to be asked again. */
static bool
take_leg(struct routing_link *link, const Boson__Relay__LegAttached *leg)
{
	uint8_t id[UUID_BYTES];
	int error = -EINVAL;

	if (leg->node_id != NULL && uuid_parse(leg->node_id, id) == 0)
		error = table_leg_attach(&link->routing->table, link->relay, id, leg->generation,
					 leg->has_rtt ? leg->rtt : 0);
	if (error != 0)
		log_warn("leg_not_indexed", "relay=%s", link->relay->id);
	return error != -ENOMEM;
}

static void
take_gap(struct routing_link *link)
{
	table_relay_note_gap(&link->routing->table, link->relay);
	list_legs(link);
}

static void
on_attached(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct routing_link *link = arg;

	if (event != NULL && !take_leg(link, (const Boson__Relay__LegAttached *)event))
		link->list_due = true;
	if (gap)
		take_gap(link);
}

static void
on_detached(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegDetached *leg = (const Boson__Relay__LegDetached *)event;
	struct routing_link *link = arg;
	uint8_t id[UUID_BYTES];

	if (leg != NULL && leg->node_id != NULL && uuid_parse(leg->node_id, id) == 0)
		table_leg_detach(&link->routing->table, link->relay, id, leg->generation);
	if (gap)
		take_gap(link);
}

static void
on_load(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__RelayLoad *load = (const Boson__Relay__RelayLoad *)event;
	struct routing_link *link = arg;

	(void)gap; /* the next one says all */
	if (load != NULL && load->has_load)
		table_relay_set_load(link->relay, load->load,
				     loop_now_ms(link->routing->context->loop));
}

static void
heard(struct routing_link *link)
{
	link->missed_pings = 0;
	table_relay_set_alive(&link->routing->table, link->relay, true);
}

static void
on_legs(const Boson__Relay__ListLegsReply *reply, void *arg)
{
	struct routing_link *link = arg;
	bool is_whole = reply != NULL && !link->routing->stopping;

	if (is_whole)
		heard(link);
	for (size_t i = 0; is_whole && i < reply->n_legs; i++)
		is_whole = take_leg(link, reply->legs[i]);
	if (!is_whole) {
		link->listing = false;
		link->list_due = true;
		return;
	}
	if (reply->next_cursor != NULL && strlen(reply->next_cursor) < sizeof(link->cursor)) {
		strcpy(link->cursor, reply->next_cursor);
		ask_page(link);
		return;
	}
	table_listing_end(&link->routing->table, link->relay);
	link->listing = false;
	link->listed_ms = loop_now_ms(link->routing->context->loop);
	if (link->list_due)
		list_legs(link);
}

static void
ask_page(struct routing_link *link)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;

	request.cursor = link->cursor[0] == '\0' ? NULL : link->cursor;
	bus_peer_next(link->peer, LIST_TIMEOUT_MS, NULL);
	boson__relay__relay__list_legs(bus_peer_service(link->peer), &request, on_legs, link);
}

/* A gap while a listing runs makes another one after it. */
static void
list_legs(struct routing_link *link)
{
	if (link->listing) {
		link->list_due = true;
		return;
	}
	link->listing = true;
	link->list_due = false;
	link->cursor[0] = '\0';
	table_listing_begin(link->relay);
	ask_page(link);
}

static void
on_ping(bool alive, uint32_t round_trip_us, void *arg)
{
	struct routing_link *link = arg;

	(void)round_trip_us;
	if (link->routing->stopping)
		return;
	if (alive) {
		heard(link);
		return;
	}
	if (++link->missed_pings == PINGS_MISSED_MAX)
		log_warn("relay_silent", "relay=%s", link->relay->id);
	if (link->missed_pings >= PINGS_MISSED_MAX)
		table_relay_set_alive(&link->routing->table, link->relay, false);
}

/* ---- the life of a link ---- */

static void
disconnect(struct routing_link *link)
{
	struct bus_peer *peer = link->peer;

	bus_unsubscribe(&link->attached);
	bus_unsubscribe(&link->detached);
	bus_unsubscribe(&link->load);
	/* What is under way fails first, and looks for another link: not for this one. */
	link->peer = NULL;
	bus_peer_free(&peer);
	link->listing = false;
}

static int
connect_link(struct routing_link *link)
{
	const char *key = link->bus_key[0] == '\0' ? NULL : link->bus_key;
	struct bus *bus = link->routing->context->bus;
	int error;

	error = bus_peer_new(bus, link->bus_endpoint, key, &boson__relay__relay__descriptor,
			     &link->peer);
	if (error == 0)
		error = bus_subscribe(bus, link->event_endpoint, key,
				      &boson__relay__leg_attached__descriptor, on_attached, link,
				      &link->attached);
	if (error == 0)
		error = bus_subscribe(bus, link->event_endpoint, key,
				      &boson__relay__leg_detached__descriptor, on_detached, link,
				      &link->detached);
	if (error == 0)
		error = bus_subscribe(bus, link->event_endpoint, key,
				      &boson__relay__relay_load__descriptor, on_load, link,
				      &link->load);
	return error;
}

static void
remove_link(struct routing *routing, struct routing_link *link)
{
	struct routing_link **at = &routing->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	disconnect(link);
	table_relay_remove(&routing->table, link->relay);
	free(link);
}

static bool
is_same_place(const struct routing_link *link, const Boson__Common__Relay *message)
{
	return strcmp(link->bus_endpoint, message->bus_endpoint) == 0 &&
	       strcmp(link->event_endpoint, message->event_endpoint) == 0 &&
	       strcmp(link->bus_key, message->bus_key == NULL ? "" : message->bus_key) == 0;
}

static bool
is_usable(const struct routing *routing, const Boson__Common__Relay *message)
{
	return message->id != NULL && message->group != NULL &&
	       strcmp(message->group, routing->relay_group) == 0 && message->bus_endpoint != NULL &&
	       message->event_endpoint != NULL &&
	       strlen(message->bus_endpoint) < ROUTING_ENDPOINT_BYTES &&
	       strlen(message->event_endpoint) < ROUTING_ENDPOINT_BYTES &&
	       (message->bus_key == NULL || strlen(message->bus_key) < ROUTING_KEY_BYTES);
}

static struct routing_link *
add_link(struct routing *routing, struct table_relay *relay)
{
	struct routing_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	link->routing = routing;
	link->relay = relay;
	link->next = routing->links;
	routing->links = link;
	return link;
}

void
routing_links_put(struct routing *routing, const Boson__Common__Relay *message)
{
	struct routing_link *link;
	struct table_relay *relay;
	int error;

	if (!is_usable(routing, message))
		return;
	error = table_relay_put(&routing->table, message, &relay);
	if (error != 0) {
		log_warn("relay_not_indexed", "relay=%s error=%d", message->id, error);
		return;
	}
	if (message->has_load)
		table_relay_set_load(relay, message->load, loop_now_ms(routing->context->loop));
	link = find(routing, relay->id);
	if (link == NULL)
		link = add_link(routing, relay);
	if (link == NULL)
		return;
	link->marked = true;
	link->gone = false;
	if (link->peer != NULL && is_same_place(link, message))
		return;
	disconnect(link);
	strcpy(link->bus_endpoint, message->bus_endpoint);
	strcpy(link->event_endpoint, message->event_endpoint);
	strcpy(link->bus_key, message->bus_key == NULL ? "" : message->bus_key);
	error = connect_link(link);
	if (error != 0) {
		log_warn("relay_not_connected", "relay=%s error=%d", relay->id, error);
		remove_link(routing, link);
		return;
	}
	log_info("relay_connected", "relay=%s endpoint=%s", relay->id, link->bus_endpoint);
	list_legs(link);
}

void
routing_links_gone(struct routing *routing, const char *relay_id)
{
	struct routing_link *link = find(routing, relay_id);

	if (link != NULL)
		link->gone = true;
}

void
routing_links_mark(struct routing *routing)
{
	for (struct routing_link *link = routing->links; link != NULL; link = link->next)
		link->marked = false;
}

void
routing_links_sweep(struct routing *routing)
{
	for (struct routing_link *link = routing->links; link != NULL; link = link->next)
		if (!link->marked)
			link->gone = true;
}

void
routing_links_tick(struct routing *routing, int64_t now_ms)
{
	struct routing_link *next;

	if (routing->settled_by_ms == 0)
		routing->settled_by_ms = now_ms + SETTLE_MS;
	if (now_ms >= routing->settled_by_ms)
		routing->is_settled = true;
	for (struct routing_link *link = routing->links; link != NULL; link = next) {
		next = link->next;
		if (link->gone && !link->relay->alive) {
			log_info("relay_forgotten", "relay=%s", link->relay->id);
			remove_link(routing, link);
			continue;
		}
		table_relay_age(link->relay, now_ms);
		if (now_ms - link->pinged_ms >= PING_PERIOD_MS) {
			link->pinged_ms = now_ms;
			bus_peer_ping(link->peer, PING_TIMEOUT_MS, on_ping, link);
		}
		if (!link->listing &&
		    (link->list_due || now_ms - link->listed_ms >= LIST_PERIOD_MS))
			list_legs(link);
	}
}

bool
routing_links_are_settled(const struct routing *routing)
{
	const struct routing_link *link = routing->links;

	while (link != NULL && link->listed_ms != 0)
		link = link->next;
	return link == NULL || routing->is_settled;
}

void
routing_links_stop(struct routing *routing)
{
	while (routing->links != NULL)
		remove_link(routing, routing->links);
}

struct bus_peer *
routing_links_peer(const struct routing *routing, const char *relay_id)
{
	const struct routing_link *link = find(routing, relay_id);

	return link == NULL ? NULL : link->peer;
}

bool
routing_links_describe(const struct routing *routing, const char *relay_id,
		       Boson__Common__Relay *ret)
{
	struct routing_link *link = find(routing, relay_id);

	if (link == NULL)
		return false;
	boson__common__relay__init(ret);
	ret->id = link->relay->id;
	ret->relay_endpoint = link->relay->relay_endpoint;
	if (link->relay->udp_endpoint[0] != '\0')
		ret->udp_endpoint = link->relay->udp_endpoint;
	ret->has_load = 1;
	ret->load = link->relay->load;
	ret->group = link->relay->group;
	ret->bus_endpoint = link->bus_endpoint;
	if (link->bus_key[0] != '\0')
		ret->bus_key = link->bus_key;
	ret->event_endpoint = link->event_endpoint;
	ret->has_draining = 1;
	ret->draining = link->relay->draining;
	return true;
}

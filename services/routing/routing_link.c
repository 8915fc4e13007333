/* routing_link: see the header. */
#include "routing/routing_link.h"

#include "log/log.h"

#include <errno.h>
#include <string.h>

enum {
	PING_PERIOD_MS = 2000,
	PING_TIMEOUT_MS = 1500,
	PINGS_MISSED_MAX = 2,
	LIST_PERIOD_MS = 30 * 1000,
	LIST_TIMEOUT_MS = 3000,
};

static void ask_page(struct routing_link *link);

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
	routing_link_list(link);
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
		routing_link_list(link);
}

static void
ask_page(struct routing_link *link)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;

	request.cursor = link->cursor[0] == '\0' ? NULL : link->cursor;
	bus_peer_next(link->peer, LIST_TIMEOUT_MS, NULL);
	boson__relay__relay__list_legs(bus_peer_service(link->peer), &request, on_legs, link);
}

void
routing_link_list(struct routing_link *link)
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

void
routing_link_disconnect(struct routing_link *link)
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

int
routing_link_connect(struct routing_link *link)
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

void
routing_link_tick(struct routing_link *link, int64_t now_ms)
{
	if (now_ms - link->pinged_ms >= PING_PERIOD_MS) {
		link->pinged_ms = now_ms;
		bus_peer_ping(link->peer, PING_TIMEOUT_MS, on_ping, link);
	}
	if (!link->listing && (link->list_due || now_ms - link->listed_ms >= LIST_PERIOD_MS))
		routing_link_list(link);
}

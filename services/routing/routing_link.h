/*
 * routing_link: routing's connection to one relay: a peer and three subscriptions. Hears
 * LegAttached, LegDetached and RelayLoad; asks ListLegs at first, after a gap and now and then;
 * asks the bus itself whether the relay is there. What it hears goes into the table.
 */
#pragma once

#include "relay.pb-c.h"
#include "routing/routing_handlers.h"

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

/* 0, or -errno: then it may be connected in part, and is to be disconnected. */
int routing_link_connect(struct routing_link *link);
void routing_link_disconnect(struct routing_link *link);

/* Asks for the relay's legs; when that is under way, once more after it. */
void routing_link_list(struct routing_link *link);

/* Pings and lists when it is time. */
void routing_link_tick(struct routing_link *link, int64_t now_ms);

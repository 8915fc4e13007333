/*
 * gateway_events: what happens in the fleet, to those who watch (GET /events). While somebody does,
 * it hears the events of discovery, routing and every relay that discovery knows, and sends each on
 * as
 *
 *	{"event":"nodeChanged","timestamp":<epoch ms>,"data":{...the message's public fields...}}
 *
 * An event is a hint: it may be missed, and who needs the truth asks the endpoints. On the
 * gateway's loop.
 */
#pragma once

#include "bus/bus.h"
#include "service/service.h"

#include <stdbool.h>

enum { GATEWAY_WATCHERS_MAX = 64 };

struct gateway_events;

/* discovery: borrowed; it must be freed before this is, which ends what is asked of it. */
int gateway_events_new(const struct actor_context *context, struct bus_peer *discovery,
		       struct gateway_events **ret);
void gateway_events_free(struct gateway_events **events);

bool gateway_events_have_room(const struct gateway_events *events);

/* Serves a WebSocket that was agreed on; closed(arg) is called once, when it is over, and closes
 * the socket, perhaps before this returns. 0, or -errno, and closed is not called. expires_ms: on
 * the loop's clock. */
int gateway_events_watch(struct gateway_events *events, int socket, int64_t expires_ms,
			 void (*closed)(void *arg), void *arg);

/* Tells all to go. */
void gateway_events_drain(struct gateway_events *events);

/*
 * gateway_events_inside: what gateway_events.c (who watches) and gateway_events_sources.c (who is
 * heard) share. For them alone.
 */
#pragma once

#include "gateway/gateway_events.h"
#include "gateway/gateway_watcher.h"

enum {
	EVENT_SOURCES_MAX = 1024, /* relays, and those from before */
	EVENT_KINDS_OF_RELAYS = 5,
	EVENTS_REMEMBERED = 256,
	RELAY_ID_BYTES = 65,
	RELAY_ENDPOINT_BYTES = 256,
};

/* One relay that is heard. */
struct event_source {
	struct event_source *next;
	struct gateway_events *events;
	char id[RELAY_ID_BYTES], endpoint[RELAY_ENDPOINT_BYTES];
	struct bus_subscription *subscriptions[EVENT_KINDS_OF_RELAYS];
};

struct watching {
	struct gateway_events *events;
	struct gateway_watcher *watcher; /* NULL: a free place */
	void (*closed)(void *arg);
	void *arg;
};

struct gateway_events {
	const struct actor_context *context;
	struct bus_peer *discovery;
	struct watching watching[GATEWAY_WATCHERS_MAX];
	size_t watching_n;
	struct loop_timer *tick;
	struct bus_subscription *nodes, *relays, *sessions;
	struct event_source *sources;
	size_t sources_n;
	bool is_heard, is_asking;
	/* Replicas tell the same: what was sent on lately. */
	struct {
		uint64_t hash;
		int64_t at_ms;
	} sent[EVENTS_REMEMBERED];
	size_t sent_at;
	struct metric *watchers, *slow, *sent_on;
};

/* To all who watch. */
void gateway_events_show(struct gateway_events *events, const ProtobufCMessage *event);

/* Begins and ends to hear what there is. */
int gateway_events_hear(struct gateway_events *events);
void gateway_events_deafen(struct gateway_events *events);

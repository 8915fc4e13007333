/*
 * relay_ahead: with many legs most of what a message touches has left the processor's caches since
 * the last one of the same leg. While one event is worked on, what the next ones will touch is
 * fetched: the leg, then what it points at, a step for each event that passes.
 */
#pragma once

#include "relay/relay_shard.h"

#include <sys/epoll.h>

/* events[0] is worked on next; n: how many there are. Reads legs, changes nothing. */
void relay_ahead(const struct relay_shard *shard, const struct epoll_event *events, int n);

enum relay_event_kind {
	RELAY_EVENT_MAIL,
	RELAY_EVENT_CONNECTIONS,
	RELAY_EVENT_UDP,
	RELAY_EVENT_LEG, /* data.ptr is one; else the shard's own */
};

static inline enum relay_event_kind
relay_event_kind(const struct relay_shard *shard, const struct epoll_event *event)
{
	if (event->data.ptr == &shard->mailbox)
		return RELAY_EVENT_MAIL;
	if (event->data.ptr == &shard->accept)
		return RELAY_EVENT_CONNECTIONS;
	if (event->data.ptr == shard->udp)
		return RELAY_EVENT_UDP;
	return RELAY_EVENT_LEG;
}

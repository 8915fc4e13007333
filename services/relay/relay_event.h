/*
 * relay_event: whose an event of a shard's epoll is, told by its data.ptr, which is all that epoll
 * keeps. One list for who works on events (relay_turn) and who looks ahead at them (relay_ahead).
 */
#pragma once

#include "relay/relay_shard.h"

#include <sys/epoll.h>

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

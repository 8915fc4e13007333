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

/*
 * relay_counters: what a relay counts, each thing once, in one table. A shard writes its own set
 * without locks; the control actor reads the sum of all at any time (GetStats) and folds it into
 * the metrics registry.
 */
#pragma once

#include "metrics/metrics.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum relay_counter {
	/* Datagrams taken towards the other leg, by WireGuard type; order of datagram.h. */
	RELAY_DATAGRAMS_INITIATION,
	RELAY_DATAGRAMS_RESPONSE,
	RELAY_DATAGRAMS_COOKIE,
	RELAY_DATAGRAMS_TRANSPORT,
	RELAY_BYTES_UP, /* datagrams' bytes, client to node */
	RELAY_BYTES_DOWN,
	RELAY_MESSAGES_UP,
	RELAY_MESSAGES_DOWN,
	/* Datagrams that went no further. */
	RELAY_DROP_SHORT, /* order of enum datagram_fault */
	RELAY_DROP_TYPE,
	RELAY_DROP_RESERVED,
	RELAY_DROP_LENGTH,
	RELAY_DROP_NO_NODE,
	RELAY_DROP_NO_CHANNEL,
	RELAY_DROP_QUEUE_FULL,
	RELAY_DROP_QUEUE_AGE,
	RELAY_DROP_LEG_GONE,
	RELAY_DROP_MEMORY,
	RELAY_DROP_RATE,
	RELAY_BAD_MESSAGES, /* each cost its leg */
	RELAY_CONTROL_IN,
	RELAY_CONTROL_OUT,
	RELAY_ACCEPTED,
	RELAY_ACCEPT_LIMITED,
	RELAY_UPGRADE_400,
	RELAY_UPGRADE_401,
	RELAY_UPGRADE_403,
	RELAY_UPGRADE_404,
	RELAY_UPGRADE_405,
	RELAY_UPGRADE_426,
	RELAY_UPGRADE_429,
	RELAY_UPGRADE_431,
	RELAY_UPGRADE_503,
	RELAY_UPGRADE_101,
	RELAY_UPGRADE_LOST, /* the connection went, or TLS failed, before there was an answer */
	RELAY_EXPIRED,	    /* upgrades not made in time */
	RELAY_CROWDED_OUT,  /* before their time, by others who wait for a place */
	RELAY_ATTACHED,	    /* legs admitted */
	RELAY_REPLACED,
	RELAY_CONTESTED, /* legs refused because they take each other's place */
	RELAY_CLOSED_CONTROL,
	RELAY_CLOSED_STALLED,
	RELAY_CLOSED_SILENT,
	RELAY_CLOSED_PROTOCOL,
	RELAY_CLOSED_PEER,
	RELAY_CLOSED_EXPIRED,
	RELAY_MOVED, /* connections handed to their shard */
	RELAY_REPORTS_LOST,
	RELAY_MESH_DROPPED,	     /* messages to other relays that did not go */
	RELAY_MESH_REFUSED_LINKS,    /* a name has as many as it may */
	RELAY_MESH_REFUSED_FULL,     /* there are as many links or names as may be */
	RELAY_MESH_REFUSED_CHANNELS, /* a name, or the node, has as many as it may */
	RELAY_MESH_BYTES_OUT,
	RELAY_MESH_BYTES_IN,
	/* UDP ingress: datagrams that went no further; from SHORT on in order of enum
	 * relay_udp_fault. */
	RELAY_UDP_DROP_SHORT,
	RELAY_UDP_DROP_TYPE,
	RELAY_UDP_DROP_RESERVED,
	RELAY_UDP_DROP_LENGTH,
	RELAY_UDP_DROP_SIZE,
	RELAY_UDP_DROP_COUNTER,
	RELAY_UDP_DROP_SOURCE,
	RELAY_UDP_DROP_MARTIAN,
	RELAY_UDP_DROP_LOOP,
	RELAY_UDP_DROP_DESTINATION,
	RELAY_UDP_DROP_MAC1,
	RELAY_UDP_DROP_INDEX,
	RELAY_UDP_DROP_RATE,   /* of a stranger, or of a half-open leg */
	RELAY_UDP_DROP_BUDGET, /* not all nodes could be tried */
	RELAY_UDP_DROP_QUOTA,  /* of a session */
	RELAY_UDP_DROP_NO_NODE,
	RELAY_UDP_DROP_NO_ROOM,
	RELAY_UDP_DROP_UNPROVEN, /* from the node: more than its client has proven worth */
	RELAY_UDP_DROP_SEND,	 /* the system took it not */
	RELAY_UDP_DROP_MEMORY,
	RELAY_UDP_OPENED,
	RELAY_UDP_VALIDATED,
	RELAY_UDP_EVICTED,
	RELAY_UDP_EXPIRED,
	RELAY_UDP_ALARMS, /* one session's index used from too many sources */
	RELAY_UDP_COOKIES, /* replies, in a node's place */
	RELAY_UDP_HASHES,
	RELAY_UDP_HANDED_OVER, /* datagrams, to the shard of their node */
	/* How it stands; these go up and down. */
	RELAY_LEGS_UDP,
	RELAY_LEGS_NODE,
	RELAY_LEGS_CLIENT,
	RELAY_LEGS_MOVING,  /* shared: on their way from a door to a shard */
	RELAY_MESH_NODES,   /* at other relays, with clients here */
	RELAY_MESH_CLIENTS, /* at other relays, with their node here */
	RELAY_MESH_LINKS,
	RELAY_QUEUED_BYTES,
	RELAY_HELD_BYTES,
	RELAY_COUNTER_COUNT,
};

struct relay_counters {
	_Atomic uint64_t value[RELAY_COUNTER_COUNT];
};

/* One writer each (but see relay_count_shared), so no read-modify-write across threads: a plain add
 * to the processor. */
static inline void
relay_count(struct relay_counters *counters, enum relay_counter which, uint64_t n)
{
	uint64_t now = atomic_load_explicit(&counters->value[which], memory_order_relaxed);

	atomic_store_explicit(&counters->value[which], now + n, memory_order_relaxed);
}

/* One that several threads write, and so never by relay_count. */
static inline void
relay_count_shared(struct relay_counters *counters, enum relay_counter which, uint64_t n)
{
	atomic_fetch_add_explicit(&counters->value[which], n, memory_order_relaxed);
}

static inline uint64_t
relay_counter_get(const struct relay_counters *counters, enum relay_counter which)
{
	return atomic_load_explicit(&counters->value[which], memory_order_relaxed);
}

enum { RELAY_COUNTER_NAME_BYTES = 64 };

/* drops_total{reason="type"}: the name it has in metrics and in GetStats. */
void relay_counter_name(enum relay_counter which, char ret_name[RELAY_COUNTER_NAME_BYTES]);

/* Folds sums into the registry: called now and then with the same `sums` storage, all zero first.
 * last remembers what was folded before. */
void relay_counters_fold(struct metrics *metrics, const uint64_t sums[RELAY_COUNTER_COUNT],
			 uint64_t last[RELAY_COUNTER_COUNT]);

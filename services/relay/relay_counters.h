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
	RELAY_REFUSED,	/* upgrades answered with a status */
	RELAY_EXPIRED,	/* upgrades not made in time */
	RELAY_ATTACHED, /* legs admitted */
	RELAY_REPLACED,
	RELAY_CLOSED_STALLED,
	RELAY_CLOSED_SILENT,
	RELAY_CLOSED_PROTOCOL,
	RELAY_CLOSED_PEER,
	RELAY_MOVED, /* connections handed to another shard */
	RELAY_REPORTS_LOST,
	/* How it stands; these go up and down. */
	RELAY_LEGS_NODE,
	RELAY_LEGS_CLIENT,
	RELAY_QUEUED_BYTES,
	RELAY_COUNTER_COUNT,
};

struct relay_counters {
	_Atomic uint64_t value[RELAY_COUNTER_COUNT];
};

/* One writer each, so no read-modify-write across threads: a plain add to the processor. */
static inline void
relay_count(struct relay_counters *counters, enum relay_counter which, uint64_t n)
{
	uint64_t now = atomic_load_explicit(&counters->value[which], memory_order_relaxed);

	atomic_store_explicit(&counters->value[which], now + n, memory_order_relaxed);
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

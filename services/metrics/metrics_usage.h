/*
 * metrics_usage: what sessions used, as their relays report it, until it is in the tables. A node
 * counts a session from zero in each of its runs (epochs) and reports absolute figures: of each
 * (session, node, epoch) the greatest is kept, here and in the tables, and the sum over epochs is
 * what the session used. So reports may be lost, late or doubled, nodes, relays and we may restart,
 * and two of us may hear the same. The model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { USAGE_PENDING_MAX = 256 * 1024 };

struct usage_key {
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES];
	uint64_t epoch; /* the node's run; 0: it did not say */
};

struct usage {
	struct usage_key key;
	struct idtable_link by_key;
	uint64_t up, down;
	int64_t reported_at_ms; /* epoch */
	STAILQ_ENTRY(usage) by_age;
};

struct usages {
	struct idtable by_key;
	STAILQ_HEAD(, usage) by_age; /* the oldest first */
	uint64_t dropped;	     /* that had to make room */
};

int usages_init(struct usages *usages);
void usages_fini(struct usages *usages);

/* One report. 0 or -ENOMEM. When all places are taken, the oldest pending one makes room. */
int usages_report(struct usages *usages, const struct usage_key *key, uint64_t up, uint64_t down,
		  int64_t reported_at_ms);

/* Up to max pending ones, the oldest first; they are the caller's, to be freed, or put back. */
size_t usages_take(struct usages *usages, struct usage **ret, size_t max);
void usages_put_back(struct usages *usages, struct usage **taken, size_t n);

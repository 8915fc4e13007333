/*
 * metrics_usage: what each session used. Relays report absolute figures, so that a lost report
 * costs nothing; a node that started anew counts from zero again, and what it had counted before
 * is kept. The model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>
#include <stdint.h>

enum { USAGE_SESSIONS_MAX = 256 * 1024 };

/* What the store keeps of it. */
struct usage_record {
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES];
	uint64_t before_up, before_down; /* counted before the node last began at zero */
	uint64_t last_up, last_down;	 /* its latest figures */
	int64_t reported_at_ms;		 /* epoch */
};

struct usage {
	struct usage_record record;
	struct idtable_link by_session;
	int64_t heard_ms; /* monotonic */
	struct usage *older, *newer;
	bool unsaved;
	struct usage *unsaved_next;
};

struct usages {
	struct idtable by_session;
	struct usage *oldest, *newest; /* by when they were heard of */
	struct usage *unsaved;
};

int usages_init(struct usages *usages);
void usages_fini(struct usages *usages);
const struct usage *usages_find(const struct usages *usages, const uint8_t id[UUID_BYTES]);

/* One report. Passed over when it is not newer than the last. 0 or -ENOMEM. When the table is full
 * the session that was silent longest makes room. */
int usages_report(struct usages *usages, const uint8_t session_id[UUID_BYTES],
		  const uint8_t node_id[UUID_BYTES], uint64_t up, uint64_t down,
		  int64_t reported_at_ms, int64_t now_ms);

/* A row of the store. 0 or -ENOMEM. */
int usages_load(struct usages *usages, const struct usage_record *record, int64_t now_ms);

uint64_t usage_up(const struct usage *usage);
uint64_t usage_down(const struct usage *usage);

/* Forgets one session that was silent since before_ms; its id is in ret_id. False when none was. */
bool usages_forget(struct usages *usages, int64_t before_ms, uint8_t ret_id[UUID_BYTES]);

/* The next to be saved, off the list by this call, or NULL. */
struct usage *usages_take_unsaved(struct usages *usages);
void usages_put_unsaved(struct usages *usages, struct usage *usage);

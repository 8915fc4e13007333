/*
 * discovery_enrolment_store: nodes that asked to be enrolled and wait, or were refused: the table
 * enrolments, and the only SQL over it. A row goes when its node is registered. Times are epoch
 * milliseconds.
 */
#pragma once

#include "identity/key.h"
#include "store/store.h"

#include <stdbool.h>

enum { ENROLMENT_ADDRESS_BYTES = 64, ENROLMENTS_MAX = 10000 };

enum enrolment_state { ENROLMENT_PENDING, ENROLMENT_APPROVED, ENROLMENT_REFUSED };
const char *enrolment_state_name(enum enrolment_state state);
bool enrolment_state_parse(const char *name, size_t n, enum enrolment_state *ret);

struct enrolment {
	int64_t number; /* in order of asking */
	char node_id[UUID_TEXT_BYTES];
	char public_key[KEY_TEXT_BYTES];
	enum enrolment_state state;
	char address[ENROLMENT_ADDRESS_BYTES];
	int64_t asked_ms, last_asked_ms, decided_ms; /* decided_ms 0: not yet */
};

/* 0, -ENOENT, -EIO. */
int enrolment_find(struct store *store, const char *node_id, struct enrolment *ret);

/* A node that asks for the first time. Forgets those who gave up asking when there are too many. 0;
 * -ENOSPC there still are; -EEXIST; -EIO. */
int enrolment_add(struct store *store, const struct enrolment *enrolment);

/* 0 or -EIO. */
int enrolment_asked(struct store *store, const char *node_id, int64_t now_wall_ms);
int enrolment_remove(struct store *store, const char *node_id);

/* 0, -ENOENT, -EIO. */
int enrolment_decide(struct store *store, const char *node_id, enum enrolment_state state,
		     int64_t now_wall_ms);

/* At most n of this state after this number, in order. The number of rows, or -EIO. */
int enrolment_list(struct store *store, enum enrolment_state state, int64_t after,
		   struct enrolment *ret, size_t n);

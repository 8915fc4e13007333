/*
 * discovery_view: a node as a message: for the public (GetNode, ListNodes), where no private
 * address and nothing secret is shown, or for the other services (Snapshot, NodeChanged). And a
 * registration as the facts that are kept. No I/O, no state.
 */
#pragma once

#include "discovery/discovery_registry.h"
#include "loop/clock.h"

enum view_audience { VIEW_PUBLIC, VIEW_INTERNAL };

/* The message and what it points to. */
struct view {
	Boson__Discovery__Node node;
	Boson__Discovery__Node *facts;
	Boson__Discovery__NodeMetrics metrics;
	Boson__Common__Bandwidth bandwidth;
	Boson__Discovery__NetworkInfo network;
	char id[UUID_TEXT_BYTES];
	char public_key[KEY_TEXT_BYTES];
	char registered_at[CLOCK_ISO8601_BYTES];
	char last_seen[CLOCK_ISO8601_BYTES];
};

void discovery_view_fill(struct view *view, const struct registry_node *node,
			 enum view_audience audience);
void discovery_view_fini(struct view *view);

/* The facts of a checked registration, packed: what the store keeps. *ret is malloc'd. 0 or
 * -ENOMEM. */
int discovery_facts_pack(const Boson__Discovery__RegisterRequest *request, uint8_t **ret,
			 size_t *ret_n);

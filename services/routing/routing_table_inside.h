/* routing_table: what its two files share. */
#pragma once

#include "routing/routing_table.h"

/* The node, made when it is new: it stays only if a fact, a leg or a session holds it, so settle it
 * after. NULL: out of memory. */
struct table_node *table_node_get(struct table *table, const uint8_t id[UUID_BYTES]);

/* Puts a node into its pools or takes it out, as it can be chosen or not, and frees one that
 * nothing holds: node must not be used after. 0 or -ENOMEM. */
int table_node_settle(struct table *table, struct table_node *node);

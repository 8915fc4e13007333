/* routing_table: what its files share. */
#pragma once

#include "routing/routing_table.h"

/* The node, made when it is new: it stays only if a fact, a leg or a session holds it, so settle it
 * after. NULL: out of memory. */
struct table_node *table_node_get(struct table *table, const uint8_t id[UUID_BYTES]);

/* Puts a node into its pools or takes it out, as it can be chosen or not, and frees one that
 * nothing holds: node must not be used after. 0 or -ENOMEM. */
int table_node_settle(struct table *table, struct table_node *node);

/* Counts a node that has become known where it belongs, by its facts; and takes it out again,
 * before they change. */
void table_node_join(struct table *table, struct table_node *node);
void table_node_leave(struct table *table, struct table_node *node);

/* Out of its pools, if it is in. */
void table_node_unpool(struct table_node *node);

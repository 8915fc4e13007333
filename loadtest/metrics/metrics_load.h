/* metrics_load: a fleet's tables, filled, written to and asked. */
#pragma once

#include "metrics/metrics_figures.h"
#include "metrics/metrics_handlers.h"
#include "servers.h"

/* The id of node number i. */
void load_node_id(size_t i, uint8_t ret[UUID_BYTES]);

/* Figures as node number i might say them after `minutes`. */
void load_values(size_t i, int64_t minutes, struct metrics_values *ret);

/* Rollups by hour and day of all nodes for the days before end_ms (midnight), in the order of time,
 * as the service would have written them; postgresql: the store's, or NULL. 0 or -EIO. */
int load_fill(struct store *store, const struct servers *postgresql, size_t nodes, size_t days,
	      int64_t end_ms);

/* routing_choice: what its files share. */
#pragma once

#include "routing/routing_choice.h"

/* What an unmeasured way counts as. */
#define CHOICE_LATENCY_UNKNOWN_MS 100.0

/* The client's own round trip to this relay; 0: not measured. */
double choice_client_latency_ms(const struct routing_wish *wish, const struct table_relay *relay);

/* 1 idle, 0 full. */
double choice_free_share(const struct table_node *node);

/* What no waiting will change. */
bool choice_is_suitable(const struct table_node *node, const struct routing_wish *wish);
bool choice_is_near_enough(const struct table_node *node, const struct routing_wish *wish);

/* Target, country and region: what a pool sees to, for a node that no pool was asked for. */
bool choice_is_in_place(const struct table_node *node, const struct routing_wish *wish);

/* This client says so. */
bool choice_has_failed(const struct table_node *node, const struct routing_wish *wish);

/* Too often, of late: it is asked only when there is no other. */
bool choice_is_failing(const struct table_node *node, int64_t now_ms);
double choice_troubles(const struct table_node *node, int64_t now_ms);

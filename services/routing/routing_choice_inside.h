/* routing_choice: what its two files share. */
#pragma once

#include "routing/routing_choice.h"

/* What an unmeasured way counts as. */
#define CHOICE_LATENCY_UNKNOWN_MS 100.0

/* The client's own round trip to this relay; 0: not measured. */
double choice_client_latency_ms(const struct routing_wish *wish, const struct table_relay *relay);

/* 1 idle, 0 full. */
double choice_free_share(const struct table_node *node);

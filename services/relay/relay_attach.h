/*
 * relay_attach: a leg becomes a node's or a session's, and stops being it. The newest proven leg
 * wins. Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

/* A leg whose ticket is good arrives at its node's shard: admitted with a 101, or refused. */
void relay_attach(struct relay_shard *shard, struct relay_leg *leg);

/* A leg that was open goes: its channels, numbers and queues with it. */
void relay_detach(struct relay_shard *shard, struct relay_leg *leg);

/* The node's leg did not come back in time. */
void relay_attach_on_grace_end(struct relay_shard *shard, struct relay_node *node);

/* Tells the control actor what each session's legs carried since the last time. */
void relay_attach_report_usage(struct relay_shard *shard);

/* The node leg's round trip is known, or another than before. */
void relay_attach_report_rtt(struct relay_shard *shard, const struct relay_leg *leg);

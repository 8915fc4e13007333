/*
 * relay_upgrade: what a connection is before it is a leg: bytes of a request, a ticket, a deadline.
 * Shard thread only; the shard is the one that accepted.
 */
#pragma once

#include "relay/relay_leg.h"

/* Makes leg->upgrade and its deadline. -ENOMEM. */
int relay_upgrade_start(struct relay_shard *shard, struct relay_leg *leg);

void relay_upgrade_free(struct relay_upgrade **upgrade);

/* Plain bytes of the request came. Ends in an answer, or in the leg's move to its node's shard:
 * the leg must not be touched afterwards when true is returned. */
bool relay_upgrade_on_bytes(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes,
			    size_t n);

/* Answers with an HTTP status and dooms the leg. */
void relay_upgrade_refuse(struct relay_shard *shard, struct relay_leg *leg, int status,
			  const char *reason);

/*
 * shard_leg: a leg as a door hands it over: its ticket is taken for granted, its connection is one
 * half of a socket pair.
 */
#pragma once

#include "relay/relay_shard.h"

/* The far end, or -errno. *ret_leg is the shard's, which may have refused it. */
int shard_leg_attach(struct relay_shard *shard, const struct ticket *ticket, bool is_raw,
		     struct relay_leg **ret_leg);

/* The next frame at a leg's far end but pings: its first byte; 0: none is there. */
uint8_t shard_leg_next_frame(int fd, uint8_t payload[125], size_t *ret_n);

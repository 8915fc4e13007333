/*
 * herd_fleet: what a generator is told of the relays on its command line, and the tickets that it
 * signs for its legs with the fleet's own keys. What is wrong ends the program.
 */
#pragma once

#include "herd_leg.h"

#include "identity/key.h"

#include <sys/types.h>

struct herd_fleet {
	struct herd_owner owner;
	pid_t pids[HERD_RELAYS_MAX];
	struct ticket_signer *node_signer, *session_signer;
	unsigned shard, shard_count; /* 0: of any */
};

/* "PORT:PID,..." */
void herd_fleet_relays(struct herd_fleet *fleet, char *text);

/* "seed file,public half's file" */
void herd_fleet_signer(struct herd_fleet *fleet, enum ticket_role role, char *text);

bool herd_fleet_is_whole(const struct herd_fleet *fleet);

/* The leg's name and ticket; session_id NULL: a node's. */
void herd_fleet_grant(const struct herd_fleet *fleet, struct herd_leg *leg,
		      const uint8_t node_id[UUID_BYTES], const uint8_t *session_id);
void herd_fleet_new_id(uint8_t ret_id[UUID_BYTES]);

/* "0/2": nodes from now on are of the first of two shards. */
void herd_fleet_shard(struct herd_fleet *fleet, const char *text);
void herd_fleet_new_node(const struct herd_fleet *fleet, uint8_t ret_id[UUID_BYTES]);

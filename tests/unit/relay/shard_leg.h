/*
 * shard_leg: a shard without its thread, which turns when it is told to; and a leg as a door hands
 * it over: its ticket is taken for granted, its connection is one half of a socket pair.
 */
#pragma once

#include "relay/relay_shard.h"

/* The far end, or -errno. *ret_leg is the shard's, which may have refused it. */
int shard_leg_attach(struct relay_shard *shard, const struct ticket *ticket, bool is_raw,
		     struct relay_leg **ret_leg);

/* For cmocka: a failure fails the test. all[1] may be used as one likes. */
struct shard_alone {
	struct relay_mailbox control;
	struct relay_shard *shard, *all[2];
};

void shard_alone_start(struct shard_alone *alone, const struct relay_settings *settings);
void shard_alone_stop(struct shard_alone *alone);

/* One turn that does not wait. Takes message, which may be NULL. */
void shard_alone_turn(struct shard_alone *alone, struct relay_message *message);

/* How many reports of this kind wait for the control actor. All of them are taken. */
unsigned shard_alone_reports(struct shard_alone *alone, enum relay_message_kind kind);

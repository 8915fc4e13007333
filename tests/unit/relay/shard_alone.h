/*
 * shard_alone: a shard without its thread, which turns when it is told to. For cmocka: a failure
 * fails the test.
 */
#pragma once

#include "relay/relay_shard.h"

/* all[1] may be used as one likes. */
struct shard_alone {
	struct relay_mailbox control;
	struct relay_shard *shard, *all[2];
};

/* Limits that a few legs do not come near, in a minute or by their number. */
extern const struct relay_settings shard_alone_settings;

void shard_alone_start(struct shard_alone *alone, const struct relay_settings *settings);
void shard_alone_stop(struct shard_alone *alone);

/* One turn that does not wait. Takes message, which may be NULL. */
void shard_alone_turn(struct shard_alone *alone, struct relay_message *message);

/* How many reports of this kind wait for the control actor. All of them are taken. */
unsigned shard_alone_reports(struct shard_alone *alone, enum relay_message_kind kind);

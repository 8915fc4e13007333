/*
 * shard_alone: a shard without its thread, which turns when it is told to. For cmocka: a failure
 * fails the test.
 */
#pragma once

#include "relay/relay_shard.h"

/* settings may be changed in between. all[1] may be used as one likes. */
struct shard_alone {
	struct relay_settings settings;
	struct relay_mailbox control;
	struct relay_shard *shard, *all[2];
};

/* Limits that a few legs do not come near, in a minute or by their number. */
extern const struct relay_settings shard_alone_settings;

/* settings are copied. */
void shard_alone_start(struct shard_alone *alone, const struct relay_settings *settings);
void shard_alone_stop(struct shard_alone *alone);

/* For setups that put the address of theirs into *state. */
int shard_alone_tear_down(void **state);

/* For "node-id-00000001": its own leg's, or a session's of this number. */
struct ticket shard_alone_ticket(enum ticket_role role, unsigned session);

/* A leg with this ticket: its far end. *ret_leg is the shard's, which may have refused it. */
int shard_alone_attach(struct shard_alone *alone, enum ticket_role role, unsigned session,
		       struct relay_leg **ret_leg);

/* One turn that does not wait. Takes message, which may be NULL. */
void shard_alone_turn(struct shard_alone *alone, struct relay_message *message);

/* How many reports of this kind wait for the control actor. All of them are taken. */
unsigned shard_alone_reports(struct shard_alone *alone, enum relay_message_kind kind);

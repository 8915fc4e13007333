/*
 * relay_mail: a shard's mail. Shard thread only.
 */
#pragma once

struct relay_shard;
struct relay_message;

/* Does what all waiting commands ask. */
void relay_mail_obey(struct relay_shard *shard);

/* Takes *message. One that must not be lost waits when the control actor's mailbox is full; others
 * are counted and dropped. */
void relay_mail_report(struct relay_shard *shard, struct relay_message **message);

/* Tries again with those that wait. */
void relay_mail_send_unsent(struct relay_shard *shard);

/* shard_alone: see the header. */
#include "shard_alone.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct relay_settings shard_alone_settings = {
	.legs_max = 100,
	.channels_max = 100,
	.shards = 1,
	.queue_bytes = 64 * 1024,
	.queue_age_ms = 60000,
	.queue_budget_bytes = 1024 * 1024,
	.stall_ms = 60000,
	.grace_ms = 60000,
	.half_frame_ms = 60000,
	.ping_ms = 60000,
	.silence_ms = 60000,
};

void
shard_alone_start(struct shard_alone *alone, const struct relay_settings *settings)
{
	signal(SIGPIPE, SIG_IGN); /* as service_main does */
	memset(alone, 0, sizeof(*alone));
	assert_int_equal(relay_mailbox_init(&alone->control), 0);
	assert_int_equal(
		relay_shard_new(0, settings, NULL, &alone->control, -1, NULL, &alone->shard), 0);
	alone->all[0] = alone->all[1] = alone->shard;
	alone->shard->all = alone->all;
	alone->shard->count = 1;
}

void
shard_alone_stop(struct shard_alone *alone)
{
	relay_shard_free(&alone->shard);
	relay_mailbox_fini(&alone->control);
}

void
shard_alone_turn(struct shard_alone *alone, struct relay_message *message)
{
	static const uint8_t nobody[UUID_BYTES] = "nobody";

	if (message == NULL) /* something to do, so that it does not wait */
		message = relay_message_new(RELAY_NODE_BACK, nobody, 0);
	assert_non_null(message);
	assert_int_equal(relay_mailbox_send(&alone->shard->mailbox, &message), 0);
	assert_int_equal(relay_shard_turn(alone->shard), 0);
}

unsigned
shard_alone_reports(struct shard_alone *alone, enum relay_message_kind kind)
{
	struct relay_message *message = relay_mailbox_receive(&alone->control);
	unsigned n = 0;

	while (message != NULL) {
		struct relay_message *next = message->next;

		n += message->kind == kind;
		relay_message_free(&message);
		message = next;
	}
	return n;
}

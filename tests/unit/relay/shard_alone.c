/* shard_alone: see the header. */
#include "shard_alone.h"

#include "shard_leg.h"

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
	alone->settings = *settings;
	assert_int_equal(relay_mailbox_init(&alone->control), 0);
	assert_int_equal(relay_shard_new(0, &alone->settings, NULL, &alone->control, -1, NULL,
					 &alone->shard),
			 0);
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

int
shard_alone_tear_down(void **state)
{
	shard_alone_stop(*state);
	return 0;
}

struct ticket
shard_alone_ticket(enum ticket_role role, unsigned session)
{
	struct ticket ticket = { .role = role, .node_id = "node-id-00000001" };

	if (role == TICKET_ROLE_SESSION) {
		ticket.session_id[0] = 1; /* zeros are no session */
		ticket.session_id[1] = (uint8_t)(session >> 8);
		ticket.session_id[2] = (uint8_t)session;
	}
	return ticket;
}

int
shard_alone_attach(struct shard_alone *alone, enum ticket_role role, unsigned session,
		   struct relay_leg **ret_leg)
{
	struct ticket ticket = shard_alone_ticket(role, session);
	int fd = shard_leg_attach(alone->shard, &ticket, false, ret_leg);

	assert_in_range(fd, 0, INT32_MAX);
	return fd;
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

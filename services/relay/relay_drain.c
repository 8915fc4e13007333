/*
 * relay_drain: how the control actor empties a relay, by an rpc or at its end. First the doors
 * close, then each shard is told where its legs may go, and tells when they have gone
 * (relay_mail's start_drain); an actor that is to end is finished after that.
 */
#include "relay/relay_control.h"

#include "log/log.h"
#include "relay/relay_others.h"

#include <stdio.h>
#include <string.h>

enum { DRAIN_URLS_MAX = 8 };

static struct relay_message *
drain_command(uint32_t legs, char (*urls)[RELAY_OTHERS_URL_BYTES], size_t n)
{
	struct relay_message *message;
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(urls[i]) + 1;
	message = relay_message_new(RELAY_DRAIN, NULL, bytes);
	if (message == NULL)
		return NULL;
	message->channels = legs;
	uint8_t *at = message->bytes;
	for (size_t i = 0; i < n; i++)
		at = (uint8_t *)stpcpy((char *)at, urls[i]) + 1;
	return message;
}

static void
drain_thread(struct relay_control *control, unsigned i, struct relay_message *message)
{
	if (message != NULL && relay_mailbox_send(&control->shards[i]->mailbox, &message) == 0)
		return;
	relay_message_free(&message);
	if (i >= control->shard_count)
		relay_control_door_closed(control);
	relay_control_drained(control); /* it could not be told */
}

/* Nobody is told to leave while others may still come. */
static void
drain_shards(struct relay_control *control)
{
	char urls[DRAIN_URLS_MAX][RELAY_OTHERS_URL_BYTES];
	uint64_t legs = relay_control_count(control, RELAY_LEGS_NODE) +
			relay_control_count(control, RELAY_LEGS_CLIENT);
	size_t n = 1;

	if (*control->drain_url != '\0')
		snprintf(urls[0], sizeof(urls[0]), "%s", control->drain_url);
	else
		n = relay_others_urls(control, urls, DRAIN_URLS_MAX);
	log_info("relay_drains", "legs=%llu others=%zu", (unsigned long long)legs, n);
	for (unsigned i = 0; i < control->shard_count; i++)
		drain_thread(control, i, drain_command((uint32_t)legs, urls, n));
}

void
relay_control_door_closed(struct relay_control *control)
{
	if (++control->doors_closed == control->door_count)
		drain_shards(control);
}

void
relay_control_drain(struct relay_control *control, const char *other_relay)
{
	if (control->is_draining)
		return;
	control->is_draining = true;
	snprintf(control->drain_url, sizeof(control->drain_url), "%s",
		 other_relay != NULL ? other_relay : "");
	relay_announce_now(control);
	for (unsigned i = control->shard_count; i < relay_control_threads(control); i++)
		drain_thread(control, i, drain_command(0, NULL, 0));
}

void
relay_control_drained(struct relay_control *control)
{
	if (++control->drained == relay_control_threads(control) && control->is_ending)
		actor_finished(control->context);
}

void
relay_control_end(void *state)
{
	struct relay_control *control = state;

	if (control->is_ending)
		return;
	control->is_ending = true;
	if (control->is_draining && control->drained >= relay_control_threads(control))
		actor_finished(control->context); /* by an rpc, and it is over */
	relay_control_drain(control, NULL);
}

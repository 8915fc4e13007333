/*
 * relay_mesh_link: two lists; control goes first and needs no credit.
 */
#include "relay/relay_mesh_link.h"

#include "relay/relay_mesh_wire.h"

static struct relay_message *
pop(struct relay_message **head, struct relay_message **tail)
{
	struct relay_message *message = *head;

	*head = message->next;
	if (*head == NULL)
		*tail = NULL;
	message->next = NULL;
	return message;
}

static void
push(struct relay_message **head, struct relay_message **tail, struct relay_message *message)
{
	message->next = NULL;
	if (*tail != NULL)
		(*tail)->next = message;
	else
		*head = message;
	*tail = message;
}

static struct relay_message *
pop_control(struct relay_link *link)
{
	struct relay_message *message = pop(&link->control, &link->control_tail);

	link->control_bytes -= message->n;
	if (link->peer != NULL)
		link->peer->control_bytes -= message->n;
	return message;
}

static void
drop_data(struct relay_link *link)
{
	struct relay_message *message = pop(&link->data, &link->data_tail);

	link->data_bytes -= message->n;
	relay_message_free(&message);
}

unsigned
relay_link_push(struct relay_link *link, struct relay_message **message)
{
	struct relay_message *m = *message;
	unsigned dropped = 0;

	*message = NULL;
	if (m->bytes[0] != RELAY_MESH_DATA) {
		push(&link->control, &link->control_tail, m);
		link->control_bytes += m->n;
		if (link->peer != NULL)
			link->peer->control_bytes += m->n;
		return 0;
	}
	push(&link->data, &link->data_tail, m);
	link->data_bytes += m->n;
	for (; link->data_bytes > RELAY_LINK_QUEUE_BYTES; dropped++)
		drop_data(link);
	return dropped;
}

bool
relay_link_is_stuck(const struct relay_link *link)
{
	size_t bytes = link->peer != NULL ? link->peer->control_bytes : link->control_bytes;

	return link->control_bytes > 0 && bytes > RELAY_PEER_CONTROL_BYTES;
}

unsigned
relay_link_age(struct relay_link *link, int64_t now_ms, int64_t age_ms)
{
	unsigned dropped = 0;

	for (; link->data != NULL && now_ms - link->data->queued_ms > age_ms; dropped++)
		drop_data(link);
	return dropped;
}

struct relay_message *
relay_link_peek(const struct relay_link *link)
{
	if (!link->is_up)
		return NULL;
	if (link->control != NULL)
		return link->control;
	if (link->data != NULL && link->sent + link->data->n <= link->granted)
		return link->data;
	return NULL;
}

struct relay_message *
relay_link_take(struct relay_link *link)
{
	if (link->control != NULL)
		return pop_control(link);
	struct relay_message *message = pop(&link->data, &link->data_tail);
	link->data_bytes -= message->n;
	link->sent += message->n;
	return message;
}

void
relay_link_clear(struct relay_link *link)
{
	while (link->ties != NULL) {
		struct relay_message *tie = link->ties;

		link->ties = tie->next;
		relay_message_free(&tie);
	}
	while (link->control != NULL) {
		struct relay_message *message = pop_control(link);

		relay_message_free(&message);
	}
	while (link->data != NULL)
		drop_data(link);
}

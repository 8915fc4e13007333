/*
 * leg_queue: a list of messages and its size. Each message counts with its overhead, so that a
 * flood of tiny ones is bounded too.
 */
#include "leg/leg_queue.h"

#include <errno.h>
#include <stdlib.h>

static size_t
cost(const struct leg_message *message)
{
	return sizeof *message + message->n;
}

struct leg_message *
leg_message_new(enum leg_message_kind kind, size_t capacity)
{
	struct leg_message *message = malloc(sizeof *message + capacity);

	if (message == NULL)
		return NULL;
	message->next = NULL;
	message->kind = kind;
	message->generation = 0;
	message->n = 0;
	message->capacity = capacity;
	message->state = 0;
	message->code = 0;
	return message;
}

int
leg_message_grow(struct leg_message **message, size_t n)
{
	size_t capacity = (*message)->n + n;

	if (capacity <= (*message)->capacity)
		return 0;
	struct leg_message *grown = realloc(*message, sizeof *grown + capacity);
	if (grown == NULL)
		return -ENOMEM;
	grown->capacity = capacity;
	*message = grown;
	return 0;
}

void
leg_queue_init(struct leg_queue *queue)
{
	*queue = (struct leg_queue){ .last = &queue->first };
}

void
leg_queue_push(struct leg_queue *queue, struct leg_message *message)
{
	message->next = NULL;
	*queue->last = message;
	queue->last = &message->next;
	queue->bytes += cost(message);
}

struct leg_message *
leg_queue_pop(struct leg_queue *queue)
{
	struct leg_message *message = queue->first;

	if (message == NULL)
		return NULL;
	queue->first = message->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	queue->bytes -= cost(message);
	return message;
}

void
leg_queue_splice(struct leg_queue *to, struct leg_queue *from)
{
	if (from->first == NULL)
		return;
	*to->last = from->first;
	to->last = from->last;
	to->bytes += from->bytes;
	leg_queue_init(from);
}

unsigned
leg_queue_trim(struct leg_queue *queue, size_t limit)
{
	struct leg_message **at = &queue->first;
	unsigned dropped = 0;

	while (queue->bytes > limit && *at != NULL) {
		struct leg_message *message = *at;
		if (message->kind != LEG_MESSAGE_DATA) {
			at = &message->next;
			continue;
		}
		*at = message->next;
		if (*at == NULL)
			queue->last = at;
		queue->bytes -= cost(message);
		free(message);
		dropped++;
	}
	return dropped;
}

void
leg_queue_clear(struct leg_queue *queue)
{
	struct leg_message *message;

	while ((message = leg_queue_pop(queue)) != NULL)
		free(message);
}

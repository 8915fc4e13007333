/*
 * leg_queue: messages on their way from the leg's thread to the owner's, bounded in bytes. Not
 * locked: leg_line's lock is around every call. Inside shared/leg only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum leg_message_kind { LEG_MESSAGE_DATA, LEG_MESSAGE_CONTROL, LEG_MESSAGE_STATE };

struct leg_message {
	struct leg_message *next;
	enum leg_message_kind kind;
	uint32_t generation; /* of the connection it belongs to */
	size_t n, capacity;
	int state,
		code; /* of LEG_MESSAGE_STATE, whose payload is reason and URL, each with its NUL */
	uint8_t payload[];
};

/* NULL when memory is out. */
struct leg_message *leg_message_new(enum leg_message_kind kind, size_t capacity);

/* Makes room for n bytes more, perhaps elsewhere. The old one stays valid on -ENOMEM. */
int leg_message_grow(struct leg_message **message, size_t n);

struct leg_queue {
	struct leg_message *first, **last;
	size_t bytes;
};

void leg_queue_init(struct leg_queue *queue);
void leg_queue_push(struct leg_queue *queue, struct leg_message *message);
struct leg_message *leg_queue_pop(struct leg_queue *queue);

/* Moves all of `from` to the end of `to`. */
void leg_queue_splice(struct leg_queue *to, struct leg_queue *from);

/* Drops the oldest data messages until the queue holds at most limit bytes, or no data. Returns how
 * many went. */
unsigned leg_queue_trim(struct leg_queue *queue, size_t limit);

void leg_queue_clear(struct leg_queue *queue);

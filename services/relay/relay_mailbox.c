/*
 * relay_mailbox: a stack that senders push onto and the receiver takes whole and turns around.
 */
#include "relay/relay_mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { INSIST_NS = 1000 * 1000 };

int
relay_mailbox_init(struct relay_mailbox *mailbox)
{
	atomic_init(&mailbox->newest, NULL);
	atomic_init(&mailbox->count, 0);
	mailbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return mailbox->event_fd < 0 ? -errno : 0;
}

void
relay_mailbox_fini(struct relay_mailbox *mailbox)
{
	struct relay_message *message = relay_mailbox_receive(mailbox);

	while (message != NULL) {
		struct relay_message *next = message->next;

		relay_message_free(&message);
		message = next;
	}
	close(mailbox->event_fd);
	mailbox->event_fd = -1;
}

struct relay_message *
relay_message_new(enum relay_message_kind kind, const uint8_t *node_id, size_t n)
{
	struct relay_message *message = malloc(sizeof(*message) + n);

	if (message == NULL)
		return NULL;
	memset(message, 0, sizeof(*message)); /* the bytes are the caller's to fill */
	message->kind = kind;
	message->n = n;
	if (node_id != NULL)
		memcpy(message->node_id, node_id, UUID_BYTES);
	return message;
}

void
relay_message_free(struct relay_message **message)
{
	struct relay_message *m = *message;

	*message = NULL;
	if (m == NULL)
		return;
	if (m->control != NULL)
		boson__link__control__free_unpacked(m->control, NULL);
	free(m);
}

int
relay_mailbox_send(struct relay_mailbox *mailbox, struct relay_message **message)
{
	struct relay_message *m = *message, *newest;
	uint64_t one = 1;

	if (atomic_fetch_add_explicit(&mailbox->count, 1, memory_order_relaxed) >=
	    RELAY_MAILBOX_MAX) {
		atomic_fetch_sub_explicit(&mailbox->count, 1, memory_order_relaxed);
		return -EAGAIN;
	}
	*message = NULL;
	newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	do {
		m->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&mailbox->newest, &newest, m, memory_order_release, memory_order_relaxed));
	/* The first one wakes; the others find the receiver awake. m may be gone by now. */
	if (newest == NULL && write(mailbox->event_fd, &one, sizeof(one)) < 0)
		return 0; /* the counter is full: it is readable, which is all that is asked */
	return 0;
}

static int
try_to_say(struct relay_mailbox *mailbox, enum relay_message_kind kind, uint64_t link)
{
	struct relay_message *message = relay_message_new(kind, NULL, 0);

	if (message == NULL)
		return -ENOMEM;
	message->link = link;
	int r = relay_mailbox_send(mailbox, &message);
	relay_message_free(&message);
	return r;
}

void
relay_mailbox_insist(struct relay_mailbox *mailbox, enum relay_message_kind kind, uint64_t link)
{
	while (try_to_say(mailbox, kind, link) < 0)
		nanosleep(&(struct timespec){ .tv_nsec = INSIST_NS }, NULL);
}

struct relay_message *
relay_mailbox_receive(struct relay_mailbox *mailbox)
{
	struct relay_message *message, *oldest = NULL;
	uint64_t wakes;
	uint32_t n = 0;

	/* Emptied before the stack is taken: what comes in between wakes us again. */
	while (read(mailbox->event_fd, &wakes, sizeof(wakes)) > 0)
		;
	message = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	while (message != NULL) {
		struct relay_message *next = message->next;

		message->next = oldest;
		oldest = message;
		message = next;
		n++;
	}
	atomic_fetch_sub_explicit(&mailbox->count, n, memory_order_relaxed);
	return oldest;
}

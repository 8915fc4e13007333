/*
 * leg_send: from the outbox to the socket, on the leg's thread. What is handed to libwebsockets and
 * the kernel, nothing overtakes, so it gets no more than the socket soon takes (queue/send_room.h);
 * the rest waits where turns are taken and what is too old is dropped.
 */
#include "leg/leg_thread.h"
#include "loop/clock.h"
#include "queue/send_room.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	WRITE_BUDGET_BYTES = 512 * 1024, /* a turn, then reads have theirs */
	UNSENT_MAX_BYTES = 64 * 1024,	 /* that the kernel may hold back, of the fastest */
};

void
leg_send_begin(struct leg_thread *thread)
{
	const int most = UNSENT_MAX_BYTES;

	setsockopt(lws_get_socket_fd(thread->wsi), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most,
		   sizeof most);
	thread->pace = (struct send_pace){ 0 };
	atomic_store(&thread->client->piece_bytes, UNSENT_MAX_BYTES);
	pthread_mutex_lock(&thread->client->lock);
	thread->client->tx_generation = thread->generation;
	pthread_mutex_unlock(&thread->client->lock);
}

/* How many bytes may go now. */
static size_t
room(const struct leg_thread *thread)
{
	return send_room(&thread->pace, lws_get_socket_fd(thread->wsi), UNSENT_MAX_BYTES);
}

static void
on_full(struct leg_thread *thread)
{
	if (send_room_full(&thread->pace, lws_get_socket_fd(thread->wsi), clock_monotonic_ms(),
			   UNSENT_MAX_BYTES))
		atomic_store(&thread->client->piece_bytes, thread->pace.unsent_bytes);
}

static struct fair_item *
next_item(struct leg_thread *thread)
{
	struct leg_line *client = thread->client;
	int64_t now_ms = clock_monotonic_ms();

	pthread_mutex_lock(&client->lock);
	struct fair_item *item = leg_outbox_take(&client->tx, now_ms);
	if (item == NULL)
		client->is_tx_awake = false;
	pthread_mutex_unlock(&client->lock);
	if (item != NULL)
		metric_observe_us(client->waited, (uint64_t)(now_ms - item->queued_at_ms) * 1000);
	return item;
}

/* libwebsockets masks a byte at a time, which is two thirds of what sending costs; so frames are
 * made here and go out raw (libwebsockets 4.1: types HTTP and RAW pass its ws role unframed). */
static int
write_frame(struct leg_thread *thread, struct fair_item *item)
{
	uint8_t key[WS_MASK_BYTES];
	size_t n;
	uint8_t *message = leg_outbox_message(item, &n);

	if (thread->mask_keys_left == 0) {
		if (getrandom(thread->mask_keys, sizeof thread->mask_keys, 0) !=
		    sizeof thread->mask_keys)
			return -1;
		thread->mask_keys_left = LEG_MASK_KEYS;
	}
	memcpy(key, thread->mask_keys[--thread->mask_keys_left], sizeof key);
	size_t header_n = ws_mask_binary(message, n, key);
	n += header_n;
	if (lws_write(thread->wsi, message - header_n, n, LWS_WRITE_RAW) < (int)n)
		return -1;
	send_pace_took(&thread->pace, n);
	metric_add(thread->client->sent, 1);
	return 0;
}

int
leg_send_writable(struct leg_thread *thread)
{
	bool is_full = false;

	for (size_t written = 0; !is_full && written < WRITE_BUDGET_BYTES;) {
		is_full = room(thread) == 0;
		if (is_full)
			break;
		struct fair_item *item = next_item(thread);
		if (item == NULL) {
			send_pace_clear(&thread->pace);
			return 0;
		}
		written += item->n;
		int r = write_frame(thread, item);
		free(item);
		if (r < 0)
			return -1;
		is_full = lws_send_pipe_choked(thread->wsi) != 0;
	}
	if (is_full)
		on_full(thread);
	lws_callback_on_writable(thread->wsi);
	return 0;
}

/*
 * leg_send: from the outbox to the socket, on the leg's thread. What is handed to libwebsockets,
 * nothing overtakes on all its way; so a leg that is held up gets no more than its window
 * (queue/leg_window.h), and the rest waits where turns are taken and what is too old is dropped.
 */
#include "leg/leg_thread.h"
#include "loop/clock.h"
#include "queue/leg_way.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	WRITE_BUDGET_BYTES = 512 * 1024, /* a turn, then reads have theirs */
	UNSENT_MAX_BYTES = 64 * 1024,	 /* that the kernel may hold back */
	PIECE_US = 500,			 /* what the leg moves in so long is one message, */
	PIECE_LEAST_BYTES = 2 * 1024,	 /* at least */
	HELD_LATELY_US = 1000 * 1000,
	LOOK_AGAIN_US = 1000, /* at a window that time itself may open */
};

static void
write_again(lws_sorted_usec_list_t *timer)
{
	struct leg_thread *thread = lws_container_of(timer, struct leg_thread, window_timer);

	if (thread->phase == LEG_PHASE_UP)
		lws_callback_on_writable(thread->wsi);
}

void
leg_send_begin(struct leg_thread *thread)
{
	const int most = UNSENT_MAX_BYTES;
	int fd = lws_get_socket_fd(thread->wsi);

	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most);
	thread->window = (struct leg_window){ 0 };
	leg_window_expect(&thread->window, leg_way_look(fd).least_us, clock_monotonic_us());
	thread->is_held = false;
	thread->held_us = -HELD_LATELY_US;
	atomic_store(&thread->line->piece_bytes, UNSENT_MAX_BYTES);
	pthread_mutex_lock(&thread->line->lock);
	if (thread->age_ms == 0)
		thread->age_ms = thread->line->tx.limits.age_ms;
	thread->line->tx_generation = thread->generation;
	pthread_mutex_unlock(&thread->line->lock);
}

static void
start_window(struct leg_thread *thread)
{
	int64_t now_us = clock_monotonic_us();
	int fd = lws_get_socket_fd(thread->wsi);

	if (!leg_window_may_start(&thread->window, now_us))
		return;
	struct leg_way way = leg_way_look(fd);
	if (way.is_growing)
		return;
	if (way.least_us != 0) /* as of now: it need not be learnt anew soon */
		leg_window_expect(&thread->window, way.least_us, now_us);
	leg_window_start(&thread->window, leg_way_unread(fd), now_us);
}

/* Now and then, of a leg whose socket never is full: is the way? */
static void
look(struct leg_thread *thread)
{
	int64_t now_ms = clock_monotonic_ms();

	if (thread->window.is_started || now_ms < thread->look_ms)
		return;
	thread->look_ms = now_ms + LEG_WAY_LOOK_EVERY_MS;
	if (leg_way_look(lws_get_socket_fd(thread->wsi)).is_queued)
		start_window(thread);
}

/* The window is closed: a pong opens it, or time does. */
static void
hold(struct leg_thread *thread, int64_t now_us)
{
	int64_t wait_us = leg_window_deadline_us(&thread->window) - now_us;

	if (wait_us > LOOK_AGAIN_US)
		wait_us = LOOK_AGAIN_US;
	thread->is_held = true;
	if (leg_window_is_answered(&thread->window))
		thread->held_us = now_us;
	lws_sul_schedule(thread->context, 0, &thread->window_timer, write_again,
			 wait_us > 0 ? wait_us : 1);
}

void
leg_send_on_pong(struct leg_thread *thread, const uint8_t *payload, size_t n)
{
	int64_t now_us = clock_monotonic_us();
	uint64_t piece = UNSENT_MAX_BYTES;

	if (!leg_window_on_pong(&thread->window, payload, n, now_us))
		return;
	if (thread->window.is_started && now_us - thread->held_us < HELD_LATELY_US)
		piece = leg_window_bytes_in(&thread->window, PIECE_US);
	if (piece < PIECE_LEAST_BYTES)
		piece = PIECE_LEAST_BYTES;
	atomic_store_explicit(&thread->line->piece_bytes,
			      piece < UNSENT_MAX_BYTES ? (unsigned)piece : UNSENT_MAX_BYTES,
			      memory_order_relaxed);
	if (thread->is_held)
		lws_callback_on_writable(thread->wsi);
}

/* The next that may go. *ret_is_held: none may, but something waits. */
static struct fair_item *
next_item(struct leg_thread *thread, int64_t now_us, bool *ret_is_held)
{
	struct leg_line *line = thread->line;
	int64_t now_ms = clock_monotonic_ms();
	struct fair_item *item = NULL;

	*ret_is_held = false;
	pthread_mutex_lock(&line->lock);
	/* On a long leg a burst may wait for a round trip. */
	line->tx.limits.age_ms = thread->age_ms + thread->window.least_us / 1000;
	if (leg_outbox_is_empty(&line->tx))
		line->is_tx_awake = false;
	else if (leg_window_room(&thread->window, now_us) == 0)
		*ret_is_held = true;
	else if ((item = leg_outbox_take(&line->tx, now_ms)) == NULL)
		line->is_tx_awake = false; /* what there was is too old */
	pthread_mutex_unlock(&line->lock);
	if (item != NULL && now_ms > item->queued_at_ms)
		metric_observe_us(line->waited, (uint64_t)(now_ms - item->queued_at_ms) * 1000);
	return item;
}

/* libwebsockets masks a byte at a time, which is two thirds of what sending costs; so frames are
 * made here and go out raw (libwebsockets 4.1: types HTTP and RAW pass its ws role unframed). */
static int
write_frame(struct leg_thread *thread, enum ws_opcode opcode, uint8_t *message, size_t n)
{
	uint8_t key[WS_MASK_BYTES];

	if (thread->mask_keys_left == 0) {
		if (getrandom(thread->mask_keys, sizeof thread->mask_keys, 0) !=
		    sizeof thread->mask_keys)
			return -1;
		thread->mask_keys_left = LEG_MASK_KEYS;
	}
	memcpy(key, thread->mask_keys[--thread->mask_keys_left], sizeof key);
	size_t header_n = ws_mask_frame(opcode, message, n, key);
	n += header_n;
	if (lws_write(thread->wsi, message - header_n, n, LWS_WRITE_RAW) < (int)n)
		return -1;
	if (opcode == WS_OPCODE_BINARY && thread->window.is_started)
		leg_window_sent(&thread->window, n);
	return 0;
}

static int
write_mark(struct leg_thread *thread, int64_t now_us)
{
	uint8_t frame[LWS_PRE + LEG_MARK_BYTES];

	leg_window_mark(&thread->window, now_us, frame + LWS_PRE);
	return write_frame(thread, WS_OPCODE_PING, frame + LWS_PRE, LEG_MARK_BYTES);
}

/* One message, and a mark where one is due. 1: that was all there is, or may go now. */
static int
write_one(struct leg_thread *thread, size_t *written)
{
	int64_t now_us = thread->window.is_started ? clock_monotonic_us() : 0;
	bool is_held;
	struct fair_item *item = next_item(thread, now_us, &is_held);
	int r = 0;

	if (item != NULL) {
		size_t n;
		uint8_t *message = leg_outbox_message(item, &n);

		r = write_frame(thread, WS_OPCODE_BINARY, message, n);
		metric_add(thread->line->sent, 1);
		*written += n;
		free(item);
	}
	if (r == 0 && leg_window_wants_mark(&thread->window, now_us))
		r = write_mark(thread, now_us);
	if (r == 0 && is_held)
		hold(thread, now_us);
	return r < 0 ? r : item == NULL;
}

int
leg_send_writable(struct leg_thread *thread)
{
	bool is_full = false;
	size_t written = 0;
	int r = 0;

	thread->is_held = false;
	while (r == 0 && !is_full && written < WRITE_BUDGET_BYTES) {
		r = write_one(thread, &written);
		is_full = r == 0 && lws_send_pipe_choked(thread->wsi) != 0;
	}
	if (is_full)
		start_window(thread);
	else if (r >= 0)
		look(thread);
	if (r == 0)
		lws_callback_on_writable(thread->wsi);
	return r < 0 ? r : 0;
}

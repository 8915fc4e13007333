/*
 * leg_line: the owner's side of a leg: takes messages, and hands out what the leg's thread
 * received. Talks to that thread (leg_thread.c) through leg_inside.h. Where to connect is
 * leg_order.c's.
 */
#include "leg/leg_line.h"

#include "leg/leg_inside.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { QUEUE_DEFAULT_BYTES = 1024 * 1024, AGE_DEFAULT_MS = 80 };

static void
client_destroy(struct leg_line *client)
{
	leg_outbox_fini(&client->tx);
	leg_queue_clear(&client->rx);
	if (client->order != NULL)
		explicit_bzero(client->order->ticket, sizeof client->order->ticket);
	free(client->order);
	if (client->event_fd >= 0)
		close(client->event_fd);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

static void
hand_out_state(struct leg_line *client, const struct leg_message *message)
{
	client->state = (enum leg_state)message->state;
	client->generation = message->generation;
	const char *reason = (const char *)message->payload;
	strcpy(client->url, reason + strlen(reason) + 1);
	metric_set(client->up, client->state == LEG_UP);
	client->events.on_state(client->state, message->code, reason, client->events.arg);
}

static void
on_wake(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct leg_line *client = arg;
	struct leg_queue batch;
	struct leg_message *message;
	uint64_t ignored;

	(void)loop;
	(void)events;
	if (read(fd, &ignored, sizeof ignored) < 0)
		return;
	leg_queue_init(&batch);
	pthread_mutex_lock(&client->lock);
	leg_queue_splice(&batch, &client->rx);
	pthread_mutex_unlock(&client->lock);
	client->is_delivering = true;
	while (!client->is_freed && (message = leg_queue_pop(&batch)) != NULL) {
		if (message->kind == LEG_MESSAGE_STATE)
			hand_out_state(client, message);
		else
			client->events.on_message(message->payload, message->n, client->events.arg);
		free(message);
	}
	if (!client->is_freed && client->events.on_batch_end != NULL)
		client->events.on_batch_end(client->events.arg);
	client->is_delivering = false;
	leg_queue_clear(&batch);
	if (client->is_freed)
		client_destroy(client);
}

static void
make_metrics(struct leg_line *client, struct metrics *metrics)
{
	client->sent =
		metrics_counter(metrics, "leg_messages_total", "direction=\"out\"", "leg messages");
	client->received =
		metrics_counter(metrics, "leg_messages_total", "direction=\"in\"", "leg messages");
	client->dropped_rx =
		metrics_counter(metrics, "leg_dropped_total", "direction=\"in\",reason=\"full\"",
				"dropped from a leg's queues: datagrams out, messages in");
	client->waited = metrics_histogram(metrics, "leg_queue_age_seconds", NULL,
					   "how long what was sent over a leg had waited");
	client->invalid = metrics_counter(metrics, "leg_invalid_total", NULL,
					  "messages of a relay that were no leg messages");
	client->attempts =
		metrics_counter(metrics, "leg_attempts_total", NULL, "attempts to connect a leg");
	client->resumed = metrics_counter(metrics, "leg_resumed_total", NULL,
					  "legs whose TLS session was resumed");
	client->up = metrics_gauge(metrics, "leg_up", NULL, "1 while the leg is up");
}

int
leg_line_new(struct loop *loop, struct metrics *metrics, const struct leg_client_options *options,
	     const struct leg_client_events *events, struct leg_line **ret)
{
	struct leg_line *client = calloc(1, sizeof *client);
	int r;

	if (client == NULL)
		return -ENOMEM;
	client->loop = loop;
	client->events = *events;
	client->queue_bytes = options->queue_bytes > 0 ? options->queue_bytes : QUEUE_DEFAULT_BYTES;
	pthread_mutex_init(&client->lock, NULL);
	leg_queue_init(&client->rx);
	make_metrics(client, metrics);
	client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = client->event_fd < 0 ? -errno : 0;
	if (r == 0)
		r = leg_outbox_init(&client->tx, options->is_node, client->queue_bytes,
				    options->queue_age_ms > 0 ? options->queue_age_ms
							      : AGE_DEFAULT_MS,
				    metrics);
	if (r == 0 && options->ca_file != NULL && access(options->ca_file, R_OK) < 0)
		r = -errno;
	if (r == 0)
		r = loop_fd_add(loop, client->event_fd, EPOLLIN, on_wake, client, &client->watch);
	if (r == 0)
		r = leg_thread_start(client, options->ca_file, &client->thread);
	if (r < 0) {
		if (client->watch != NULL)
			loop_fd_remove(&client->watch);
		client_destroy(client);
		return r;
	}
	*ret = client;
	return 0;
}

void
leg_line_free(struct leg_line **client_pointer)
{
	struct leg_line *client = *client_pointer;

	if (client == NULL)
		return;
	*client_pointer = NULL;
	leg_thread_stop(&client->thread);
	loop_fd_remove(&client->watch);
	client->is_freed = true;
	if (!client->is_delivering)
		client_destroy(client);
}

enum leg_state
leg_line_state(const struct leg_line *client)
{
	return client->state;
}

const char *
leg_line_url(const struct leg_line *client)
{
	return client->url;
}

/* Takes the item, which may be NULL. */
static int
queue(struct leg_line *client, struct fair_item *item, bool is_control)
{
	int r = -ENOTCONN;

	if (item == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&client->lock);
	/* The connection may be gone, or be another, and we not know yet. */
	bool is_taken = client->tx_generation == client->generation;
	if (is_taken)
		r = leg_outbox_push(&client->tx, item, is_control);
	pthread_mutex_unlock(&client->lock);
	if (!is_taken)
		free(item);
	return r;
}

static int
send_data(struct leg_line *client, const uint8_t *message, size_t n)
{
	size_t header_n = leg_data_header_bytes(client->tx.is_node), at;
	size_t most = atomic_load_explicit(&client->piece_bytes, memory_order_relaxed);
	int64_t now_ms = clock_monotonic_ms();
	int r;

	if (header_n > n)
		header_n = n;
	at = header_n;
	do {
		size_t piece = leg_batch_cut(message + at, n - at, most);
		r = queue(client, leg_outbox_item(message, header_n, message + at, piece, now_ms),
			  false);
		at += piece;
	} while (r == 0 && at < n);
	return r;
}

int
leg_line_send(struct leg_line *client, const uint8_t *bytes, size_t n, bool is_control)
{
	if (client->state != LEG_UP)
		return -ENOTCONN;
	if (n == 0 || n > LEG_MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	if (!is_control)
		return send_data(client, bytes, n);
	return queue(client, leg_outbox_item(bytes, n, bytes + n, 0, clock_monotonic_ms()), true);
}

void
leg_line_flush(struct leg_line *client)
{
	pthread_mutex_lock(&client->lock);
	bool wake = !client->is_tx_awake && !leg_outbox_is_empty(&client->tx);
	if (wake)
		client->is_tx_awake = true;
	pthread_mutex_unlock(&client->lock);
	if (wake)
		leg_thread_wake(client->thread);
}

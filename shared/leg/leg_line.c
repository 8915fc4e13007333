/*
 * leg_line: the owner's side of a leg: takes messages, and hands out what the leg's thread
 * received. Talks to that thread (leg_thread.c) through leg_inside.h. Where to connect is
 * leg_order.c's.
 */
#include "leg/leg_line.h"

#include "leg/leg_address.h"
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
line_destroy(struct leg_line *line)
{
	leg_outbox_fini(&line->tx);
	leg_queue_clear(&line->rx);
	if (line->order != NULL)
		explicit_bzero(line->order->ticket, sizeof line->order->ticket);
	free(line->order);
	if (line->event_fd >= 0)
		close(line->event_fd);
	if (line->addresses_fd >= 0)
		close(line->addresses_fd);
	pthread_mutex_destroy(&line->lock);
	free(line);
}

static void
hand_out_state(struct leg_line *line, const struct leg_message *message)
{
	line->state = (enum leg_state)message->state;
	line->generation = message->generation;
	const char *reason = (const char *)message->payload;
	strcpy(line->url, reason + strlen(reason) + 1);
	metric_set(line->up, line->state == LEG_UP);
	line->events.on_state(line->state, message->code, reason, line->events.arg);
}

static void
on_wake(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct leg_line *line = arg;
	struct leg_queue batch;
	struct leg_message *message;
	uint64_t ignored;

	(void)loop;
	(void)events;
	if (read(fd, &ignored, sizeof ignored) < 0)
		return;
	leg_queue_init(&batch);
	pthread_mutex_lock(&line->lock);
	leg_queue_splice(&batch, &line->rx);
	pthread_mutex_unlock(&line->lock);
	line->is_delivering = true;
	while (!line->is_freed && (message = leg_queue_pop(&batch)) != NULL) {
		if (message->kind == LEG_MESSAGE_STATE)
			hand_out_state(line, message);
		else
			line->events.on_message(message->payload, message->n, line->events.arg);
		free(message);
	}
	if (!line->is_freed && line->events.on_batch_end != NULL)
		line->events.on_batch_end(line->events.arg);
	line->is_delivering = false;
	leg_queue_clear(&batch);
	if (line->is_freed)
		line_destroy(line);
}

static void
on_addresses(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct leg_line *line = arg;

	(void)loop;
	(void)events;
	leg_address_drain(fd);
	atomic_store(&line->is_address_in_doubt, true);
	leg_thread_wake(line->thread);
}

/* Without it a leg only takes longer to notice. */
static void
watch_addresses(struct leg_line *line)
{
	int r = leg_address_watch(&line->addresses_fd);

	if (r == 0)
		r = loop_fd_add(line->loop, line->addresses_fd, EPOLLIN, on_addresses, line,
				&line->addresses_watch);
	if (r < 0)
		log_warn("addresses_not_watched", "error=%s", strerror(-r));
}

static void
make_metrics(struct leg_line *line, struct metrics *metrics)
{
	line->sent =
		metrics_counter(metrics, "leg_messages_total", "direction=\"out\"", "leg messages");
	line->received =
		metrics_counter(metrics, "leg_messages_total", "direction=\"in\"", "leg messages");
	line->dropped_rx =
		metrics_counter(metrics, "leg_dropped_total", "direction=\"in\",reason=\"full\"",
				"dropped from a leg's queues: datagrams out, messages in");
	line->waited = metrics_histogram(metrics, "leg_queue_age_seconds", NULL,
					 "how long what was sent over a leg had waited");
	line->invalid = metrics_counter(metrics, "leg_invalid_total", NULL,
					"messages of a relay that were no leg messages");
	line->attempts =
		metrics_counter(metrics, "leg_attempts_total", NULL, "attempts to connect a leg");
	line->resumed = metrics_counter(metrics, "leg_resumed_total", NULL,
					"legs whose TLS session was resumed");
	line->up = metrics_gauge(metrics, "leg_up", NULL, "1 while the leg is up");
}

int
leg_line_new(struct loop *loop, struct metrics *metrics, const struct leg_client_options *options,
	     const struct leg_client_events *events, struct leg_line **ret)
{
	struct leg_line *line = calloc(1, sizeof *line);
	int r;

	if (line == NULL)
		return -ENOMEM;
	line->loop = loop;
	line->addresses_fd = -1;
	line->events = *events;
	line->queue_bytes = options->queue_bytes > 0 ? options->queue_bytes : QUEUE_DEFAULT_BYTES;
	pthread_mutex_init(&line->lock, NULL);
	leg_queue_init(&line->rx);
	make_metrics(line, metrics);
	line->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = line->event_fd < 0 ? -errno : 0;
	if (r == 0)
		r = leg_outbox_init(&line->tx, options->is_node, line->queue_bytes,
				    options->queue_age_ms > 0 ? options->queue_age_ms
							      : AGE_DEFAULT_MS,
				    metrics);
	if (r == 0 && options->ca_file != NULL && access(options->ca_file, R_OK) < 0)
		r = -errno;
	if (r == 0)
		r = loop_fd_add(loop, line->event_fd, EPOLLIN, on_wake, line, &line->watch);
	if (r == 0)
		r = leg_thread_start(line, options->ca_file, &line->thread);
	if (r < 0) {
		if (line->watch != NULL)
			loop_fd_remove(&line->watch);
		line_destroy(line);
		return r;
	}
	watch_addresses(line);
	*ret = line;
	return 0;
}

void
leg_line_free(struct leg_line **line_pointer)
{
	struct leg_line *line = *line_pointer;

	if (line == NULL)
		return;
	*line_pointer = NULL;
	leg_thread_stop(&line->thread);
	loop_fd_remove(&line->watch);
	loop_fd_remove(&line->addresses_watch);
	line->is_freed = true;
	if (!line->is_delivering)
		line_destroy(line);
}

enum leg_state
leg_line_state(const struct leg_line *line)
{
	return line->state;
}

const char *
leg_line_url(const struct leg_line *line)
{
	return line->url;
}

/* Lines of one client have the same counters. */
struct leg_client_figures
leg_line_figures(const struct leg_line *line)
{
	struct leg_client_figures figures = {
		.attempts = metric_value(line->attempts),
		.lost_in = metric_value(line->dropped_rx) + metric_value(line->invalid),
	};

	for (size_t i = 0; i < LEG_OUTBOX_REASONS; i++)
		figures.lost_out += metric_value(line->tx.dropped[i]);
	return figures;
}

/* Takes the item, which may be NULL. */
static int
queue(struct leg_line *line, struct fair_item *item, bool is_control)
{
	int r = -ENOTCONN;

	if (item == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&line->lock);
	/* The connection may be gone, or be another, and we not know yet. */
	bool is_taken = line->tx_generation == line->generation;
	if (is_taken)
		r = leg_outbox_push(&line->tx, item, is_control);
	pthread_mutex_unlock(&line->lock);
	if (!is_taken)
		free(item);
	return r;
}

static int
send_data(struct leg_line *line, const uint8_t *message, size_t n)
{
	size_t header_n = leg_data_header_bytes(line->tx.is_node), at;
	size_t most = atomic_load_explicit(&line->piece_bytes, memory_order_relaxed);
	int64_t now_ms = clock_monotonic_ms();
	int r;

	if (header_n > n)
		header_n = n;
	at = header_n;
	do {
		size_t piece = leg_batch_cut(message + at, n - at, most);
		r = queue(line, leg_outbox_item(message, header_n, message + at, piece, now_ms),
			  false);
		at += piece;
	} while (r == 0 && at < n);
	return r;
}

int
leg_line_send(struct leg_line *line, const uint8_t *bytes, size_t n, bool is_control)
{
	if (line->state != LEG_UP)
		return -ENOTCONN;
	if (n == 0 || n > LEG_MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	if (!is_control)
		return send_data(line, bytes, n);
	return queue(line, leg_outbox_item(bytes, n, bytes + n, 0, clock_monotonic_ms()), true);
}

void
leg_line_flush(struct leg_line *line)
{
	pthread_mutex_lock(&line->lock);
	bool wake = !line->is_tx_awake && !leg_outbox_is_empty(&line->tx);
	if (wake)
		line->is_tx_awake = true;
	pthread_mutex_unlock(&line->lock);
	if (wake)
		leg_thread_wake(line->thread);
}

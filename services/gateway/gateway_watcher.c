/*
 * gateway_watcher: a listener's WebSocket; see the header.
 */
#include "gateway/gateway_watcher.h"

#include "ws/ws_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { INPUT_BYTES = 4096, MESSAGE_MAX_BYTES = 1024 };

struct gateway_watcher {
	struct loop *loop;
	struct loop_fd *watch;
	int socket;
	int64_t expires_ms, heard_ms, pinged_ms;
	gateway_watcher_fn fn;
	void *arg;
	struct ws_reader reader;
	uint8_t input[INPUT_BYTES];
	size_t input_n;
	uint8_t *queue;
	size_t queue_n, queue_capacity;
	bool is_ended;
};

void
gateway_watcher_free(struct gateway_watcher **watcher)
{
	struct gateway_watcher *w = *watcher;
	if (w == NULL)
		return;
	loop_fd_remove(&w->watch);
	ws_reader_fini(&w->reader);
	free(w->queue);
	free(w);
	*watcher = NULL;
}

bool
gateway_watcher_is_over(const struct gateway_watcher *watcher)
{
	return watcher->is_ended;
}

static void
watcher_over(struct gateway_watcher *watcher, bool is_slow)
{
	if (watcher->is_ended)
		return;
	watcher->is_ended = true;
	loop_fd_remove(&watcher->watch);
	watcher->fn(is_slow, watcher->arg);
}

static void
watcher_flush(struct gateway_watcher *watcher)
{
	size_t at = 0;
	while (at < watcher->queue_n) {
		ssize_t n = send(watcher->socket, watcher->queue + at, watcher->queue_n - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			watcher_over(watcher, false);
			return;
		}
		if (n < 0)
			break;
		at += (size_t)n;
	}
	watcher->queue_n -= at;
	memmove(watcher->queue, watcher->queue + at, watcher->queue_n);
	(void)!loop_fd_set(watcher->watch, watcher->queue_n > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static bool
queue_reserve(struct gateway_watcher *watcher, size_t n)
{
	size_t need = watcher->queue_n + n, capacity = watcher->queue_capacity;
	if (need <= capacity)
		return true;
	capacity = capacity > 0 ? capacity : 4096;
	while (capacity < need)
		capacity *= 2;
	uint8_t *queue = realloc(watcher->queue, capacity);
	if (queue == NULL)
		return false;
	watcher->queue = queue;
	watcher->queue_capacity = capacity;
	return true;
}

static void
watcher_write(struct gateway_watcher *watcher, enum ws_opcode opcode, const void *payload, size_t n)
{
	if (watcher->is_ended)
		return;
	if (watcher->queue_n + n + WS_HEADER_OUT_MAX_BYTES > WATCHER_QUEUE_MAX_BYTES ||
	    !queue_reserve(watcher, n + WS_HEADER_OUT_MAX_BYTES)) {
		watcher_over(watcher, true);
		return;
	}
	bool was_empty = watcher->queue_n == 0;
	watcher->queue_n += ws_header_write(watcher->queue + watcher->queue_n, opcode, n);
	if (n > 0)
		memcpy(watcher->queue + watcher->queue_n, payload, n);
	watcher->queue_n += n;
	if (was_empty)
		watcher_flush(watcher);
}

void
gateway_watcher_send(struct gateway_watcher *watcher, const char *text, size_t n)
{
	watcher_write(watcher, WS_OPCODE_TEXT, text, n);
}

void
gateway_watcher_end(struct gateway_watcher *watcher, uint16_t code, const char *reason)
{
	uint8_t frame[2 + WS_CONTROL_MAX_BYTES];
	if (watcher->is_ended)
		return;
	/* Only between two frames, and if it is taken at once: the end does not wait. */
	if (watcher->queue_n == 0) {
		size_t n = ws_close_write(frame, code, reason);
		(void)!send(watcher->socket, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	watcher_over(watcher, false);
}

static void
on_frame(struct gateway_watcher *watcher, const struct ws_event *event)
{
	switch (event->kind) {
	case WS_EVENT_MORE:
	case WS_EVENT_FRAGMENT:
	case WS_EVENT_PONG:
		break;
	case WS_EVENT_PING:
		watcher_write(watcher, WS_OPCODE_PONG, event->payload, event->n);
		break;
	case WS_EVENT_BINARY:
	case WS_EVENT_TEXT:
		gateway_watcher_end(watcher, WS_CLOSE_UNSUPPORTED, "nothing is heard here");
		break;
	case WS_EVENT_CLOSE:
		gateway_watcher_end(watcher, WS_CLOSE_NORMAL, "");
		break;
	case WS_EVENT_FAIL:
		gateway_watcher_end(watcher, event->code, event->reason);
		break;
	}
}

static void
take_input(struct gateway_watcher *watcher)
{
	struct ws_event event;
	size_t at = 0;
	do {
		ws_reader_next(&watcher->reader, watcher->input + at, watcher->input_n - at,
			       MESSAGE_MAX_BYTES, loop_now_ms(watcher->loop), &event);
		at += event.consumed;
		on_frame(watcher, &event);
	} while (!watcher->is_ended && event.kind != WS_EVENT_MORE && at < watcher->input_n);
	watcher->input_n -= at;
	memmove(watcher->input, watcher->input + at, watcher->input_n);
}

static void
on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct gateway_watcher *watcher = arg;
	if ((events & EPOLLOUT) != 0 && watcher->queue_n > 0)
		watcher_flush(watcher);
	if (watcher->is_ended || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	ssize_t n = recv(fd, watcher->input + watcher->input_n, INPUT_BYTES - watcher->input_n,
			 MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		watcher_over(watcher, false);
		return;
	}
	watcher->heard_ms = loop_now_ms(loop);
	watcher->input_n += (size_t)n;
	take_input(watcher);
}

void
gateway_watcher_tick(struct gateway_watcher *watcher)
{
	int64_t now_ms = loop_now_ms(watcher->loop);
	if (watcher->is_ended)
		return;
	if (now_ms >= watcher->expires_ms) {
		gateway_watcher_end(watcher, WS_CLOSE_RESTART, "connect again");
	} else if (now_ms - watcher->heard_ms > WATCHER_SILENCE_MAX_MS) {
		watcher_over(watcher, true);
	} else if (now_ms - watcher->pinged_ms > WATCHER_PING_MS) {
		watcher->pinged_ms = now_ms;
		watcher_write(watcher, WS_OPCODE_PING, NULL, 0);
	}
}

int
gateway_watcher_new(struct loop *loop, int socket, int64_t expires_ms, gateway_watcher_fn fn,
		    void *arg, struct gateway_watcher **ret)
{
	struct gateway_watcher *watcher = calloc(1, sizeof(*watcher));
	if (watcher == NULL)
		return -ENOMEM;
	watcher->loop = loop;
	watcher->socket = socket;
	watcher->expires_ms = expires_ms;
	watcher->heard_ms = watcher->pinged_ms = loop_now_ms(loop);
	watcher->fn = fn;
	watcher->arg = arg;
	int r = loop_fd_add(loop, socket, EPOLLIN, on_ready, watcher, &watcher->watch);
	if (r < 0) {
		free(watcher);
		return r;
	}
	*ret = watcher;
	return 0;
}

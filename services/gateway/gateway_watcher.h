/*
 * gateway_watcher: one WebSocket that events are written to: its frames, its queue, its end. What
 * the peer does not take in time is kept up to a limit; over it, the watcher is ended, so that a
 * slow one costs the others nothing. On the gateway's loop.
 */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WATCHER_QUEUE_MAX_BYTES = 256 * 1024,
	WATCHER_PING_MS = 15 * 1000,
	WATCHER_SILENCE_MAX_MS = 45 * 1000,
};

struct gateway_watcher;

/* Called once, when it is over, which may be from within any call here: closes the socket. is_slow:
 * it did not take what it was sent. The watcher is freed later, by its owner. */
typedef void (*gateway_watcher_fn)(bool is_slow, void *arg);

/* socket: not blocking, the caller's to close in fn. expires_ms: on the loop's clock; then it is
 * told to connect again (1012), which shows whether it still may. */
int gateway_watcher_new(struct loop *loop, int socket, int64_t expires_ms, gateway_watcher_fn fn,
			void *arg, struct gateway_watcher **ret);

/* Not from within fn. */
void gateway_watcher_free(struct gateway_watcher **watcher);

bool gateway_watcher_is_over(const struct gateway_watcher *watcher);

/* A text message. May end it. */
void gateway_watcher_send(struct gateway_watcher *watcher, const char *text, size_t n);

/* Every few seconds: pings, silence, expiry. May end it. */
void gateway_watcher_tick(struct gateway_watcher *watcher);

/* A close frame, then the end. */
void gateway_watcher_end(struct gateway_watcher *watcher, uint16_t code, const char *reason);

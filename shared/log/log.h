/*
 * log: one line an event on stderr: `level service event key=value ...`. Any thread; never blocks
 * (a line that does not fit the pipe is counted and lost).
 *
 * No keys, tokens, tickets or payloads, ever. Client addresses only at LOG_DEBUG_LEVEL. Every value
 * is escaped on the way out: bytes below 0x20, 0x7f and invalid UTF-8 become \xNN, a value with a
 * space, '=' or '"' stands in quotes, a field is cut at 256 bytes, so that what a peer sent can
 * neither break nor forge a line.
 */
#pragma once

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the process's lines until the thread says better with log_set_service. */
void log_init(const char *service, enum log_level level);

/* The service name of this thread's lines: an actor sets its own when it starts. Static string. */
void log_set_service(const char *service);

enum log_level log_get_level(void);

/* "error" | "warn" | "info" | "debug"; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret_level);

/* format is `key=%s other=%d`: keys in the format, values by conversion. event is a noun_verb.
 * errno stays as it was, and %m is its text. */
void log_write(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

/* Lines lost because stderr would have blocked. */
uint64_t log_lost_count(void);

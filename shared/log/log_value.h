/*
 * log_value: turns a log_write format and its values into text that cannot break or forge a line.
 * No I/O; used by log.c alone.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum {
	LOG_LINE_MAX_BYTES = 4096, /* PIPE_BUF: what a pipe takes whole or not at all */
	LOG_VALUE_MAX_BYTES = 256,
};

/* Text being built; what does not fit is left out. Always ends in NUL. */
struct log_text {
	char bytes[LOG_LINE_MAX_BYTES];
	size_t n;
};

void log_text_add(struct log_text *text, const char *literal);

/* printf's conversions d i u x X o c s p f F g G e E m %, with widths and lengths. */
void log_text_add_format(struct log_text *text, const char *format, va_list args);

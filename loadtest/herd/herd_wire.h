/* herd_wire: bytes of a line to and from its socket, through TLS where there is one. */
#pragma once

#include "herd_line.h"

#include <sys/types.h>

/* 1 done, 0 not yet, -1 failed. */
int herd_wire_handshake(struct herd_line *line);

/* Bytes; 0: none now; -1: closed or failed. */
ssize_t herd_wire_read(struct herd_line *line, uint8_t *to, size_t n);
ssize_t herd_wire_write(struct herd_line *line, const uint8_t *bytes, size_t n);
void herd_wire_close(struct herd_line *line);

/* For all lines of a process; sessions are kept for those that come back. */
void *herd_wire_context(void);

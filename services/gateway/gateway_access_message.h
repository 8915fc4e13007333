/*
 * gateway_access_message: between access keys' rows and the messages of proto/gateway.proto: what
 * was asked is read and checked, what was found is shown. No I/O, no clock.
 */
#pragma once

#include "gateway.pb-c.h"
#include "gateway/gateway_access_store.h"
#include "loop/clock.h"

#include <stdbool.h>

/* A row as a message; key points into it and into the row. */
struct access_shown {
	Boson__Gateway__AccessKey key;
	char created[CLOCK_ISO8601_BYTES], expires[CLOCK_ISO8601_BYTES],
		revoked[CLOCK_ISO8601_BYTES];
};

void access_show(struct access_shown *shown, const struct access_row *row, int64_t wall_now_ms);

/* ret->created_ms is set. NULL, or the field that is wrong. */
const char *access_read_create(const Boson__Gateway__CreateKeyRequest *input,
			       struct access_row *ret);

/* text NULL: from the start. */
bool access_read_cursor(const char *text, int64_t *ret);

bool access_id_is_valid(const char *id);

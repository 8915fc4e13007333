/*
 * discovery_beats: heartbeats by the thousand in one value: what a replica writes to the store for
 * the others, instead of a row each. Little-endian, one after the other:
 *
 *	id 16 | version 8 | status and flags 1 | [vitals 62]
 *
 * No I/O, no state.
 */
#pragma once

#include "discovery/discovery_registry.h"

enum { BEATS_ONE_MAX_BYTES = UUID_BYTES + 8 + 1 + 8 * DISCOVERY_VITALS + 4 + 2 };

struct beat {
	uint8_t id[UUID_BYTES];
	uint64_t version;
	enum registry_status status;
	struct discovery_vitals vitals; /* is_known: they came along */
};

/* Returns how many bytes. */
size_t beats_write(const struct beat *beat, uint8_t ret_bytes[BEATS_ONE_MAX_BYTES]);

/* The beat at *at, which moves behind it. 1; 0: there is none left; -EBADMSG. */
int beats_read(const uint8_t *bytes, size_t n, size_t *at, struct beat *ret);

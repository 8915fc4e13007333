/*
 * relay_batch: checks the datagrams of a data message for WireGuard's outer shape and takes out
 * those that have none. A model: no I/O.
 */
#pragma once

#include "leg/leg_frame.h"
#include "wg/datagram.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct relay_batch {
	size_t n;	/* what is left, lengths included; the rest was moved up over the gaps */
	uint64_t bytes; /* of datagrams left */
	uint32_t kept;
	uint8_t types[4];  /* kept, by datagram type - 1 */
	uint8_t faults[4]; /* taken out, by - enum datagram_fault - 1 */
};

/* For a single datagram, without a length before it. */
static inline void
relay_batch_check_one(const uint8_t *datagram, size_t n, struct relay_batch *ret)
{
	int type = datagram_check(datagram, n);

	memset(ret, 0, sizeof(*ret));
	if (type < 0) {
		ret->faults[-type - 1]++;
		return;
	}
	ret->types[type - 1]++;
	ret->kept = 1;
	ret->n = n;
	ret->bytes = n;
}

/* batch: 1 to 64 of { u16 length, datagram }. 0, or -EBADMSG: not that. */
int relay_batch_check_many(uint8_t *batch, size_t n, struct relay_batch *ret);

/* The same; for one, as most are, no more is done than must be. */
static inline int
relay_batch_check(uint8_t *batch, size_t n, struct relay_batch *ret)
{
	size_t one = n - LEG_DATAGRAM_HEADER_BYTES;

	if (n <= LEG_DATAGRAM_HEADER_BYTES || ((size_t)batch[0] << 8 | batch[1]) != one)
		return relay_batch_check_many(batch, n, ret);
	relay_batch_check_one(batch + LEG_DATAGRAM_HEADER_BYTES, one, ret);
	ret->n += ret->kept * LEG_DATAGRAM_HEADER_BYTES;
	return 0;
}

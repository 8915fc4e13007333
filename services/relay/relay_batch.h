/*
 * relay_batch: checks the datagrams of a data message for WireGuard's outer shape and takes out
 * those that have none. A model: no I/O.
 */
#pragma once

#include "wg/datagram.h"

#include <stddef.h>
#include <stdint.h>

struct relay_batch {
	size_t n;	/* what is left, lengths included; the rest was moved up over the gaps */
	uint64_t bytes; /* of datagrams left */
	uint32_t kept;
	uint8_t types[4];  /* kept, by datagram type - 1 */
	uint8_t faults[4]; /* taken out, by - enum datagram_fault - 1 */
};

/* batch: 1 to 64 of { u16 length, datagram }. 0, or -EBADMSG: not that. */
int relay_batch_check(uint8_t *batch, size_t n, struct relay_batch *ret);

/* The same for one datagram without a length before it. */
void relay_batch_check_one(const uint8_t *datagram, size_t n, struct relay_batch *ret);

/*
 * relay_batch: one walk; nothing moves unless a datagram is taken out.
 */
#include "relay/relay_batch.h"

#include "leg/leg_frame.h"

#include <string.h>

int
relay_batch_check_many(uint8_t *batch, size_t n, struct relay_batch *ret)
{
	struct leg_reader reader = { .next = batch, .end = batch + n };
	const uint8_t *datagram;
	uint8_t *to = batch;
	size_t datagram_n;
	int r;

	memset(ret, 0, sizeof(*ret));
	while ((r = leg_reader_next(&reader, &datagram, &datagram_n)) == 1) {
		int type = datagram_check(datagram, datagram_n);
		size_t whole = LEG_DATAGRAM_HEADER_BYTES + datagram_n;

		if (type < 0) {
			ret->faults[-type - 1]++;
			continue;
		}
		const uint8_t *from = datagram - LEG_DATAGRAM_HEADER_BYTES;
		if (to != from)
			memmove(to, from, whole);
		to += whole;
		ret->types[type - 1]++;
		ret->kept++;
		ret->bytes += datagram_n;
	}
	ret->n = (size_t)(to - batch);
	return r;
}

/*
 * A batch, and the same bytes as one datagram: what is kept lies within the input, holds only what
 * has a shape, in its order, and the books agree.
 */
#include "leg/leg_frame.h"
#include "relay/relay_batch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned
sum(const uint8_t four[4])
{
	return four[0] + four[1] + four[2] + four[3];
}

/* Every datagram that is kept must have a shape, and be found in the input further on each time. */
static void
check_kept(const struct relay_batch *batch, const uint8_t *kept, const uint8_t *data, size_t n)
{
	struct leg_reader reader = { .next = kept, .end = kept + batch->n };
	const uint8_t *datagram, *from = data;
	size_t datagram_n, bytes = 0;
	unsigned count = 0;

	while (leg_reader_next(&reader, &datagram, &datagram_n) == 1) {
		const uint8_t *found =
			memmem(from, (size_t)(data + n - from), datagram - 2, datagram_n + 2);

		if (datagram_check(datagram, datagram_n) < 0 || found == NULL)
			abort();
		from = found + datagram_n + 2;
		bytes += datagram_n;
		count++;
	}
	if (count != batch->kept || bytes != batch->bytes)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct relay_batch batch, one;
	uint8_t *copy = malloc(n + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, n);
	int r = relay_batch_check(copy, n, &batch);
	if (batch.n > n || batch.kept != sum(batch.types) ||
	    batch.kept + sum(batch.faults) > LEG_BATCH_MAX)
		abort();
	if (r == 0)
		check_kept(&batch, copy, data, n);
	relay_batch_check_one(data, n, &one);
	if (one.kept + sum(one.faults) != 1 || one.kept != sum(one.types) ||
	    (one.kept == 1) != (datagram_check(data, n) > 0))
		abort();
	free(copy);
	return 0;
}

/* discovery_beats: what is written is read, and what is cut or damaged is noticed. */
#include "discovery/discovery_beats.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static struct beat
make(bool has_vitals)
{
	struct beat beat = { .version = UINT64_C(0x1122334455667788), .status = REGISTRY_DEGRADED };

	memset(beat.id, 0xab, sizeof(beat.id));
	beat.vitals.is_known = has_vitals;
	if (has_vitals) {
		beat.vitals.values[0] = 12.3;
		beat.vitals.active_connections = 70000;
		beat.vitals.has = 0x81;
	}
	return beat;
}

static void
test_beats_are_read_as_they_were_written(void **state)
{
	uint8_t bytes[2 * BEATS_ONE_MAX_BYTES];
	struct beat with = make(true), without = make(false), read;
	size_t n = beats_write(&with, bytes), at = 0;

	(void)state;
	assert_int_equal(n, BEATS_ONE_MAX_BYTES);
	n += beats_write(&without, bytes + n);
	assert_int_equal(beats_read(bytes, n, &at, &read), 1);
	assert_memory_equal(&read.vitals, &with.vitals, sizeof(read.vitals));
	assert_memory_equal(read.id, with.id, sizeof(read.id));
	assert_int_equal(read.status, REGISTRY_DEGRADED);
	assert_true(read.version == with.version);
	assert_int_equal(beats_read(bytes, n, &at, &read), 1);
	assert_false(read.vitals.is_known);
	assert_int_equal(beats_read(bytes, n, &at, &read), 0);
}

static void
test_beat_cut_anywhere_is_refused(void **state)
{
	uint8_t bytes[BEATS_ONE_MAX_BYTES];
	struct beat beat = make(true), read;
	size_t n = beats_write(&beat, bytes);

	(void)state;
	for (size_t cut = 1; cut < n; cut++) {
		size_t at = 0;

		assert_int_equal(beats_read(bytes, cut, &at, &read), -EBADMSG);
	}
}

static void
test_beat_of_no_status_or_of_no_number_is_refused(void **state)
{
	uint8_t bytes[BEATS_ONE_MAX_BYTES];
	struct beat beat = make(true), read;
	size_t n = beats_write(&beat, bytes), at = 0;

	(void)state;
	bytes[UUID_BYTES + 8] = 3;
	assert_int_equal(beats_read(bytes, n, &at, &read), -EBADMSG);
	at = 0;
	bytes[UUID_BYTES + 8] = 0xf5;
	assert_int_equal(beats_read(bytes, n, &at, &read), -EBADMSG);
	at = 0;
	beat.vitals.values[3] = (double)NAN;
	n = beats_write(&beat, bytes);
	assert_int_equal(beats_read(bytes, n, &at, &read), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beats_are_read_as_they_were_written),
		cmocka_unit_test(test_beat_cut_anywhere_is_refused),
		cmocka_unit_test(test_beat_of_no_status_or_of_no_number_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

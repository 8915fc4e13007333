/*
 * F17: a power cut at every point at which SQLite writes. A run of batches is recorded once; then
 * the disk is put into states that a cut at each point could have left, and the store is opened on
 * them: whole, with every acknowledged batch and none by half. CRASH_POINTS=10000 in the
 * environment asks for so many states; a run among other tests takes fewer, spread over the whole
 * record.
 */
#include "crash_vfs.h"
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCHES = 400, BLOB_BYTES = 1500, STATES_DEFAULT = 800 };

static void
write_batch(struct store *store, int64_t batch)
{
	static const uint8_t bytes[BLOB_BYTES] = { 7 };

	assert_int_equal(store_begin(store), 0);
	for (int64_t i = 0; i < FIXTURE_BATCH_ROWS; i++) {
		struct store_value values[] = { STORE_V_INT(batch * FIXTURE_BATCH_ROWS + i),
						store_text("label"),
						store_blob(bytes, sizeof(bytes)) };

		assert_int_equal(store_exec(store,
					    "INSERT INTO item (id, label, bytes) "
					    "VALUES ($1, $2, $3)",
					    values, 3),
				 1);
	}
	assert_int_equal(store_commit(store), 0);
	crash_vfs_mark(batch);
}

/* Long enough for the log to be moved into the database and begun anew several times; closed and
 * opened again in the midst of it. */
static void
record_a_run(void)
{
	struct store *store;

	crash_vfs_record();
	store = fixture_open();
	for (int64_t batch = 0; batch < BATCHES; batch++) {
		if (batch == BATCHES / 3) {
			store_close(&store);
			store = fixture_open();
		}
		write_batch(store, batch);
	}
	store_close(&store);
	crash_vfs_stop();
}

static int
read_verdict(const struct store_value *row, size_t columns, void *arg)
{
	assert_int_equal(columns, 1);
	snprintf(arg, 32, "%s", (const char *)row[0].data.bytes);
	return 0;
}

static void
assert_state(size_t point, int64_t acknowledged)
{
	char verdict[32] = "";
	struct store *store = fixture_open();
	int64_t rows = fixture_count(store);

	assert_int_equal(
		store_query(store, "PRAGMA integrity_check", NULL, 0, read_verdict, verdict), 1);
	if (strcmp(verdict, "ok") != 0 || rows % FIXTURE_BATCH_ROWS != 0 ||
	    rows < (acknowledged + 1) * FIXTURE_BATCH_ROWS ||
	    rows > (acknowledged + 2) * FIXTURE_BATCH_ROWS)
		fail_msg("cut at %zu: %s, %ld rows, %ld batches were acknowledged", point, verdict,
			 (long)rows, (long)acknowledged + 1);
	store_close(&store);
}

static void
test_F17_after_a_cut_at_any_write_no_acknowledged_batch_is_lost_and_none_is_half(void **state)
{
	const char *wanted = getenv("CRASH_POINTS");
	size_t states = wanted != NULL ? strtoul(wanted, NULL, 10) : STATES_DEFAULT, points,
	       tried = 0;

	(void)state;
	srandom(17);
	record_a_run();
	points = crash_vfs_points();
	assert_true(points > BATCHES * 4);
	for (size_t i = 0; i < states; i++) {
		size_t point = 1 + i * points / states;
		enum crash_manner manner = (enum crash_manner)(i % CRASH_MANNERS);

		assert_state(point, crash_vfs_restore(fixture_path, point, manner));
		tried++;
	}
	print_message("%zu states of the disk at %zu points of a run of %d batches\n", tried,
		      points, BATCHES);
	crash_vfs_free();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_F17_after_a_cut_at_any_write_no_acknowledged_batch_is_lost_and_none_is_half,
			fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* routing_follow: what is known of the store's sessions is what was committed, on a store that
 * others write to, too. */
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include "loop/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct routing routing;

static int
setup(void **state)
{
	char reason[256];

	(void)state;
	memset(&routing, 0, sizeof(routing));
	routing.is_shared = true;
	routing.session_lifetime_ms = 1000 * 1000;
	if (table_init(&routing.table) != 0 || sessions_init(&routing.sessions) != 0)
		return -1;
	return routing_store_open("sqlite::memory:", &routing.store, reason, sizeof(reason));
}

static int
teardown(void **state)
{
	(void)state;
	store_close(&routing.store);
	sessions_fini(&routing.sessions);
	table_fini(&routing.table);
	return 0;
}

static struct session_record
make(uint8_t number, enum session_status status)
{
	struct session_record record = { .status = status };

	record.id[0] = record.route_id[0] = record.client_id[0] = number;
	record.node_id[0] = 1;
	record.created_wall_ms = clock_wall_ms();
	record.expires_wall_ms = record.created_wall_ms + 1000 * 1000;
	return record;
}

static void
add(const struct session_record *record)
{
	assert_int_equal(routing_store_add(routing.store, record), 0);
	assert_int_equal(routing_follow(&routing), 0);
}

static const struct session *
known(const struct session_record *record)
{
	return sessions_find(&routing.sessions, record->id);
}

static void
test_what_another_replica_wrote_is_known_and_counted(void **state)
{
	struct session_record record = make(1, SESSION_OPENING);

	(void)state;
	add(&record);
	assert_int_equal(known(&record)->record.status, SESSION_OPENING);
	assert_int_equal(table_find(&routing.table, record.node_id)->sessions, 1);
	record.status = SESSION_OPEN;
	assert_int_equal(routing_store_change(routing.store, &record, false), 0);
	assert_int_equal(known(&record)->record.status, SESSION_OPENING);
	assert_int_equal(routing_follow(&routing), 0);
	assert_int_equal(known(&record)->record.status, SESSION_OPEN);
	assert_int_equal(table_find(&routing.table, record.node_id)->sessions, 1);
	record.status = SESSION_CLOSING;
	assert_int_equal(routing_store_change(routing.store, &record, false), 0);
	assert_int_equal(routing_follow(&routing), 0);
	assert_int_equal(known(&record)->record.status, SESSION_CLOSING);
	assert_null(table_find(&routing.table, record.node_id));
}

/* A deletion whose commit fails must not be taken for one that was acknowledged. */
static void
test_a_batch_does_not_believe_what_it_has_not_committed_F13(void **state)
{
	struct session_record record = make(1, SESSION_OPEN);

	(void)state;
	add(&record);
	assert_int_equal(routing_batch_begin(&routing), 0);
	assert_int_equal(routing_follow(&routing), 0);
	assert_int_equal(store_begin(routing.store), 0);
	record.status = SESSION_CLOSING;
	assert_int_equal(routing_store_change(routing.store, &record, false), 0);
	assert_int_equal(routing_follow(&routing), 0); /* the next request of the batch */
	assert_int_equal(known(&record)->record.status, SESSION_OPEN);
	store_rollback(routing.store);
	assert_int_equal(routing_batch_commit(&routing), 0);
	assert_int_equal(routing_follow(&routing), 0);
	assert_int_equal(known(&record)->record.status, SESSION_OPEN);
}

static void
test_a_client_has_one_session_that_lives_whoever_adds_it(void **state)
{
	struct session_record first = make(1, SESSION_OPENING), second = make(2, SESSION_OPENING);

	(void)state;
	add(&first);
	second.client_id[0] = first.client_id[0];
	assert_int_equal(routing_store_add(routing.store, &second), -EEXIST);
	first.status = SESSION_CLOSED;
	assert_int_equal(routing_store_change(routing.store, &first, true), 0);
	assert_int_equal(routing_store_add(routing.store, &second), 0);
}

static int
count_row(const struct session_record *record, int64_t change, void *arg)
{
	(void)record;
	(void)change;
	++*(unsigned int *)arg;
	return 0;
}

/* T05: whichever replica adds the rows; in one transaction. */
static void
test_a_key_is_one_holders_and_goes_to_who_proves_it(void **state)
{
	struct session_record first = make(1, SESSION_OPEN), same = make(2, SESSION_OPENING);
	struct session_record other = make(3, SESSION_OPENING);
	unsigned int closing = 0;

	(void)state;
	strcpy(first.holder, "one");
	strcpy(same.holder, "one");
	strcpy(other.holder, "other");
	add(&first);
	add(&same);
	assert_int_equal(routing_store_add(routing.store, &other), -EBUSY);
	other.is_proven = true;
	assert_int_equal(routing_store_add(routing.store, &other), -EBUSY);
	assert_int_equal(routing_store_take_key(routing.store, &other.client_key), 2);
	add(&other);
	assert_int_equal(known(&first)->record.status, SESSION_CLOSING);
	assert_int_equal(known(&same)->record.status, SESSION_CLOSING);
	assert_true(known(&other)->record.is_proven);
	assert_int_equal(
		routing_store_closing_of_key(routing.store, &other.client_key, count_row, &closing),
		0);
	assert_int_equal(closing, 2);

	assert_int_equal(routing_store_take_key(routing.store, &other.client_key), 0);
	other.is_proven = false; /* who has not heard of it */
	other.status = SESSION_OPEN;
	assert_int_equal(routing_store_change(routing.store, &other, false), 0);
	assert_int_equal(routing_follow(&routing), 0);
	assert_true(known(&other)->record.is_proven);
	same = make(4, SESSION_OPENING);
	strcpy(same.holder, "other");
	assert_int_equal(routing_store_add(routing.store, &same), -EBUSY);
	same.is_proven = true;
	assert_int_equal(routing_store_add(routing.store, &same), 0);
}

static void
test_what_has_ended_or_was_opened_is_not_taken_back(void **state)
{
	struct session_record record = make(1, SESSION_OPEN);

	(void)state;
	add(&record);
	record.status = SESSION_OPENING; /* who has not heard that it is open */
	assert_int_equal(routing_store_change(routing.store, &record, true), -ESTALE);
	record.status = SESSION_CLOSING;
	assert_int_equal(routing_store_change(routing.store, &record, false), 0);
	record.status = SESSION_OPEN;
	assert_int_equal(routing_store_change(routing.store, &record, false), -ESTALE);
	assert_int_equal(routing_follow(&routing), 0);
	assert_int_equal(known(&record)->record.status, SESSION_CLOSING);
}

/* T48: only the monotonic clock ends a session that is known. */
static void
test_a_row_that_is_read_again_keeps_its_end_T48(void **state)
{
	struct session_record record = make(1, SESSION_OPEN);
	int64_t ends_ms;

	(void)state;
	add(&record);
	ends_ms = known(&record)->ends_ms;
	((struct session *)(uintptr_t)known(&record))->ends_ms = ends_ms - 5;
	assert_int_equal(routing_keep(&routing, &record, NULL), 0);
	assert_true(known(&record)->ends_ms == ends_ms - 5);
}

#define ON_A_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_STORE(test_what_another_replica_wrote_is_known_and_counted),
		ON_A_STORE(test_a_batch_does_not_believe_what_it_has_not_committed_F13),
		ON_A_STORE(test_a_client_has_one_session_that_lives_whoever_adds_it),
		ON_A_STORE(test_a_key_is_one_holders_and_goes_to_who_proves_it),
		ON_A_STORE(test_what_has_ended_or_was_opened_is_not_taken_back),
		ON_A_STORE(test_a_row_that_is_read_again_keeps_its_end_T48),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

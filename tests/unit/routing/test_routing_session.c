/* routing_session: found by either id, ended in order, closed once. */
#include "routing/routing_session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sessions sessions;

static int
setup(void **state)
{
	(void)state;
	return sessions_init(&sessions);
}

static int
teardown(void **state)
{
	(void)state;
	sessions_fini(&sessions);
	return 0;
}

static struct session_record
make(uint32_t number, uint32_t route)
{
	struct session_record record = { 0 };

	memcpy(record.id, &number, sizeof(number));
	memcpy(record.route_id, &route, sizeof(route));
	return record;
}

static struct session *
put(uint32_t number, int64_t ends_ms)
{
	struct session_record record = make(number, number + 1000000);
	struct session *session = NULL;

	assert_int_equal(sessions_put(&sessions, &record, ends_ms, &session), 0);
	return session;
}

static void
put_status(struct session *session, enum session_status status)
{
	struct session_record record = session->record;

	record.status = status;
	assert_int_equal(sessions_put(&sessions, &record, session->ends_ms, &session), 0);
}

static void
test_a_session_is_found_by_its_id_and_by_its_routes(void **state)
{
	struct session_record record = make(1, 2), thief = make(3, 2);
	struct session *session, *other = NULL;

	(void)state;
	assert_int_equal(sessions_put(&sessions, &record, 10, &session), 0);
	assert_ptr_equal(sessions_find(&sessions, record.id), session);
	assert_ptr_equal(sessions_find_route(&sessions, record.route_id), session);
	assert_int_equal(sessions_put(&sessions, &thief, 10, &other), -EEXIST);
	assert_int_equal(sessions.count, 1);
	assert_int_equal(sessions.open, 1);
}

static void
test_sessions_end_in_order_also_when_they_were_extended(void **state)
{
	enum { SESSIONS = 3000 };
	struct session *session;
	int64_t last_ms = 0;
	size_t ended = 0;

	(void)state;
	for (uint32_t i = 0; i < SESSIONS; i++)
		(void)put(i, (i * 7919) % SESSIONS);
	for (uint32_t i = 0; i < SESSIONS; i += 10)
		(void)put(i, SESSIONS + i); /* taken up again */
	assert_int_equal(sessions.count, SESSIONS);
	for (int64_t now_ms = 0; now_ms < SESSIONS; now_ms += 13)
		while ((session = sessions_expire(&sessions, now_ms)) != NULL) {
			assert_true(session->ends_ms >= last_ms && session->ends_ms <= now_ms);
			last_ms = session->ends_ms;
			assert_null(sessions_find(&sessions, session->record.id));
			ended++;
			free(session);
		}
	assert_in_range(ended, SESSIONS / 10 * 9 - 13, SESSIONS / 10 * 9);
	while ((session = sessions_expire(&sessions, 10 * SESSIONS)) != NULL)
		free(session);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(sessions.open, 0);
}

static void
test_a_closed_session_waits_for_its_relay_and_no_longer(void **state)
{
	struct session *first = put(1, 100), *second = put(2, 100);

	(void)state;
	put_status(first, SESSION_CLOSING);
	put_status(first, SESSION_CLOSING);
	put_status(second, SESSION_CLOSING);
	assert_ptr_equal(sessions.closing, second);
	assert_ptr_equal(second->closing_next, first);
	assert_null(first->closing_next);
	put_status(second, SESSION_CLOSED);
	assert_ptr_equal(sessions.closing, first);
	assert_int_equal(sessions.open, 0);
	/* Its end takes it off the list, too. */
	while ((first = sessions_expire(&sessions, 100)) != NULL)
		free(first);
	assert_null(sessions.closing);
}

static void
test_sessions_to_be_closed_take_turns(void **state)
{
	struct session *all[3];

	(void)state;
	assert_null(sessions_next_closing(&sessions));
	for (uint32_t i = 0; i < 3; i++) {
		all[i] = put(i, 100);
		put_status(all[i], SESSION_CLOSING);
	}
	assert_ptr_equal(sessions_next_closing(&sessions), all[2]);
	assert_ptr_equal(sessions_next_closing(&sessions), all[1]);
	assert_ptr_equal(sessions_next_closing(&sessions), all[0]);
	assert_ptr_equal(sessions_next_closing(&sessions), all[2]);
	/* Whose turn it is may be closed before it comes. */
	put_status(all[1], SESSION_CLOSED);
	assert_ptr_equal(sessions_next_closing(&sessions), all[0]);
	put_status(all[0], SESSION_CLOSED);
	put_status(all[2], SESSION_CLOSED);
	assert_null(sessions_next_closing(&sessions));
}

#define WITH_SESSIONS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SESSIONS(test_a_session_is_found_by_its_id_and_by_its_routes),
		WITH_SESSIONS(test_sessions_end_in_order_also_when_they_were_extended),
		WITH_SESSIONS(test_a_closed_session_waits_for_its_relay_and_no_longer),
		WITH_SESSIONS(test_sessions_to_be_closed_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* routing_commit: what was written and cannot be kept is not left in the store. */
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned int failed;

int __wrap_sessions_put(struct sessions *sessions, const struct session_record *record,
			int64_t ends_ms, struct session **ret);
int __wrap_loop_defer(struct loop *loop, loop_fn fn, void *arg);
void __wrap_bus_call_fail_retry(void *call, enum bus_status status, const char *code,
				uint32_t retry_after_sec);

int
__wrap_sessions_put(struct sessions *sessions, const struct session_record *record, int64_t ends_ms,
		    struct session **ret)
{
	(void)sessions;
	(void)record;
	(void)ends_ms;
	(void)ret;
	return -ENOMEM;
}

/* The turn ends at once. */
int
__wrap_loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
	(void)loop;
	(void)fn;
	(void)arg;
	return -ENOMEM;
}

void
__wrap_bus_call_fail_retry(void *call, enum bus_status status, const char *code,
			   uint32_t retry_after_sec)
{
	(void)call;
	(void)code;
	(void)retry_after_sec;
	assert_int_equal(status, BUS_UNAVAILABLE);
	failed++;
}

static int
count_row(const struct session_record *record, int64_t change, void *arg)
{
	(void)record;
	(void)change;
	++*(unsigned int *)arg;
	return 0;
}

static void
test_a_session_that_cannot_be_kept_leaves_no_row(void **state)
{
	static struct routing routing;
	struct actor_context context = { 0 };
	struct routing_request *request = calloc(1, sizeof(*request));
	unsigned int rows = 0;
	char reason[256];

	(void)state;
	assert_non_null(request);
	routing.context = &context;
	assert_int_equal(table_init(&routing.table), 0);
	assert_int_equal(sessions_init(&routing.sessions), 0);
	assert_int_equal(
		routing_store_open("sqlite::memory:", &routing.store, reason, sizeof(reason)), 0);
	routing.in_flight = 1;
	request->routing = &routing;
	request->record.id[0] = 1;
	request->record.route_id[0] = 2;
	request->is_new = true;
	request->record.status = SESSION_OPENING;
	routing_commit(request, ROUTING_INTENDS);
	assert_int_equal(failed, 1);
	assert_int_equal(routing.in_flight, 0);
	assert_int_equal(routing_store_each(routing.store, count_row, &rows), 0);
	assert_int_equal(rows, 0);
	store_close(&routing.store);
	sessions_fini(&routing.sessions);
	table_fini(&routing.table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_that_cannot_be_kept_leaves_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* agent_actions: what a server may ask of a node, and what it may not. */
#include "agent/agent_actions.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
test_actions_are_read(void **state)
{
	struct agent_action action;

	(void)state;
	assert_int_equal(agent_action_parse("restart", NULL, &action), 0);
	assert_int_equal(action.kind, AGENT_RESTART);
	assert_int_equal(agent_action_parse("maintenance", "{\"seconds\":600}", &action), 0);
	assert_int_equal(action.kind, AGENT_MAINTENANCE);
	assert_int_equal(action.maintenance_sec, 600);
	assert_int_equal(agent_action_parse(
				 "updateConfig",
				 "{\"maxSessions\":0,\"metricsInterval\":30,\"new\":[1]}", &action),
			 0);
	assert_true(action.has_sessions_max);
	assert_int_equal(action.sessions_max, 0);
	assert_int_equal(action.metrics_sec, 30);
	assert_int_equal(agent_action_parse("updateConfig", "{}", &action), 0);
	assert_false(action.has_sessions_max || action.has_metrics_sec);
}

static void
test_what_is_no_action_or_out_of_range_is_refused(void **state)
{
	static const struct {
		const char *type, *payload;
		int error;
	} rows[] = {
		{ "run", "{}", -ENOENT },
		{ "", "{}", -ENOENT },
		{ "restart", "", -EINVAL },
		{ "restart", "[]", -EINVAL },
		{ "restart", "{\"a\":1,\"a\":2}", -EINVAL },
		{ "maintenance", NULL, -EINVAL },
		{ "maintenance", "{\"seconds\":-1}", -EINVAL },
		{ "maintenance", "{\"seconds\":86401}", -EINVAL },
		{ "maintenance", "{\"seconds\":\"600\"}", -EINVAL },
		{ "maintenance", "{\"seconds\":1e3}", -EINVAL },
		{ "updateConfig", "{\"metricsInterval\":9}", -EINVAL },
		{ "updateConfig", "{\"maxSessions\":4294967296}", -EINVAL },
	};
	struct agent_action action;
	char large[AGENT_PAYLOAD_MAX_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(agent_action_parse(rows[i].type, rows[i].payload, &action),
				 rows[i].error);
	memset(large, ' ', sizeof(large));
	memcpy(large, "{}", 2);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(agent_action_parse("restart", large, &action), -EINVAL);
	large[sizeof(large) - 2] = '\0';
	assert_int_equal(agent_action_parse("restart", large, &action), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions_are_read),
		cmocka_unit_test(test_what_is_no_action_or_out_of_range_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * metrics beside a PostgreSQL that is not there yet, that dies, and that two of us share. 77 when
 * none is installed.
 */
#include "../../servers/servers.h"
#include "loop/clock.h"
#include "metrics_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct servers servers;
static struct rig rigs[2];
static struct bus_peer *metrics[2];
static pid_t processes[2];
static unsigned schemas;

/* Two of us with run folders of their own and one schema. */
static void
start(size_t i)
{
	processes[i] = rig_spawn(&rigs[i], PROGRAM_METRICS, 0);
	metrics[i] = rig_peer(&rigs[i], "metrics", &boson__metrics__metrics__descriptor);
	rig_wait_up(&rigs[i], metrics[i]);
}

static int
setup(void **state)
{
	char url[SERVERS_URL_BYTES], schema[32], config[SERVERS_URL_BYTES + 32];

	(void)state;
	(void)snprintf(schema, sizeof(schema), "metrics_%u", schemas++);
	servers_postgresql_url(&servers, schema, url);
	(void)snprintf(config, sizeof(config), "[metrics]\nstore = %s\n", url);
	for (size_t i = 0; i < 2; i++)
		rig_start(&rigs[i], config);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		rig_stop(&rigs[i]);
	return 0;
}

static void
submit(size_t i, double cpu_usage)
{
	struct rig_call call;

	call_submit(&call, &rigs[i], metrics[i], NODE, NODE, clock_wall_ms(), cpu_usage);
	assert_non_null(call.reply);
	rig_call_fini(&call);
}

/* Points of the last hour; -1 when the database cannot be asked. */
static int
count_points(size_t i)
{
	const Boson__Metrics__HistoryReply *reply;
	struct rig_call call;
	int n = -1;

	call_history(&call, &rigs[i], metrics[i], NODE, &(struct range){ .interval = "raw" });
	reply = (const Boson__Metrics__HistoryReply *)call.reply;
	if (reply != NULL)
		n = (int)reply->n_points;
	else
		assert_true(rig_call_may_be_repeated(&call));
	rig_call_fini(&call);
	return n;
}

static bool
has_a_point(void *arg)
{
	return count_points(*(size_t *)arg) == 1;
}

static void
test_started_without_its_database_it_answers_503_and_recovers(void **state)
{
	struct rig_call call;
	size_t first = 0;

	(void)state;
	servers_postgresql_kill(&servers);
	start(0);
	assert_int_equal(count_points(0), -1);
	call_exposition(&call, &rigs[0], metrics[0]);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	rig_call_fini(&call);
	call_latest(&call, &rigs[0], metrics[0], NODE);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE); /* never "not found" */
	rig_call_fini(&call);
	submit(0, 1); /* kept until there is a database */
	call_latest(&call, &rigs[0], metrics[0], NODE);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	rig_wait(&rigs[0], has_a_point, &first, "the database");
}

static void
test_a_killed_database_costs_no_sample_F13(void **state)
{
	size_t first = 0;

	(void)state;
	start(0);
	assert_int_equal(count_points(0), 0);
	servers_postgresql_kill(&servers);
	submit(0, 1);
	assert_int_equal(count_points(0), -1);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	rig_wait(&rigs[0], has_a_point, &first, "the database");
}

/* F05: what was acknowledged a while ago is in the tables; the other one goes on. */
static void
test_either_of_two_replicas_may_be_killed_F05(void **state)
{
	struct rig_call call;
	size_t second = 1;

	(void)state;
	start(0);
	start(1);
	submit(0, 12.5);
	rig_wait(&rigs[1], has_a_point, &second, "the other's sample");
	rig_kill(&rigs[0], processes[0]);
	call_latest(&call, &rigs[1], metrics[1], NODE);
	assert_non_null(call.reply);
	assert_true(((Boson__Metrics__Sample *)call.reply)->metrics->system->cpu_usage == 12.5);
	rig_call_fini(&call);
	assert_int_equal(count_points(1), 1);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_started_without_its_database_it_answers_503_and_recovers),
		IN_A_RIG(test_a_killed_database_costs_no_sample_F13),
		IN_A_RIG(test_either_of_two_replicas_may_be_killed_F05),
	};
	int result = servers_begin(&servers, SERVERS_POSTGRESQL);

	if (result != 0)
		return result;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}

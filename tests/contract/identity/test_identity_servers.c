/*
 * The access keys' database is away (F13, P16): who shows a key hears 503, never 401; who has a
 * session token is served as ever; and when it is back, so are the keys. A PostgreSQL of our own.
 */
#include "../../servers/servers.h"
#include "identity_api.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { POLL_MS = 50, CONFIG_BYTES = 512 };

static struct servers servers;

static int
start(void **state)
{
	char url[SERVERS_URL_BYTES], config[CONFIG_BYTES];

	(void)state;
	servers_postgresql_url(&servers, "keys", url);
	snprintf(config, sizeof(config),
		 "rate_general = 1000000\nrate_enrolment = 1000000\nstore = %s\n"
		 "[discovery]\nenrolment = token",
		 url);
	return rig_start(&rig, config, false, RIG_SOME) ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	return api_stop();
}

static void
wait_for_status(const char *target, const char *bearer, int status)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int last;

	while ((last = rig_request(&rig, "GET", target, bearer, NULL, NULL)->status) != status &&
	       rig_now_ms() < deadline_ms) {
		assert_int_not_equal(last, 401);
		poll(NULL, 0, POLL_MS);
	}
	assert_int_equal(last, status);
}

static void
assert_away(const char *target, const char *bearer)
{
	const struct rig_answer *answer = rig_request(&rig, "GET", target, bearer, NULL, NULL);

	assert_int_equal(answer->status, 503);
	assert_string_equal(rig_member(answer, "error.code"), "store_failed");
	assert_non_null(rig_header(answer, "Retry-After"));
}

static void
test_without_its_database_a_key_is_503_and_a_token_is_as_good_as_ever(void **state)
{
	struct rig_node node, other;
	char target[128];
	struct made_key client = api_make_key("client", NULL, NULL);
	struct made_key enrol = api_make_key("node", NULL, NULL);

	(void)state;
	rig_node_enrol(&rig, &node);
	snprintf(target, sizeof(target), "/api/v1/nodes/%s", node.id_text);
	assert_int_equal(rig_request(&rig, "GET", target, client.bearer, NULL, NULL)->status, 200);

	servers_postgresql_kill(&servers);
	for (int i = 0; i < 5; i++) {
		assert_away(target, client.bearer);
		assert_away(target, rig_bearer(&rig, "admin.key"));
		assert_int_equal(rig_request(&rig, "GET", target, node.bearer, NULL, NULL)->status,
				 200);
	}
	rig_node_make(&other);
	assert_int_equal(rig_node_register(&rig, &other, enrol.bearer, "")->status, 503);
	assert_int_equal(rig_node_register(&rig, &node, NULL, "")->status, 200);
	/* What has not a key's form is not worth a question. */
	assert_int_equal(rig_request(&rig, "GET", target, "Bearer junk", NULL, NULL)->status, 401);

	assert_int_equal(servers_postgresql_start(&servers), 0);
	wait_for_status(target, client.bearer, 200);
	assert_int_equal(rig_node_register(&rig, &other, enrol.bearer, "")->status, 201);
}

/* A database that hangs holds up who shows a key, and nobody else. */
static void
test_while_its_database_hangs_tokens_are_served_at_once(void **state)
{
	struct rig_node node;
	char target[128], request[512];
	static struct rig_answer answer;
	struct rig_client *waiting;
	struct made_key client = api_make_key("client", NULL, NULL);

	(void)state;
	rig_node_enrol(&rig, &node);
	snprintf(target, sizeof(target), "/api/v1/nodes/%s", node.id_text);
	servers_postgresql_stop(&servers, true);
	waiting = rig_connect(&rig);
	assert_non_null(waiting);
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: %s\r\n\r\n", target,
		 client.bearer);
	rig_send_text(waiting, request);
	/* A hundred of these come and go while that one waits for its two seconds. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_request(&rig, "GET", target, node.bearer, NULL, NULL)->status,
				 200);
	rig_receive(waiting, &answer);
	assert_int_equal(answer.status, 503);
	rig_disconnect(&waiting);
	servers_postgresql_stop(&servers, false);
	wait_for_status(target, client.bearer, 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_without_its_database_a_key_is_503_and_a_token_is_as_good_as_ever,
			start, stop),
		cmocka_unit_test_setup_teardown(
			test_while_its_database_hangs_tokens_are_served_at_once, start, stop),
	};
	int result = servers_begin(&servers, SERVERS_POSTGRESQL);

	if (result != 0)
		return result;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}

/*
 * Access keys that bosonctl made, through the whole API: what each kind opens, how often, until
 * when; what an operator sees of them (T02, T05, T39, T40, T41, P14). Real services as processes;
 * run by with_servers, on PostgreSQL.
 */
#include "identity_api.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { POLL_MS = 10, SECRETS_MIN = 25 };

static void
test_a_key_opens_what_its_kind_is_for_and_nothing_else(void **state)
{
	static const struct {
		const char *kind, *method, *target, *json;
		int status;
	} rows[] = {
		{ "client", "GET", "/api/v1/nodes", NULL, 200 },
		{ "admin", "GET", "/api/v1/nodes", NULL, 200 },
		{ "node", "GET", "/api/v1/nodes", NULL, 403 },
		{ "scraper", "GET", "/api/v1/nodes", NULL, 403 },
		{ "scraper", "GET", "/metrics", NULL, 200 },
		{ "node", "GET", "/metrics", NULL, 403 },
		{ "client", "GET", "/metrics", NULL, 403 },
		{ "client", "DELETE", "/api/v1/nodes/0f1e2d3c-4b5a-4697-8877-665544332211", NULL,
		  403 },
		{ "admin", "DELETE", "/api/v1/nodes/0f1e2d3c-4b5a-4697-8877-665544332211", NULL,
		  404 },
		{ "node", "POST", "/api/v1/routing/request", "{}", 403 },
		{ "scraper", "POST", "/api/v1/routing/request", "{}", 403 },
		{ "client", "POST", "/api/v1/routing/request", "{}", 400 },
		{ "node", "POST", "/api/v1/nodes/0f1e2d3c-4b5a-4697-8877-665544332211/heartbeat",
		  "{}", 403 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct made_key made = api_make_key(rows[i].kind, NULL, NULL);
		const struct rig_answer *answer =
			api_ask(rows[i].method, rows[i].target, made.bearer, rows[i].json);

		if (answer->status != rows[i].status)
			print_message("row %zu: %s\n", i, answer->body);
		assert_int_equal(answer->status, rows[i].status);
	}
}

static void
test_a_revoked_key_is_refused_by_the_next_request(void **state)
{
	struct made_key made = api_make_key("client", NULL, NULL);

	(void)state;
	assert_int_equal(api_ask("GET", "/api/v1/nodes", made.bearer, NULL)->status, 200);
	(void)api_bosonctl(0, WORDS("keys", "revoke", made.id));
	api_assert_refused(api_ask("GET", "/api/v1/nodes", made.bearer, NULL), 401, "token");
	(void)api_bosonctl(0, WORDS("keys", "revoke", made.id));
	(void)api_bosonctl(69, WORDS("keys", "revoke", "0123456789abcdef"));
}

static void
test_a_node_key_for_one_enrolment_enrols_one_node(void **state)
{
	struct made_key made = api_make_key("node", "--uses", "1");
	struct rig_node first, second;

	(void)state;
	rig_node_make(&first);
	rig_node_make(&second);
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 201);
	api_assert_refused(rig_node_register(&rig, &second, made.bearer, ""), 401, "enrolment");
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 200);
}

/* A registration that is refused, and one of a known node, cost no use. */
static void
test_what_enrols_nobody_new_costs_no_use(void **state)
{
	struct made_key made = api_make_key("node", "--uses", "2");
	struct rig_node first, second, stranger;
	const struct rig_answer *answer;

	(void)state;
	rig_node_make(&first);
	rig_node_make(&second);
	stranger = first;
	assert_int_equal(key_generate(&stranger.private_key), 0);
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 201);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 200);
		api_assert_refused(rig_node_register(&rig, &stranger, made.bearer, ""), 401,
				   "challenge");
	}
	answer = rig_node_register(&rig, &second, made.bearer, "");
	assert_int_equal(answer->status, 201);
	rig_node_make(&stranger);
	api_assert_refused(rig_node_register(&rig, &stranger, made.bearer, ""), 401, "enrolment");
}

static void
test_an_expired_key_is_refused(void **state)
{
	struct made_key made = api_make_key("client", "--expires", "1s");
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int status;

	(void)state;
	while ((status = api_ask("GET", "/api/v1/nodes", made.bearer, NULL)->status) == 200 &&
	       rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_int_equal(status, 401);
}

static void
test_keys_are_listed_with_their_state_and_without_themselves(void **state)
{
	struct made_key valid = api_make_key("scraper", NULL, NULL);
	struct made_key revoked = api_make_key("admin", "--uses", "7");
	const char *list, *line;

	(void)state;
	(void)api_bosonctl(0, WORDS("keys", "revoke", revoked.id));
	list = api_bosonctl(0, WORDS("keys", "list"));
	assert_false(secrets_are_in(list));
	line = strstr(list, valid.id);
	assert_non_null(line);
	assert_memory_equal(strstr(line, "\"state\":"), "\"state\":\"valid\"", 15);
	line = strstr(list, revoked.id);
	assert_non_null(line);
	assert_memory_equal(strstr(line, "\"state\":"), "\"state\":\"revoked\"", 17);
	assert_non_null(strstr(list, "\"name\":\"first-admin\""));
}

static void
test_a_key_may_go_to_a_file_instead_of_the_screen(void **state)
{
	char path[128], header[API_KEY_BYTES_MAX] = "Bearer ", again[128];
	const char *shown;
	struct stat st;
	FILE *in;

	(void)state;
	snprintf(path, sizeof(path), "%s/out.key", rig.folder);
	shown = api_bosonctl(0, WORDS("keys", "create", "client", "filed", "--out", path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(header + 7, sizeof(header) - 7, in));
	fclose(in);
	header[strcspn(header, "\n")] = '\0';
	assert_null(strstr(shown, header + 7));
	secrets_add(header + 7);
	assert_int_equal(api_ask("GET", "/api/v1/nodes", header, NULL)->status, 200);
	/* L66: what is there is left alone, and no key is made. */
	snprintf(again, sizeof(again), "%s",
		 api_bosonctl(73, WORDS("keys", "create", "client", "b", "--out", path)));
	assert_string_equal(again, "");
	assert_null(strstr(api_bosonctl(0, WORDS("keys", "list")), "\"name\":\"b\""));
}

/* T39, T40, T41: what is no name stays none, wherever it is put, and nothing happens by it. */
static void
test_sql_shell_and_control_bytes_in_names_are_only_text(void **state)
{
	static const char *const names[] = { "x\'; DROP TABLE access_keys; --",
					     "$(reboot)",
					     "`reboot`",
					     "a b",
					     "a\nb",
					     "\x1b[31m",
					     "../../etc",
					     "" };
	static const char *const targets[] = {
		"/api/v1/nodes?country=D%27",
		"/api/v1/nodes?status=online%27%20OR%20%271%27=%271",
		"/api/v1/nodes?cursor=1;DROP%20TABLE%20nodes",
		"/api/v1/nodes/%27%20OR%20%271%27=%271",
		"/api/v1/nodes/$(reboot)",
	};
	struct made_key made = api_make_key("client", NULL, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)api_bosonctl(69, WORDS("keys", "create", "client", names[i]));
		(void)api_bosonctl(69,
				   WORDS("nodes", "show", names[i][0] != '\0' ? names[i] : "x"));
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(api_ask("GET", targets[i], made.bearer, NULL)->status, 400);
	assert_int_equal(api_ask("GET", "/api/v1/nodes", made.bearer, NULL)->status, 200);
	assert_non_null(strstr(api_bosonctl(0, WORDS("keys", "list")), made.id));
}

static void
wait_said(const char *text)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;

	while (secrets_count_said(text) == 0 && rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_true(secrets_count_said(text) > 0);
}

static void
test_what_an_administrator_writes_is_logged_with_the_name_of_the_key(void **state)
{
	struct made_key made = api_make_key("admin", NULL, NULL);
	struct rig_node node;
	char target[128], line[128];

	(void)state;
	snprintf(line, sizeof(line), "admin_write rpc=CreateKey peer=local key=%s kind=admin",
		 made.id);
	wait_said(line);
	rig_node_enrol(&rig, &node);
	snprintf(target, sizeof(target), "/api/v1/nodes/%s", node.id_text);
	assert_int_equal(api_ask("DELETE", target, made.bearer, NULL)->status, 204);
	wait_said("admin_write endpoint=/nodes/{nodeId} subject=key:tester status=204");
	(void)api_bosonctl(0, WORDS("keys", "revoke", made.id));
	snprintf(line, sizeof(line), "admin_write rpc=RevokeKey peer=local key=%s kind=admin",
		 made.id);
	wait_said(line);
}

static int
end(void **state)
{
	(void)state;
	return api_end(SECRETS_MIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_opens_what_its_kind_is_for_and_nothing_else),
		cmocka_unit_test(test_a_revoked_key_is_refused_by_the_next_request),
		cmocka_unit_test(test_a_node_key_for_one_enrolment_enrols_one_node),
		cmocka_unit_test(test_what_enrols_nobody_new_costs_no_use),
		cmocka_unit_test(test_an_expired_key_is_refused),
		cmocka_unit_test(test_keys_are_listed_with_their_state_and_without_themselves),
		cmocka_unit_test(test_a_key_may_go_to_a_file_instead_of_the_screen),
		cmocka_unit_test(
			test_what_an_administrator_writes_is_logged_with_the_name_of_the_key),
		cmocka_unit_test(test_sql_shell_and_control_bytes_in_names_are_only_text),
	};

	return cmocka_run_group_tests_name("no_secret_is_in_any_log", tests, api_begin, end);
}

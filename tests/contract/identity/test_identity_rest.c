/*
 * Who may what, through the whole API, with keys that bosonctl made: access keys, session tokens,
 * enrolment by approval, a change of keys (T01, T02, T05, T06, T08, P01, P02, P03, P14). Real
 * services as processes; run by with_servers, on PostgreSQL.
 */
#include "../../unit/service/child.h"
#include "gateway_rig_node.h"
#include "identity/mac.h"
#include "identity_secrets.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 12, CONFIG_BYTES = 2048, KEY_BYTES_MAX = 128, LIMIT_MS = 1000, POLL_MS = 10 };

static struct rig rig;
static struct child child;

static void
config_text(const char *policy, char ret[CONFIG_BYTES])
{
	static unsigned number;
	const char *postgresql = getenv("RIG_POSTGRESQL");
	char stores[2][CONFIG_BYTES / 4] = { "", "" };

	for (size_t i = 0; i < 2 && postgresql != NULL; i++)
		snprintf(stores[i], sizeof(stores[i]), "store = %s&schema=rest_%ld_%u\n",
			 postgresql, (long)getpid(), number++);
	snprintf(ret, CONFIG_BYTES,
		 "rate_general = 1000000\nrate_enrolment = 1000000\nrate_heartbeat = 1000000\n%s"
		 "[discovery]\nenrolment = %s\n%s",
		 stores[0], policy, stores[1]);
}

static void
note_secret_files(void)
{
	static const char *const files[] = { "gateway/client.key",     "gateway/admin.key",
					     "gateway/node.key",       "gateway/token.secret",
					     "discovery/fleet.secret", "discovery/ticket.seed",
					     "routing/ticket.seed",    "turn/turn.secret" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[160];
		struct stat st;

		snprintf(path, sizeof(path), "%s/state/%s", rig.folder, files[i]);
		if (stat(path, &st) == 0)
			assert_int_equal(st.st_mode & 0777, 0600); /* P14 */
		secrets_add_file(path);
	}
}

static int
start_with(const char *policy)
{
	char config[CONFIG_BYTES];

	child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	config_text(policy, config);
	if (!rig_start(&rig, config, false, RIG_ALL))
		return -1;
	note_secret_files();
	return 0;
}

static int
stop(void)
{
	child_end(&child);
	return rig_stop(&rig) ? 0 : -1;
}

/* No answer holds a secret that is the server's alone. */
static const struct rig_answer *
ask(const char *method, const char *target, const char *bearer, const char *json)
{
	const struct rig_answer *answer = rig_request(&rig, method, target, bearer, NULL, json);

	assert_false(secrets_are_in(answer->head));
	assert_false(secrets_are_in(answer->body));
	return answer;
}

static void
assert_refused(const struct rig_answer *answer, int status, const char *code)
{
	if (answer->status != status)
		print_message("%s\n", answer->body);
	assert_int_equal(answer->status, status);
	assert_string_equal(rig_member(answer, "error.code"), code);
}

/* ---- bosonctl ---- */

/* `bosonctl -c ... WORDS`: what it printed. */
static const char *
bosonctl(int exit_code, const char *const *words)
{
	const char *argv[WORDS_MAX + 4] = { BOSONCTL, "-c" };
	char config[128];
	int code;

	snprintf(config, sizeof(config), "%s/boson.conf", rig.folder);
	argv[2] = config;
	for (size_t i = 0; words[i] != NULL; i++) {
		assert_true(i < WORDS_MAX);
		argv[i + 3] = words[i];
	}
	code = child_run(&child, argv);
	if (code != exit_code)
		print_message("%s", child.output[CHILD_STDERR]);
	assert_int_equal(code, exit_code);
	return child.output[CHILD_STDOUT];
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The text after `"name":"` of a line of JSON. */
static void
member(const char *json, const char *name, char *ret, size_t bytes)
{
	char start_text[64];
	const char *at;

	snprintf(start_text, sizeof(start_text), "\"%s\":\"", name);
	at = strstr(json, start_text);
	assert_non_null(at);
	at += strlen(start_text);
	assert_true(strcspn(at, "\"") < bytes);
	snprintf(ret, bytes, "%.*s", (int)strcspn(at, "\""), at);
}

struct made_key {
	char bearer[KEY_BYTES_MAX], id[32];
};

/* extra: two more words, or NULL. */
static struct made_key
make_key(const char *kind, const char *option, const char *value)
{
	struct made_key made;
	const char *words[] = { "keys", "create", kind, "tester", option, value, NULL };
	const char *json = bosonctl(0, words);

	strcpy(made.bearer, "Bearer ");
	member(json, "secret", made.bearer + 7, sizeof(made.bearer) - 7);
	member(json, "keyId", made.id, sizeof(made.id));
	return made;
}

/* Until a second has passed: what was done reaches all gateways within that. */
static void
wait_for_status(const char *target, const char *bearer, int status)
{
	int64_t deadline_ms = rig_now_ms() + LIMIT_MS * 10;
	int last;

	while ((last = ask("GET", target, bearer, NULL)->status) != status &&
	       rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_int_equal(last, status);
}

/* ---- access keys ---- */

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
		struct made_key made = make_key(rows[i].kind, NULL, NULL);
		const struct rig_answer *answer =
			ask(rows[i].method, rows[i].target, made.bearer, rows[i].json);

		secrets_add(made.bearer + 7);
		if (answer->status != rows[i].status)
			print_message("row %zu: %s\n", i, answer->body);
		assert_int_equal(answer->status, rows[i].status);
	}
}

static void
test_a_revoked_key_is_refused_by_the_next_request(void **state)
{
	struct made_key made = make_key("client", NULL, NULL);

	(void)state;
	secrets_add(made.bearer + 7);
	assert_int_equal(ask("GET", "/api/v1/nodes", made.bearer, NULL)->status, 200);
	(void)bosonctl(0, WORDS("keys", "revoke", made.id));
	assert_refused(ask("GET", "/api/v1/nodes", made.bearer, NULL), 401, "token");
	(void)bosonctl(0, WORDS("keys", "revoke", made.id));
	(void)bosonctl(69, WORDS("keys", "revoke", "0123456789abcdef"));
}

static void
test_a_node_key_for_one_enrolment_enrols_one_node(void **state)
{
	struct made_key made = make_key("node", "--uses", "1");
	struct rig_node first, second;

	(void)state;
	secrets_add(made.bearer + 7);
	rig_node_make(&first);
	rig_node_make(&second);
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 201);
	assert_refused(rig_node_register(&rig, &second, made.bearer, ""), 401, "enrolment");
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 200);
}

/* A registration that is refused, and one of a known node, cost no use. */
static void
test_what_enrols_nobody_new_costs_no_use(void **state)
{
	struct made_key made = make_key("node", "--uses", "2");
	struct rig_node first, second, stranger;
	const struct rig_answer *answer;

	(void)state;
	secrets_add(made.bearer + 7);
	rig_node_make(&first);
	rig_node_make(&second);
	stranger = first;
	assert_int_equal(key_generate(&stranger.private_key), 0);
	assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 201);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_node_register(&rig, &first, made.bearer, "")->status, 200);
		assert_refused(rig_node_register(&rig, &stranger, made.bearer, ""), 401,
			       "challenge");
	}
	answer = rig_node_register(&rig, &second, made.bearer, "");
	assert_int_equal(answer->status, 201);
	rig_node_make(&stranger);
	assert_refused(rig_node_register(&rig, &stranger, made.bearer, ""), 401, "enrolment");
}

static void
test_an_expired_key_is_refused(void **state)
{
	struct made_key made = make_key("client", "--expires", "1s");
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int status;

	(void)state;
	secrets_add(made.bearer + 7);
	while ((status = ask("GET", "/api/v1/nodes", made.bearer, NULL)->status) == 200 &&
	       rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_int_equal(status, 401);
}

static void
test_keys_are_listed_with_their_state_and_without_themselves(void **state)
{
	struct made_key valid = make_key("scraper", NULL, NULL);
	struct made_key revoked = make_key("admin", "--uses", "7");
	const char *list, *line;

	(void)state;
	secrets_add(valid.bearer + 7);
	secrets_add(revoked.bearer + 7);
	(void)bosonctl(0, WORDS("keys", "revoke", revoked.id));
	list = bosonctl(0, WORDS("keys", "list"));
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
	char path[128], header[KEY_BYTES_MAX] = "Bearer ", again[128];
	const char *shown;
	struct stat st;
	FILE *in;

	(void)state;
	snprintf(path, sizeof(path), "%s/out.key", rig.folder);
	shown = bosonctl(0, WORDS("keys", "create", "client", "filed", "--out", path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(header + 7, sizeof(header) - 7, in));
	fclose(in);
	header[strcspn(header, "\n")] = '\0';
	assert_null(strstr(shown, header + 7));
	secrets_add(header + 7);
	assert_int_equal(ask("GET", "/api/v1/nodes", header, NULL)->status, 200);
	/* L66: what is there is left alone, and no key is made. */
	snprintf(again, sizeof(again), "%s",
		 bosonctl(73, WORDS("keys", "create", "client", "b", "--out", path)));
	assert_string_equal(again, "");
	assert_null(strstr(bosonctl(0, WORDS("keys", "list")), "\"name\":\"b\""));
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
	struct made_key made = make_key("client", NULL, NULL);

	(void)state;
	secrets_add(made.bearer + 7);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)bosonctl(69, WORDS("keys", "create", "client", names[i]));
		(void)bosonctl(69, WORDS("nodes", "show", names[i][0] != '\0' ? names[i] : "x"));
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(ask("GET", targets[i], made.bearer, NULL)->status, 400);
	assert_int_equal(ask("GET", "/api/v1/nodes", made.bearer, NULL)->status, 200);
	assert_non_null(strstr(bosonctl(0, WORDS("keys", "list")), made.id));
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
	struct made_key made = make_key("admin", NULL, NULL);
	struct rig_node node;
	char target[128], line[128];

	(void)state;
	secrets_add(made.bearer + 7);
	snprintf(line, sizeof(line), "admin_write rpc=CreateKey peer=local key=%s kind=admin",
		 made.id);
	wait_said(line);
	rig_node_enrol(&rig, &node);
	snprintf(target, sizeof(target), "/api/v1/nodes/%s", node.id_text);
	assert_int_equal(ask("DELETE", target, made.bearer, NULL)->status, 204);
	wait_said("admin_write endpoint=/nodes/{nodeId} subject=key:tester status=204");
	(void)bosonctl(0, WORDS("keys", "revoke", made.id));
	snprintf(line, sizeof(line), "admin_write rpc=RevokeKey peer=local key=%s kind=admin",
		 made.id);
	wait_said(line);
}

/* ---- tokens ---- */

/* P02, P03, T06: at once where it was deleted, everywhere within a second. */
static void
test_a_deleted_nodes_token_is_refused_everywhere(void **state)
{
	struct rig_node node;
	char path[128], metrics[256];

	(void)state;
	rig_node_enrol(&rig, &node);
	secrets_add(node.bearer + 7);
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", node.id_text);
	snprintf(metrics, sizeof(metrics), "/api/v1/metrics/%s/latest", node.id_text);
	assert_int_equal(ask("GET", path, node.bearer, NULL)->status, 200);
	assert_int_equal(ask("GET", metrics, node.bearer, NULL)->status, 404);
	(void)bosonctl(0, WORDS("nodes", "delete", node.id_text));
	wait_for_status(path, node.bearer, 401);
	assert_refused(ask("GET", metrics, node.bearer, NULL), 401, "token");
	assert_refused(ask("GET", "/api/v1/turn/ice", node.bearer, NULL), 401, "token");

	/* Enrolled again at once, its new token is good at once. */
	const struct rig_answer *answer =
		rig_node_register(&rig, &node, rig_bearer(&rig, "node.key"), "");
	assert_int_equal(answer->status, 201);
	snprintf(node.bearer, sizeof(node.bearer), "Bearer %s", rig_member(answer, "sessionToken"));
	secrets_add(node.bearer + 7);
	assert_int_equal(ask("GET", path, node.bearer, NULL)->status, 200);
}

static const struct rig_answer *
rotate(const struct rig_node *new, const struct rig_node *old)
{
	char json[RIG_TEXT_BYTES], first[RIG_TEXT_BYTES], second[RIG_TEXT_BYTES];
	char both[2 * RIG_TEXT_BYTES];
	struct proof_challenge challenge;

	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", new->id_text,
		 new->key_text);
	rig_node_challenge(&rig, new, &challenge);
	rig_node_proof(new, &challenge, json, first);
	rig_node_challenge(&rig, old, &challenge);
	rig_node_proof(old, &challenge, json, second);
	first[strcspn(first, "\r")] = '\0';
	snprintf(both, sizeof(both), "%s, %s", first, second + strlen("Higgs-Proof: "));
	secrets_add(first + strlen("Higgs-Proof: "));
	return rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, both, json);
}

static void
test_a_node_changes_its_key_and_its_older_tokens_are_void(void **state)
{
	struct rig_node old, new;
	char path[128], bearer[RIG_TEXT_BYTES];
	const struct rig_answer *answer;

	(void)state;
	rig_node_enrol(&rig, &old);
	secrets_add(old.bearer + 7);
	new = old;
	assert_int_equal(key_generate(&new.private_key), 0);
	assert_int_equal(key_public(&new.private_key, &new.public_key), 0);
	key_format(&new.public_key, new.key_text);
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", old.id_text);

	assert_refused(rig_node_register(&rig, &new, rig_bearer(&rig, "admin.key"), ""), 409,
		       "identity_in_use");
	answer = rotate(&new, &old);
	assert_int_equal(answer->status, 200);
	snprintf(bearer, sizeof(bearer), "Bearer %s", rig_member(answer, "sessionToken"));
	secrets_add(bearer + 7);
	secrets_add(rig_member(answer, "relayTicket"));
	answer = ask("GET", path, bearer, NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "publicKey"), new.key_text);
	wait_for_status(path, old.bearer, 401);
	assert_refused(rig_node_register(&rig, &old, NULL, ""), 409, "identity_in_use");
	assert_int_equal(rig_node_register(&rig, &new, NULL, "")->status, 200);
}

/* T01, T07: one body for all, but for the request's id. */
static void
test_refusals_of_proofs_are_alike_to_the_letter(void **state)
{
	struct rig_node known, wrong, unknown;
	struct proof_challenge challenge;
	char json[RIG_TEXT_BYTES], header[RIG_TEXT_BYTES], first[RIG_TEXT_BYTES];
	const struct rig_answer *answer;

	(void)state;
	rig_node_enrol(&rig, &known);
	wrong = known;
	assert_int_equal(key_generate(&wrong.private_key), 0);
	rig_node_make(&unknown);
	answer = rig_node_register(&rig, &wrong, NULL, "");
	assert_refused(answer, 401, "challenge");
	size_t n = (size_t)(strstr(answer->body, "\"requestId\"") - answer->body);
	assert_true(n < sizeof(first));
	memcpy(first, answer->body, n);
	first[n] = '\0';

	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", unknown.id_text,
		 unknown.key_text);
	rig_node_challenge(&rig, &known, &challenge); /* another's cookie */
	rig_node_proof(&unknown, &challenge, json, header);
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, header, json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL,
			     "Higgs-Proof: v1 stale\r\n", json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, NULL, json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rotate(&unknown, &wrong);
	assert_memory_equal(answer->body, first, strlen(first));
}

/* ---- approval ---- */

static void
test_a_node_that_waits_is_told_how_long_and_approved_by_bosonctl(void **state)
{
	struct rig_node node, refused;
	const struct rig_answer *answer;

	(void)state;
	rig_node_make(&node);
	rig_node_make(&refused);
	for (int i = 0; i < 2; i++) {
		answer = rig_node_register(&rig, &node, NULL, "");
		assert_refused(answer, 403, "awaiting_approval");
		assert_string_equal(rig_header(answer, "Retry-After"), "60");
	}
	assert_int_equal(rig_node_register(&rig, &refused, NULL, "")->status, 403);
	assert_non_null(strstr(bosonctl(0, WORDS("nodes", "pending")), node.id_text));
	(void)bosonctl(0, WORDS("nodes", "approve", node.id_text));
	(void)bosonctl(0, WORDS("nodes", "refuse", refused.id_text));
	assert_int_equal(rig_node_register(&rig, &node, NULL, "")->status, 201);
	assert_refused(rig_node_register(&rig, &refused, NULL, ""), 403, "enrolment_refused");
	assert_non_null(
		strstr(bosonctl(0, WORDS("nodes", "list", "--status", "online")), node.id_text));
	assert_non_null(strstr(bosonctl(0, WORDS("nodes", "show", node.id_text)), node.key_text));
	assert_string_equal(bosonctl(0, WORDS("nodes", "pending")), "");
}

/* ---- all of it, on one fleet; then approval, on one of its own ---- */

static int
begin(void **state)
{
	(void)state;
	secrets_begin();
	return start_with("token");
}

static int
change_policy(void **state)
{
	(void)state;
	return start_with("approval");
}

static int
end_first(void **state)
{
	(void)state;
	return stop();
}

/* T41: keys, tokens, tickets, proofs and the secrets behind them, in no log. */
static int
end(void **state)
{
	size_t count, log_bytes;

	(void)state;
	int r = stop();
	if (!secrets_end(&count, &log_bytes))
		return -1;
	print_message("%zu secrets are not in %zu bytes of logs\n", count, log_bytes);
	return count > 40 && log_bytes > 10000 ? r : -1;
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
		cmocka_unit_test(test_a_deleted_nodes_token_is_refused_everywhere),
		cmocka_unit_test(test_a_node_changes_its_key_and_its_older_tokens_are_void),
		cmocka_unit_test(test_refusals_of_proofs_are_alike_to_the_letter),
	};
	const struct CMUnitTest approval[] = {
		cmocka_unit_test(test_a_node_that_waits_is_told_how_long_and_approved_by_bosonctl),
	};
	int failed = cmocka_run_group_tests(tests, begin, end_first);

	return failed +
	       cmocka_run_group_tests_name("no_secret_is_in_any_log", approval, change_policy, end);
}

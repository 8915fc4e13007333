/*
 * identity_api: see the header.
 */
#include "identity_api.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 12, CONFIG_BYTES = 2048, LIMIT_MS = 1000, POLL_MS = 10 };

static struct child child = { .pid = -1, .fds = { -1, -1 } };

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

int
api_start(const char *policy)
{
	char config[CONFIG_BYTES];

	config_text(policy, config);
	if (!rig_start(&rig, config, false, RIG_ALL))
		return -1;
	note_secret_files();
	return 0;
}

int
api_stop(void)
{
	child_end(&child);
	return rig_stop(&rig) ? 0 : -1;
}

int
api_begin(void **state)
{
	(void)state;
	secrets_begin();
	return api_start("token");
}

int
api_end(size_t secrets_min)
{
	size_t count, log_bytes;
	int r = api_stop();

	if (!secrets_end(&count, &log_bytes))
		return -1;
	print_message("%zu secrets are not in %zu bytes of logs\n", count, log_bytes);
	return count > secrets_min && log_bytes > 10000 ? r : -1;
}

const struct rig_answer *
api_ask(const char *method, const char *target, const char *bearer, const char *json)
{
	const struct rig_answer *answer = rig_request(&rig, method, target, bearer, NULL, json);

	assert_false(secrets_are_in(answer->head));
	assert_false(secrets_are_in(answer->body));
	return answer;
}

void
api_assert_refused(const struct rig_answer *answer, int status, const char *code)
{
	if (answer->status != status)
		print_message("%s\n", answer->body);
	assert_int_equal(answer->status, status);
	assert_string_equal(rig_member(answer, "error.code"), code);
}

const char *
api_bosonctl(int exit_code, const char *const *words)
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

struct made_key
api_make_key(const char *kind, const char *option, const char *value)
{
	struct made_key made;
	const char *words[] = { "keys", "create", kind, "tester", option, value, NULL };
	const char *json = api_bosonctl(0, words);

	strcpy(made.bearer, "Bearer ");
	member(json, "secret", made.bearer + 7, sizeof(made.bearer) - 7);
	secrets_add(made.bearer + 7);
	member(json, "keyId", made.id, sizeof(made.id));
	return made;
}

void
api_wait_for_status(const char *target, const char *bearer, int status)
{
	int64_t deadline_ms = rig_now_ms() + LIMIT_MS * 10;
	int last;

	while ((last = api_ask("GET", target, bearer, NULL)->status) != status &&
	       rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_int_equal(last, status);
}

/*
 * A real agent against the real services: it changes its key, whatever kills it on the way, and
 * waits for the operator's word (T01, T02).
 */
#include "../../unit/service/child.h"
#include "gateway_rig_node.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 160, EXIT_TEMPFAIL = 75 };

static struct rig rig;
static struct child agent, tool;
static char config[PATH_BYTES];

static void
path_of(const char *name, char ret[PATH_BYTES])
{
	snprintf(ret, PATH_BYTES, "%s/higgs/agent/%s", rig.folder, name);
}

static int
write_agent_config(void)
{
	FILE *out;

	snprintf(config, sizeof(config), "%s/higgs.conf", rig.folder);
	out = fopen(config, "w");
	if (out == NULL)
		return -1;
	fprintf(out,
		"[service]\nstate = %s/higgs\nrun = %s/higgs-run\n[admin]\nagent = off\n"
		"[agent]\nserver = https://127.0.0.1:%u\nca_file = %s/cert.pem\ncountry = CH\n",
		rig.folder, rig.folder, rig.port, rig.folder);
	return fclose(out);
}

static int
start_with(const char *policy)
{
	char lines[256];

	agent = tool = (struct child){ .pid = -1, .fds = { -1, -1 } };
	snprintf(lines, sizeof(lines),
		 "rate_general = 1000000\nrate_enrolment = 1000000\n[discovery]\nenrolment = %s",
		 policy);
	if (!rig_start(&rig, lines, true, RIG_SOME))
		return -1;
	return write_agent_config();
}

static int
start(void **state)
{
	(void)state;
	return start_with("open");
}

static int
start_with_approval(void **state)
{
	(void)state;
	return start_with("approval");
}

static int
stop(void **state)
{
	(void)state;
	child_end(&agent);
	child_end(&tool);
	return rig_stop(&rig) ? 0 : -1;
}

static void
agent_start(void)
{
	const char *const argv[] = { HIGGS_AGENT, "-c", config, NULL };

	child_start(&agent, argv);
}

static void
agent_stop(int number)
{
	child_signal(&agent, number);
	(void)child_wait(&agent);
}

static void
read_key(const char *name, struct key *ret)
{
	char path[PATH_BYTES];
	struct stat st;

	path_of(name, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(key_file_load_or_create(path, ret), 0);
}

static bool
exists(const char *name)
{
	char path[PATH_BYTES];

	path_of(name, path);
	return access(path, F_OK) == 0;
}

/* The key that the server has for this node, as text. */
static const char *
bound_key(void)
{
	static char key[KEY_TEXT_BYTES];
	char path[PATH_BYTES], id[UUID_TEXT_BYTES] = "", target[128];
	const struct rig_answer *answer;
	FILE *in;

	path_of("node_id", path);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(id, sizeof(id), in));
	fclose(in);
	snprintf(target, sizeof(target), "/api/v1/nodes/%s", id);
	answer = rig_request(&rig, "GET", target, rig_bearer(&rig, "client.key"), NULL, NULL);
	assert_int_equal(answer->status, 200);
	snprintf(key, sizeof(key), "%s", rig_member(answer, "publicKey"));
	return key;
}

static void
assert_bound_to(const struct key *private_key)
{
	struct key public_key;
	char text[KEY_TEXT_BYTES];

	assert_int_equal(key_public(private_key, &public_key), 0);
	key_format(&public_key, text);
	assert_string_equal(bound_key(), text);
}

static void
rotate_key(void)
{
	const char *const argv[] = { HIGGS_AGENT, "--rotate-key", "-c", config, NULL };

	assert_int_equal(child_run(&tool, argv), 0);
}

static void
write_key(const char *name, const struct key *key)
{
	char path[PATH_BYTES], text[KEY_TEXT_BYTES];
	FILE *out;

	path_of(name, path);
	key_format(key, text);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fchmod(fileno(out), 0600), 0);
	fprintf(out, "%s\n", text);
	fclose(out);
}

static void
test_a_running_agent_changes_to_the_new_key_and_ends(void **state)
{
	struct key old, next, now;

	(void)state;
	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	read_key("identity.key", &old);
	assert_bound_to(&old);
	rotate_key();
	read_key("identity.key.next", &next);
	assert_false(key_is_equal(&old, &next));
	assert_int_equal(child_wait(&agent), EXIT_TEMPFAIL);
	read_key("identity.key", &now);
	assert_true(key_is_equal(&now, &next));
	assert_false(exists("identity.key.next"));
	assert_bound_to(&next);

	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	assert_bound_to(&next);
	agent_stop(SIGTERM);
}

/* Two files, and a server that knows of the change, or does not. */
static void
test_an_agent_that_was_killed_on_the_way_takes_it_up(void **state)
{
	struct key old, next, now;

	(void)state;
	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	agent_stop(SIGKILL);
	read_key("identity.key", &old);
	rotate_key();
	rotate_key(); /* asked for twice: the same new key */
	read_key("identity.key.next", &next);
	for (int known = 0; known < 2; known++) {
		agent_start();
		assert_int_equal(child_wait(&agent), EXIT_TEMPFAIL);
		read_key("identity.key", &now);
		assert_true(key_is_equal(&now, &next));
		assert_false(exists("identity.key.next"));
		assert_bound_to(&next);
		/* As if it had been killed before it replaced the file. */
		if (known == 0) {
			write_key("identity.key.next", &next);
			write_key("identity.key", &old);
		}
	}
	/* As if between that and the removal of the new one. */
	write_key("identity.key.next", &next);
	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	assert_false(exists("identity.key.next"));
	agent_stop(SIGTERM);
}

/* Nobody else's word: the old key goes on. */
static void
test_a_key_that_another_node_has_is_given_up(void **state)
{
	struct rig_node other;
	struct key old;

	(void)state;
	rig_node_enrol(&rig, &other);
	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	agent_stop(SIGTERM);
	read_key("identity.key", &old);
	write_key("identity.key.next", &other.private_key);
	agent_start();
	child_await(&agent, CHILD_STDERR, "key_rotation_refused ");
	child_await(&agent, CHILD_STDERR, "enrolled ");
	assert_bound_to(&old);
	agent_stop(SIGTERM);
}

static void
test_without_a_key_there_is_nothing_to_replace(void **state)
{
	const char *const argv[] = { HIGGS_AGENT, "--rotate-key", "-c", config, NULL };
	const char *const wrong[] = { HIGGS_AGENT, "--rotate-key", "-v", NULL };

	(void)state;
	assert_int_equal(child_run(&tool, argv), 66);
	assert_int_equal(child_run(&tool, wrong), 64);
}

static void
test_an_agent_that_is_not_approved_says_so_and_waits(void **state)
{
	char boson[PATH_BYTES], id[UUID_TEXT_BYTES] = "";
	const char *const approve[] = { BOSONCTL, "-c", boson, "nodes", "approve", id, NULL };
	const char *said;

	(void)state;
	snprintf(boson, sizeof(boson), "%s/boson.conf", rig.folder);
	agent_start();
	said = child_await(&agent, CHILD_STDERR, "awaiting_approval node=");
	snprintf(id, sizeof(id), "%.36s", said);
	child_await(&agent, CHILD_STDERR, "code=awaiting_approval retry_ms=6");
	assert_int_equal(child_run(&tool, approve), 0);
	agent_stop(SIGTERM); /* rather than wait for that minute */
	agent_start();
	child_await(&agent, CHILD_STDERR, "enrolled ");
	agent_stop(SIGTERM);
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		ROW(test_a_running_agent_changes_to_the_new_key_and_ends),
		ROW(test_an_agent_that_was_killed_on_the_way_takes_it_up),
		ROW(test_a_key_that_another_node_has_is_given_up),
		ROW(test_without_a_key_there_is_nothing_to_replace),
		cmocka_unit_test_setup_teardown(
			test_an_agent_that_is_not_approved_says_so_and_waits, start_with_approval,
			stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

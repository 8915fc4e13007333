/*
 * What every daemon of ours does alike, tried on the real one (argv[1]): --help, -V, -n, a wrong
 * flag, start, the three admin paths, SIGTERM. All its addresses are loopback with port 0.
 */
#include "../../temp_folder.h"
#include "../../unit/service/child.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <cmocka.h>

static const char boson_sections[] = "[admin]\nbosond = 127.0.0.1:0\ngateway = 127.0.0.1:0\n"
				     "discovery = 127.0.0.1:0\nrouting = 127.0.0.1:0\n"
				     "relay = 127.0.0.1:0\nmetrics = 127.0.0.1:0\n"
				     "turn = 127.0.0.1:0\n"
				     "[gateway]\nlisten = 127.0.0.1:0\n"
				     "[relay]\nlisten = 127.0.0.1:0\ndrain = 0ms\n";
static const char higgs_sections[] = "[admin]\nagent = 127.0.0.1:0\n"
				     "[agent]\nserver = https://127.0.0.1:1\n";

static const char *program;
static struct child child;
static struct temp_folder folder;
static char config_path[96];

static int
setup(void **state)
{
	const char *name = strrchr(program, '/');
	FILE *file;

	(void)state;
	child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	temp_folder_make(&folder);
	snprintf(config_path, sizeof(config_path), "%s/the.conf", folder.path);
	file = fopen(config_path, "we");
	if (file == NULL)
		return -1;
	fprintf(file, "[service]\nstate = %s/state\nrun = %s/run\n%s", folder.path, folder.path,
		strstr(name, "boson") != NULL ? boson_sections : higgs_sections);
	return fclose(file);
}

static int
teardown(void **state)
{
	(void)state;
	child_end(&child);
	return temp_folder_drop(&folder);
}

static int
run(const char *one, const char *two, const char *three)
{
	const char *const argv[] = { program, one, two, three, NULL };

	return child_run(&child, argv);
}

static void
test_help_and_version_go_to_stdout(void **state)
{
	(void)state;
	assert_int_equal(run("--help", NULL, NULL), EX_OK);
	assert_non_null(strstr(child.output[CHILD_STDOUT], "usage:"));
	assert_non_null(strstr(child.output[CHILD_STDOUT], "[service]"));
	assert_string_equal(child.output[CHILD_STDERR], "");
	assert_int_equal(run("-V", NULL, NULL), EX_OK);
	assert_non_null(strstr(child.output[CHILD_STDOUT], BOSON_VERSION));
}

/* From "$ cat" to the next "$", without what indents it. */
static void
write_example(const char *help)
{
	FILE *file = fopen(config_path, "we");
	const char *line = strstr(help, "  $ cat ");

	assert_non_null(file);
	assert_non_null(line);
	for (line = strchr(line, '\n') + 1; strncmp(line, "  $ ", 4) != 0;
	     line = strchr(line, '\n') + 1)
		fprintf(file, "%.*s\n", (int)strcspn(line, "\n"), line);
	assert_int_equal(fclose(file), 0);
}

static void
test_the_example_of_help_passes_the_check(void **state)
{
	(void)state;
	assert_int_equal(run("--help", NULL, NULL), EX_OK);
	write_example(child.output[CHILD_STDOUT]);
	assert_int_equal(run("-n", "-c", config_path), EX_OK);
}

static void
test_wrong_flag_is_64(void **state)
{
	(void)state;
	assert_int_equal(run("--no-such-flag", NULL, NULL), EX_USAGE);
}

static void
test_check_touches_nothing(void **state)
{
	char path[96];
	struct stat status;

	(void)state;
	assert_int_equal(run("-n", "-c", config_path), EX_OK);
	snprintf(path, sizeof(path), "%s/state", folder.path);
	assert_int_equal(stat(path, &status), -1);
}

static void
start(void)
{
	const char *const argv[] = { program, "-c", config_path, "-v", NULL };

	child_start(&child, argv);
}

static void
assert_answer(uint16_t port, const char *path, const char *status, const char *body)
{
	const char *answer = http_request(port, "GET", path);

	if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, body) == NULL)
		fail_msg("%s gives:\n%s", path, answer);
}

static void
test_it_starts_answers_probes_and_ends_on_sigterm(void **state)
{
	uint16_t port;

	(void)state;
	start();
	port = (uint16_t)strtoul(
		child_await(&child, CHILD_STDERR, "admin_listening address=127.0.0.1 port="), NULL,
		10);
	child_await(&child, CHILD_STDERR, "service_running");
	assert_answer(port, "/health/live", "HTTP/1.1 200", "{\"status\":\"ok\"}");
	assert_answer(port, "/health/ready", "HTTP/1.1 ", "{\"status\":");
	assert_answer(port, "/metrics", "HTTP/1.1 200", "process_open_fds");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

/* Twice in a row on one state, then after kill -9: what was made at the first start is good. */
static void
test_it_starts_again_on_its_own_state(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		start();
		child_await(&child, CHILD_STDERR, "service_running");
		child_signal(&child, i == 1 ? SIGKILL : SIGTERM);
		assert_int_equal(child_wait(&child), i == 1 ? 256 + SIGKILL : EX_OK);
	}
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_help_and_version_go_to_stdout),
		TEST(test_the_example_of_help_passes_the_check),
		TEST(test_wrong_flag_is_64),
		TEST(test_check_touches_nothing),
		TEST(test_it_starts_answers_probes_and_ends_on_sigterm),
		TEST(test_it_starts_again_on_its_own_state),
	};

	if (argc != 2 || strchr(argv[1], '/') == NULL) {
		fprintf(stderr, "usage: %s /path/of/a/daemon\n", argv[0]);
		return EX_USAGE;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

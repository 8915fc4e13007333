/*
 * bosonctl as an operator mistypes it, and towards services that are away, foreign or not for it.
 * Ids (L02 ...) are rows of the list of bad inputs.
 */
#include "../../temp_folder.h"
#include "../../unit/service/child.h"
#include "bus.pb-c.h"

#include <ctype.h>
#include <czmq.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 12, PATH_BYTES = 128, HUGE_BYTES = 128 * 1024 - 1 };

static struct child child;
static struct temp_folder folder;
static char config[PATH_BYTES];

static int
setup(void **state)
{
	FILE *out;

	(void)state;
	child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	temp_folder_make(&folder);
	snprintf(config, sizeof(config), "%s/boson.conf", folder.path);
	out = fopen(config, "w");
	if (out == NULL)
		return -1;
	fprintf(out, "[service]\nstate = %s/state\nrun = %s\n", folder.path, folder.path);
	return fclose(out);
}

static int
teardown(void **state)
{
	(void)state;
	child_end(&child);
	return temp_folder_drop(&folder);
}

/* `bosonctl -c ... WORDS`: the exit code. */
static int
run(const char *const *words)
{
	const char *argv[WORDS_MAX + 4] = { BOSONCTL, "-c", config };

	for (size_t i = 0; words[i] != NULL; i++) {
		assert_true(i < WORDS_MAX);
		argv[i + 3] = words[i];
	}
	return child_run(&child, argv);
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void
assert_said(const char *text)
{
	if (strstr(child.output[CHILD_STDERR], text) == NULL)
		print_message("%s", child.output[CHILD_STDERR]);
	assert_non_null(strstr(child.output[CHILD_STDERR], text));
	assert_string_equal(child.output[CHILD_STDOUT], "");
}

static void
test_L02_unknown_words_name_the_nearest(void **state)
{
	(void)state;
	assert_int_equal(RUN("node"), EX_USAGE);
	assert_said("nodes");
	assert_int_equal(RUN("nodes", "aprove", "x"), EX_USAGE);
	assert_said("approve");
	assert_int_equal(RUN("keys", "revok", "x"), EX_USAGE);
	assert_said("revoke");
	assert_int_equal(RUN("relays", "drian", "x"), EX_USAGE);
	assert_said("drain");
	assert_int_equal(RUN("call", "gatway", "ListKeys"), EX_USAGE);
	assert_said("gateway");
	assert_int_equal(RUN("call", "gateway", "ListKey"), EX_USAGE);
	assert_said("ListKeys");
	assert_int_equal(RUN("nodes"), EX_USAGE);
	assert_said("pending");
}

static void
test_L04_an_option_without_its_value_or_a_word_too_few_is_a_mistake(void **state)
{
	static const char *const rows[][6] = {
		{ "nodes", "list", "--status" },
		{ "nodes", "list", "--colour", "red" },
		{ "nodes", "list", "more" },
		{ "nodes", "show" },
		{ "nodes", "approve", "--status", "x" },
		{ "keys", "create", "client" },
		{ "keys", "create", "client", "name", "--uses" },
		{ "keys", "create", "client", "name", "third" },
		{ "keys", "create", "client", "name", "--colour", "red" },
		{ "keys", "curve" },
		{ "keys", "revoke" },
		{ "relays", "drain" },
		{ "relays", "drain", "a", "--other" },
		{ "call", "gateway" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *words[7] = { NULL };

		memcpy(words, rows[i], sizeof(rows[i]));
		assert_int_equal(run(words), EX_USAGE);
		assert_true(child.output[CHILD_STDERR][0] != '\0');
	}
	assert_int_equal(child_run(&child, (const char *const[]){ BOSONCTL, "-c", NULL }),
			 EX_USAGE);
	assert_int_equal(child_run(&child, (const char *const[]){ BOSONCTL, NULL }), EX_USAGE);
}

static void
test_L06_L24_L26_help_is_ascii_on_stdout_and_needs_no_home(void **state)
{
	static const char *const argv[] = {
		"/usr/bin/env", "-i", "LANG=C", BOSONCTL, "--help", NULL
	};

	(void)state;
	assert_int_equal(child_run(&child, argv), EX_OK);
	assert_non_null(strstr(child.output[CHILD_STDOUT], "nodes approve"));
	assert_non_null(strstr(child.output[CHILD_STDOUT], "keys create"));
	assert_string_equal(child.output[CHILD_STDERR], "");
	for (const char *at = child.output[CHILD_STDOUT]; *at != '\0'; at++)
		assert_true(*at == '\n' || isprint((unsigned char)*at));
}

/* L08, L10: what was typed is not shown back raw, whatever its size. */
static void
test_L08_L10_what_was_typed_is_never_echoed_raw(void **state)
{
	static char huge[HUGE_BYTES + 1];
	static const char nasty[] = "x\n\x1b[31mred\x07";

	(void)state;
	memset(huge, 'a', HUGE_BYTES);
	assert_int_equal(RUN(huge), EX_USAGE);
	assert_true(child.n[CHILD_STDERR] < 1024);
	assert_int_equal(RUN("nodes", huge), EX_USAGE);
	assert_true(child.n[CHILD_STDERR] < 1024);
	assert_int_equal(RUN(nasty), EX_USAGE);
	assert_null(strchr(child.output[CHILD_STDERR], '\x1b'));
	assert_int_equal(RUN("keys", nasty), EX_USAGE);
	assert_null(strchr(child.output[CHILD_STDERR], '\x1b'));
	assert_int_equal(RUN("keys", "create", "client", "n", "--uses", nasty), EX_USAGE);
	assert_null(strchr(child.output[CHILD_STDERR], '\x1b'));
}

static void
test_L12_numbers_are_decimal_and_times_have_a_unit(void **state)
{
	static const char *const uses[] = { "12x", "0x10", " 7",
					    "-1",  "+1",   "0",
					    "",	   "1e3",  "18446744073709551616" };
	static const char *const times[] = { "10", "-5s",  "5 parsecs", "s",
					     "0s", "1.5h", "",		"99999999999999999999d" };

	(void)state;
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		assert_int_equal(RUN("keys", "create", "client", "n", "--uses", uses[i]), EX_USAGE);
		assert_said("--uses takes a number");
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(RUN("keys", "create", "client", "n", "--expires", times[i]),
				 EX_USAGE);
		assert_said("--expires takes a time");
	}
}

static void
test_L22_an_answer_onto_a_full_disk_fails(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "exec " BOSONCTL " --help >/dev/full",
					    NULL };

	(void)state;
	assert_int_equal(child_run(&child, argv), EX_IOERR);
}

/* L18's sibling: somebody else's folder. As root there is no such thing, so not as root. */
static void
test_L30_a_socket_of_another_account_is_77(void **state)
{
	char path[PATH_BYTES];
	const char *const argv[] = { "/usr/bin/setpriv",
				     "--reuid=65534",
				     "--regid=65534",
				     "--clear-groups",
				     BOSONCTL,
				     "-c",
				     config,
				     "nodes",
				     "list",
				     NULL };
	FILE *out;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/discovery.sock", folder.path);
	out = fopen(path, "w");
	assert_non_null(out);
	fclose(out);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chmod(folder.path, 0711), 0);
	assert_int_equal(chmod(config, 0644), 0);
	if (child_run(&child, argv) == 126)
		skip(); /* the program lies where that account cannot reach it */
	assert_int_equal(child_run(&child, argv), EX_NOPERM);
	assert_said("discovery.sock");
}

/* L32: something that speaks ZeroMQ, and answers what no service of ours would. */
static void
answer_garbage(zsock_t *pipe, void *arg)
{
	zsock_t *router = zsock_new(ZMQ_ROUTER);
	zpoller_t *poller;

	assert_non_null(router);
	assert_int_equal(zsock_bind(router, "%s", (const char *)arg), 0);
	poller = zpoller_new(pipe, router, NULL);
	zsock_signal(pipe, 0);
	while (zpoller_wait(poller, -1) == router) {
		Boson__Bus__ReplyHead head = BOSON__BUS__REPLY_HEAD__INIT;
		Boson__Bus__RequestHead *asked;
		zmsg_t *message = zmsg_recv(router);
		zframe_t *who = zmsg_pop(message), *frame = zmsg_pop(message);
		uint8_t bytes[64] = { 0 };
		size_t n;

		asked = boson__bus__request_head__unpack(NULL, zframe_size(frame),
							 zframe_data(frame));
		head.version = 1;
		head.correlation = asked != NULL ? asked->correlation : 0;
		zmsg_destroy(&message);
		message = zmsg_new();
		zmsg_append(message, &who);
		n = boson__bus__reply_head__pack(&head, bytes + 2);
		bytes[1] = (uint8_t)n; /* of two */
		memcpy(bytes + 2 + n, "\xff\xff\xff garbage", 11);
		zmsg_addmem(message, bytes, 2 + n + 11);
		zmsg_send(&message, router);
		zframe_destroy(&frame);
		if (asked != NULL)
			boson__bus__request_head__free_unpacked(asked, NULL);
	}
	zpoller_destroy(&poller);
	zsock_destroy(&router);
}

static void
test_L32_a_service_that_answers_garbage_is_76(void **state)
{
	char endpoint[PATH_BYTES];
	zactor_t *server;

	(void)state;
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/gateway.sock", folder.path);
	server = zactor_new(answer_garbage, endpoint);
	assert_non_null(server);
	assert_int_equal(RUN("keys", "list"), EX_PROTOCOL);
	assert_said("gateway");
	zactor_destroy(&server);
}

static void
test_L54_a_service_that_is_away_is_75_and_named(void **state)
{
	(void)state;
	assert_int_equal(RUN("keys", "list"), EX_TEMPFAIL);
	assert_said("gateway does not answer");
	assert_int_equal(RUN("clients", "list"), EX_TEMPFAIL);
	assert_said("routing does not answer");
	assert_int_equal(RUN("relays", "drain", "r1"), EX_TEMPFAIL);
	assert_said("discovery does not answer");
}

/* C01, C05, C11: its configuration is the services' own, and as strictly read. */
static void
test_a_configuration_that_is_wrong_is_no_ones_guess(void **state)
{
	FILE *out;

	(void)state;
	assert_int_equal(child_run(&child, (const char *const[]){ BOSONCTL, "-c", "/nowhere/x.conf",
								  "nodes", "list", NULL }),
			 EX_NOINPUT);
	assert_said("/nowhere/x.conf");
	out = fopen(config, "w");
	assert_non_null(out);
	fputs("[bus]\ngatway = ipc:///x\n", out);
	fclose(out);
	assert_int_equal(RUN("nodes", "list"), EX_CONFIG);
	assert_said("gateway");
}

/* A key for nobody is not made: the file comes first. */
static void
test_L66_a_file_that_is_there_is_left_as_it_was(void **state)
{
	char path[PATH_BYTES], text[16] = "";
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/out.key", folder.path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("precious", file);
	fclose(file);
	assert_int_equal(RUN("keys", "create", "client", "n", "--out", path), EX_CANTCREAT);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "precious");
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_L02_unknown_words_name_the_nearest),
		ROW(test_L04_an_option_without_its_value_or_a_word_too_few_is_a_mistake),
		ROW(test_L06_L24_L26_help_is_ascii_on_stdout_and_needs_no_home),
		ROW(test_L08_L10_what_was_typed_is_never_echoed_raw),
		ROW(test_L12_numbers_are_decimal_and_times_have_a_unit),
		ROW(test_L22_an_answer_onto_a_full_disk_fails),
		ROW(test_L30_a_socket_of_another_account_is_77),
		ROW(test_L32_a_service_that_answers_garbage_is_76),
		ROW(test_L54_a_service_that_is_away_is_75_and_named),
		ROW(test_a_configuration_that_is_wrong_is_no_ones_guess),
		ROW(test_L66_a_file_that_is_there_is_left_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The command line of `higgs` (L02 to L24, L68): what is accepted, and with which words and status
 * the rest is refused; and the configuration file behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER "--server", "https://boson.example", "--key-file", "/k"

static struct client_options options;
static char error[1024];

/* Words after the program's name, NULL-terminated. */
static int
parse(const char *const *words)
{
	char *argv[32] = { (char *)(uintptr_t) "higgs" };
	int argc = 1;

	while (words[argc - 1] != NULL && argc < 31) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	error[0] = '\0';
	return client_options_parse(argc, argv, &options, error, sizeof error);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void
expect_refused(int status, const char *text, const char *const *words)
{
	int got = parse(words);

	if (got != status || strstr(error, text) == NULL)
		fail_msg("%d \"%s\" instead of %d \"%s\"", got, error, status, text);
	client_options_fini(&options);
}

#define REFUSED(status, text, ...) \
	expect_refused(status, text, (const char *const[]){ __VA_ARGS__, NULL })

static void
test_connect_with_all_its_flags_is_understood(void **state)
{
	(void)state;
	assert_int_equal(PARSE("connect", "-s", "https://boson.example:8443", "--key-file=/k",
			       "--ca", "/ca", "--country", "se", "--interface", "hg1", "--state",
			       "/tmp/s", "--foreground", "--no-kill-switch", "--no-dns", "-v"),
			 0);
	assert_int_equal(options.command, COMMAND_CONNECT);
	assert_string_equal(options.server, "https://boson.example:8443");
	assert_string_equal(options.key_file, "/k");
	assert_string_equal(options.ca_file, "/ca");
	assert_string_equal(options.country, "SE");
	assert_null(options.node);
	assert_string_equal(options.interface, "hg1");
	assert_string_equal(options.state_dir, "/tmp/s");
	assert_true(options.foreground && options.verbose);
	assert_false(options.kill_switch || options.dns || options.json);
	client_options_fini(&options);
}

static void
test_defaults_are_the_safe_ones(void **state)
{
	(void)state;
	assert_int_equal(PARSE("connect", SERVER), 0);
	assert_string_equal(options.interface, "higgs0");
	assert_string_equal(options.state_dir, "/var/lib/higgs/client");
	assert_true(options.kill_switch && options.dns);
	assert_false(options.foreground || options.json || options.verbose);
	assert_null(options.country);
	assert_null(options.ca_file);
	client_options_fini(&options);
}

/* L02 */
static void
test_an_unknown_word_is_answered_with_the_nearest(void **state)
{
	(void)state;
	REFUSED(64, "did you mean \"connect\"", "conect");
	REFUSED(64, "did you mean \"status\"", "statsu");
	REFUSED(64, "`higgs --help`", "xyzzy");
	REFUSED(64, "did you mean \"--country\"", "connect", "--contry", "SE");
	REFUSED(64, "unknown flag", "connect", "-x");
	REFUSED(64, "one word too many", "status", "now");
}

/* L04 */
static void
test_a_flag_without_its_value_is_refused(void **state)
{
	(void)state;
	REFUSED(64, "--server needs a value", "connect", "--server");
	REFUSED(64, "--server needs a value", "connect", "--server", "--ca", "/x");
	REFUSED(64, "--server needs a value", "connect", "--server=");
	REFUSED(64, "--json takes no value", "status", "--json=yes");
	REFUSED(64, "given twice", "connect", SERVER, "--server", "https://b");
	REFUSED(64, "does not go with this command", "status", "--country", "SE");
}

/* L08, L10 */
static void
test_long_and_strange_arguments_are_neither_taken_nor_echoed_raw(void **state)
{
	(void)state;
	size_t n = 128 * 1024;
	char *huge = malloc(n);

	assert_non_null(huge);
	memset(huge, 'a', n);
	huge[n - 1] = '\0';
	REFUSED(64, "argument 1 is too long", huge);
	REFUSED(64, "argument 3 is too long", "connect", "--server", huge);
	free(huge);
	REFUSED(64, "\\x1b[31m\\x0a", "\033[31m\n");
	assert_null(strchr(error, '\033'));
	assert_null(strchr(error, '\n'));
}

/* L12, L14, L16 */
static void
test_values_are_checked_before_anything_is_done(void **state)
{
	(void)state;
	REFUSED(64, "which server", "connect", "--key-file", "/k");
	REFUSED(64, "which access key", "connect", "--server", "https://b");
	const char *servers[] = { "http://b",	     "b",
				  "https://",	     "https://b:0",
				  "https://b:65536", "https://b:12x",
				  "https://u:p@b",   "https://b/?q",
				  "https:// b",	     "ftp://b",
				  "https://b:-1" };
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		REFUSED(64, "is no server", "connect", "--key-file", "/k", "--server", servers[i]);
	REFUSED(64, "two letters", "connect", SERVER, "--country", "SWE");
	REFUSED(64, "two letters", "connect", SERVER, "--country", "S");
	REFUSED(64, "two letters", "connect", SERVER, "--country", "S1");
	REFUSED(64, "no node id", "connect", SERVER, "--node", "12");
	REFUSED(64, "no interface name", "connect", SERVER, "-i", "a;rm -rf");
	REFUSED(64, "no interface name", "connect", SERVER, "-i", "sixteen-letters-");
}

/* L68 */
static void
test_flags_that_exclude_each_other_are_refused(void **state)
{
	(void)state;
	REFUSED(64, "exclude each other", "connect", SERVER, "--country", "SE", "--node",
		"5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002");
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
test_the_file_fills_in_and_the_command_line_wins(void **state)
{
	(void)state;
	char path[] = "/tmp/higgs-options-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	write_file(path, "[forwarder]\nanything = goes\n[client]\nserver = https://file.example\n"
			 "key_file = /file.key\ncountry = NO\nkill_switch = no\ninterface = hgf\n");
	assert_int_equal(PARSE("connect", "-c", path), 0);
	assert_string_equal(options.server, "https://file.example");
	assert_string_equal(options.country, "NO");
	assert_string_equal(options.interface, "hgf");
	assert_false(options.kill_switch);
	assert_true(options.dns);
	client_options_fini(&options);
	assert_int_equal(PARSE("connect", "-c", path, "-s", "https://argv.example", "--node",
			       "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002"),
			 0);
	assert_string_equal(options.server, "https://argv.example");
	assert_string_equal(options.key_file, "/file.key");
	assert_null(options.country); /* --node puts the file's country aside */
	client_options_fini(&options);
	setenv("HIGGS_CLIENT_SERVER", "https://environment.example", 1);
	assert_int_equal(PARSE("connect", "-c", path), 0);
	assert_string_equal(options.server, "https://environment.example");
	client_options_fini(&options);
	unsetenv("HIGGS_CLIENT_SERVER");
	write_file(path, "[client]\nservre = https://file.example\n");
	REFUSED(78, "server", "connect", "-c", path);
	unlink(path);
	REFUSED(66, path, "connect", "-c", path);
}

/* L24 */
static void
test_a_missing_home_is_no_obstacle(void **state)
{
	(void)state;
	char *home = getenv("HOME");

	home = home != NULL ? strdup(home) : NULL;
	unsetenv("HOME");
	assert_int_equal(PARSE("status"), 0);
	client_options_fini(&options);
	if (home != NULL)
		setenv("HOME", home, 1);
	free(home);
}

static void
test_version_needs_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--version"), 0);
	assert_int_equal(options.command, COMMAND_VERSION);
	assert_int_equal(PARSE("-V"), 0);
	assert_int_equal(options.command, COMMAND_VERSION);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_with_all_its_flags_is_understood),
		cmocka_unit_test(test_defaults_are_the_safe_ones),
		cmocka_unit_test(test_an_unknown_word_is_answered_with_the_nearest),
		cmocka_unit_test(test_a_flag_without_its_value_is_refused),
		cmocka_unit_test(test_long_and_strange_arguments_are_neither_taken_nor_echoed_raw),
		cmocka_unit_test(test_values_are_checked_before_anything_is_done),
		cmocka_unit_test(test_flags_that_exclude_each_other_are_refused),
		cmocka_unit_test(test_the_file_fills_in_and_the_command_line_wins),
		cmocka_unit_test(test_a_missing_home_is_no_obstacle),
		cmocka_unit_test(test_version_needs_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

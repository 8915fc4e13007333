/*
 * The file, the environment and the schema together: what is refused, with which exit code, and
 * whether the sentence helps. Ids (C01 ...) are rows of the list of bad inputs.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct config_key relay_keys[] = {
	{ .section = "relay",
	  .name = "listen",
	  .type = CONFIG_ADDRESS,
	  .default_value = "0.0.0.0:443",
	  .help = "where legs connect" },
	{ .section = "relay",
	  .name = "threads",
	  .type = CONFIG_INT,
	  .default_value = "1",
	  .min = 1,
	  .max = 64,
	  .help = "shards" },
	{ .section = "relay",
	  .name = "port",
	  .type = CONFIG_INT,
	  .default_value = "51820",
	  .min = 1,
	  .max = 65535,
	  .help = "UDP port" },
	{ .section = "relay",
	  .name = "label",
	  .type = CONFIG_STRING,
	  .default_value = "",
	  .help = "free text" },
	{ .section = "relay",
	  .name = "secret",
	  .type = CONFIG_PATH,
	  .default_value = "/etc/boson/secret",
	  .help = "a file" },
	{ 0 },
};

static const struct config_key log_keys[] = {
	{ .section = "log",
	  .name = "level",
	  .type = CONFIG_STRING,
	  .default_value = "info",
	  .help = "how much" },
	{ 0 },
};

static const struct config_key needy_keys[] = {
	{ .section = "relay", .name = "group", .type = CONFIG_STRING, .help = "no default" },
	{ 0 },
};

static const struct config_key *const tables[] = { log_keys, relay_keys, NULL };
static const struct config_key *const needy_tables[] = { needy_keys, NULL };
static const char *const other_sections[] = { "gateway", "routing", NULL };

static const struct config_schema schema = { "BOSON", other_sections, tables };
static const struct config_schema needy_schema = { "BOSON", NULL, needy_tables };

static char folder[] = "/tmp/boson-test-config-XXXXXX";
static char path[128];
static char error[512];
static struct config *config;

static int
make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/boson.conf", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int
tear_down(void **state)
{
	(void)state;
	config_free(&config);
	error[0] = '\0';
	return 0;
}

static void
write_bytes(const char *bytes, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static int
load_text(const char *text)
{
	write_bytes(text, strlen(text));
	return config_load(path, &schema, &config, error, sizeof(error));
}

static void
assert_refused(const char *text, int line, const char *words)
{
	char place[160];

	assert_int_equal(load_text(text), CONFIG_EXIT_CONFIG);
	assert_null(config);
	snprintf(place, sizeof(place), "%s:%d: ", path, line);
	if (strncmp(error, place, strlen(place)) != 0 || strstr(error, words) == NULL)
		fail_msg("\"%s\" should start with \"%s\" and hold \"%s\"", error, place, words);
}

static void
test_defaults_hold_without_a_file(void **state)
{
	char host[256];
	uint16_t port = 0;

	(void)state;
	assert_int_equal(config_load(NULL, &schema, &config, error, sizeof(error)), CONFIG_OK);
	config_address(config, "relay", "listen", host, sizeof(host), &port);
	assert_string_equal(host, "0.0.0.0");
	assert_int_equal(port, 443);
	assert_string_equal(config_string(config, "relay", "label"), "");
}

static void
test_file_overrides_default_and_environment_overrides_file(void **state)
{
	(void)state;
	setenv("BOSON_RELAY_THREADS", "3", 1);
	assert_int_equal(load_text("[relay]\nthreads = 2\nport = 7\n"), CONFIG_OK);
	unsetenv("BOSON_RELAY_THREADS");
	assert_int_equal(config_int(config, "relay", "threads"), 3);
	assert_int_equal(config_int(config, "relay", "port"), 7);
}

static void
test_comments_blank_lines_and_a_section_twice_are_fine(void **state)
{
	(void)state;
	assert_int_equal(load_text("# top\n\n  [relay]  # here\n\tthreads=2 # two\n[log]\n"
				   "level = a#b\n[relay]\nport = 7"),
			 CONFIG_OK);
	assert_int_equal(config_int(config, "relay", "threads"), 2);
	assert_int_equal(config_int(config, "relay", "port"), 7);
	assert_string_equal(config_string(config, "log", "level"), "a#b");
}

static void
test_C01_missing_file_is_named_with_66(void **state)
{
	(void)state;
	assert_int_equal(config_load("/nowhere/boson.conf", &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_NOINPUT);
	assert_non_null(strstr(error, "/nowhere/boson.conf"));
}

static void
test_C03_directory_is_refused_with_66(void **state)
{
	(void)state;
	assert_int_equal(config_load(folder, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_NOINPUT);
	assert_non_null(strstr(error, folder));
}

static void
test_fifo_is_refused_with_66_and_does_not_hang(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(path, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_NOINPUT);
	unlink(path);
}

static void
test_C05_binary_junk_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("[relay]\n\x7f"
		       "ELF\x02\x01\n",
		       2, "not text");
	assert_refused("[relay]\nport = 7\xc3\x28\n", 2, "not text");
	assert_refused("[relay]\nlabel = \xed\xa0\x80\n", 2, "not text");
}

static void
test_C07_nul_byte_is_refused_with_its_line(void **state)
{
	static const char text[] = "[relay]\nport = 7\nthreads = 2\0\n";

	(void)state;
	write_bytes(text, sizeof(text) - 1);
	assert_int_equal(config_load(path, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_CONFIG);
	assert_non_null(strstr(error, ":3: not text"));
}

static void
test_C09_crlf_line_ends_are_accepted(void **state)
{
	(void)state;
	assert_int_equal(load_text("\xef\xbb\xbf[relay]\r\nlabel = hello\r\n\r\nport = 7\r\n"),
			 CONFIG_OK);
	assert_string_equal(config_string(config, "relay", "label"), "hello");
	assert_int_equal(config_int(config, "relay", "port"), 7);
}

static void
test_C11_unknown_key_names_the_nearest(void **state)
{
	(void)state;
	assert_refused("[relay]\nlissten = 0.0.0.0:1\n", 2,
		       "unknown key 'lissten', did you mean 'listen'?");
	assert_refused("[relay]\nquux = 1\n", 2, "unknown key 'quux'");
	assert_null(strstr(error, "did you mean"));
}

static void
test_unknown_section_names_the_nearest(void **state)
{
	(void)state;
	assert_refused("[relya]\n", 1, "unknown section 'relya', did you mean 'relay'?");
}

static void
test_C13_duplicate_key_names_both_lines(void **state)
{
	(void)state;
	assert_refused("[relay]\nport = 7\n\nport = 7\n", 4, "first on line 2");
}

static void
test_C15_world_writable_file_is_refused_with_77(void **state)
{
	(void)state;
	write_bytes("[relay]\n", 8);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(config_load(path, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_NOPERM);
	assert_non_null(strstr(error, path));
}

static void
test_C15_include_is_no_key(void **state)
{
	(void)state;
	assert_refused("include = /tmp/x\n", 1, "before the first [section]");
	assert_refused("[relay]\ninclude /tmp/x\n", 2, "neither [section] nor key = value");
}

static void
test_C17_empty_secret_path_is_refused(void **state)
{
	(void)state;
	assert_refused("[relay]\nsecret =\n", 2, "must not be empty");
}

static void
test_C21_bad_ports_are_refused(void **state)
{
	static const char *const ports[] = {
		"0", "65536", "-1", "80a", "1e3", "0x50", "8 0", "+5"
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		snprintf(text, sizeof(text), "[relay]\nport = %s\n", ports[i]);
		assert_refused(text, 2, "must be an integer from 1 to 65535");
	}
}

static void
test_C55_thread_counts_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_refused("[relay]\nthreads = 0\n", 2, "from 1 to 64");
	assert_refused("[relay]\nthreads = 10000\n", 2, "from 1 to 64");
}

static void
test_C61_bad_environment_value_names_the_variable(void **state)
{
	(void)state;
	setenv("BOSON_RELAY_PORT", "abc\x1b[31m", 1);
	assert_int_equal(config_load(NULL, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_CONFIG);
	unsetenv("BOSON_RELAY_PORT");
	assert_non_null(strstr(error, "BOSON_RELAY_PORT=abc?[31m"));
}

static void
test_environment_that_names_no_key_is_nobody_s_mistake(void **state)
{
	(void)state;
	setenv("BOSON_RELAY_SERVICE_HOST", "10.0.0.1", 1);
	assert_int_equal(config_load(NULL, &schema, &config, error, sizeof(error)), CONFIG_OK);
	unsetenv("BOSON_RELAY_SERVICE_HOST");
}

static void
test_sections_of_known_services_are_passed_over(void **state)
{
	(void)state;
	assert_int_equal(load_text("[gateway]\nanything = goes\nanything = twice\n[relay]\n"
				   "port = 7\n"),
			 CONFIG_OK);
	assert_int_equal(config_int(config, "relay", "port"), 7);
}

static void
test_C65_section_of_the_other_product_is_refused(void **state)
{
	(void)state;
	assert_refused("[relay]\nport = 7\n[forwarder]\ninterface = higgs0\n", 3,
		       "unknown section 'forwarder'");
}

static void
test_C67_number_beyond_64_bits_is_refused(void **state)
{
	(void)state;
	assert_refused("[relay]\nport = 18446744073709551616\n", 2, "must be an integer");
	assert_refused("[relay]\nport = 9223372036854775808\n", 2, "must be an integer");
}

static void
test_C69_shell_syntax_is_taken_literally(void **state)
{
	(void)state;
	assert_int_equal(load_text("[relay]\nlabel = $(cmd) ${HOME} \"q\" \\n\n"), CONFIG_OK);
	assert_string_equal(config_string(config, "relay", "label"), "$(cmd) ${HOME} \"q\" \\n");
}

static void
test_required_key_is_asked_for_by_both_names(void **state)
{
	(void)state;
	assert_int_equal(config_load(NULL, &needy_schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_CONFIG);
	assert_non_null(strstr(error, "[relay] group"));
	assert_non_null(strstr(error, "BOSON_RELAY_GROUP"));
}

static void
test_file_larger_than_the_limit_is_refused(void **state)
{
	size_t n = 1024 * 1024 + 1;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', n);
	write_bytes(text, n);
	free(text);
	assert_int_equal(config_load(path, &schema, &config, error, sizeof(error)),
			 CONFIG_EXIT_CONFIG);
}

static void
test_description_is_a_configuration_that_loads(void **state)
{
	FILE *file = fopen(path, "w");

	(void)state;
	assert_non_null(file);
	config_describe(&schema, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(config_load(path, &schema, &config, error, sizeof(error)), CONFIG_OK);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults_hold_without_a_file),
		TEST(test_file_overrides_default_and_environment_overrides_file),
		TEST(test_comments_blank_lines_and_a_section_twice_are_fine),
		TEST(test_C01_missing_file_is_named_with_66),
		TEST(test_C03_directory_is_refused_with_66),
		TEST(test_fifo_is_refused_with_66_and_does_not_hang),
		TEST(test_C05_binary_junk_is_refused_with_its_line),
		TEST(test_C07_nul_byte_is_refused_with_its_line),
		TEST(test_C09_crlf_line_ends_are_accepted),
		TEST(test_C11_unknown_key_names_the_nearest),
		TEST(test_unknown_section_names_the_nearest),
		TEST(test_C13_duplicate_key_names_both_lines),
		TEST(test_C15_world_writable_file_is_refused_with_77),
		TEST(test_C15_include_is_no_key),
		TEST(test_C17_empty_secret_path_is_refused),
		TEST(test_C21_bad_ports_are_refused),
		TEST(test_C55_thread_counts_out_of_range_are_refused),
		TEST(test_C61_bad_environment_value_names_the_variable),
		TEST(test_environment_that_names_no_key_is_nobody_s_mistake),
		TEST(test_sections_of_known_services_are_passed_over),
		TEST(test_C65_section_of_the_other_product_is_refused),
		TEST(test_C67_number_beyond_64_bits_is_refused),
		TEST(test_C69_shell_syntax_is_taken_literally),
		TEST(test_required_key_is_asked_for_by_both_names),
		TEST(test_file_larger_than_the_limit_is_refused),
		TEST(test_description_is_a_configuration_that_loads),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

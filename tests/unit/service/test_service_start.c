/*
 * The command line, the configuration and the folders of a program: what it says and what it exits
 * with, before its actors run. Ids (L02, C45 ...) are rows of the list of bad inputs.
 */
#include "../../temp_folder.h"
#include "child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

static struct child child;
static struct temp_folder folder;
static char config_path[96], state_path[96];

static int
setup(void **state)
{
	(void)state;
	temp_folder_make(&folder);
	snprintf(config_path, sizeof(config_path), "%s/boson.conf", folder.path);
	snprintf(state_path, sizeof(state_path), "%s/state", folder.path);
	child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	child_end(&child);
	return temp_folder_drop(&folder);
}

/* A configuration of the specimen, with its folders inside ours, and more lines. */
static void
write_config(const char *more)
{
	FILE *file = fopen(config_path, "we");

	assert_non_null(file);
	fprintf(file, "[service]\nstate = %s\nrun = %s/run\n[admin]\nrelay = off\nbosond = off\n%s",
		state_path, folder.path, more);
	assert_int_equal(fclose(file), 0);
}

static int
run(const char *one, const char *two, const char *three)
{
	const char *const argv[] = { SPECIMEN, one, two, three, NULL };

	return child_run(&child, argv);
}

static void
assert_said(int stream, const char *text)
{
	if (strstr(child.output[stream], text) == NULL)
		fail_msg("'%s' is not in:\n%s", text, child.output[stream]);
}

/* One line, of words for people. */
static void
assert_one_line_of_error(const char *text)
{
	const char *end = strchr(child.output[CHILD_STDERR], '\n');

	assert_said(CHILD_STDERR, text);
	assert_non_null(end);
	assert_int_equal(end[1], '\0');
	assert_int_equal(strncmp(child.output[CHILD_STDERR], "boson-relay: ", 13), 0);
}

static void
test_L06_help_teaches_flags_and_every_key_on_stdout(void **state)
{
	(void)state;
	assert_int_equal(run("--help", NULL, NULL), EX_OK);
	assert_said(CHILD_STDOUT, "A specimen for the tests");
	assert_said(CHILD_STDOUT, "-c, --config FILE");
	assert_said(CHILD_STDOUT, "[relay]");
	assert_said(CHILD_STDOUT, "#behaviour = good");
	assert_said(CHILD_STDOUT, "# what it does: good, refuse_start");
	assert_said(CHILD_STDOUT, "#relay = 127.0.0.1:9904");
	assert_said(CHILD_STDOUT, "BOSON_LOG_LEVEL=debug");
	assert_said(CHILD_STDOUT, "Example:");
	assert_string_equal(child.output[CHILD_STDERR], "");
}

static void
test_version_is_printed(void **state)
{
	(void)state;
	assert_int_equal(run("-V", NULL, NULL), EX_OK);
	assert_said(CHILD_STDOUT, "boson-relay " BOSON_VERSION "\n");
}

static void
test_L02_unknown_flag_names_the_nearest(void **state)
{
	(void)state;
	assert_int_equal(run("--hepl", NULL, NULL), EX_USAGE);
	assert_one_line_of_error("unknown flag '--hepl', did you mean '--help'?");
	assert_int_equal(run("-x", NULL, NULL), EX_USAGE);
	assert_one_line_of_error("unknown flag '-x'");
	assert_int_equal(run("start", NULL, NULL), EX_USAGE);
	assert_one_line_of_error("unexpected argument 'start'");
}

static void
test_L04_flag_without_its_value_is_a_mistake(void **state)
{
	(void)state;
	assert_int_equal(run("-c", NULL, NULL), EX_USAGE);
	assert_one_line_of_error("a value is missing after '-c'");
}

static void
test_L08_huge_argument_is_cut(void **state)
{
	static char huge[128 * 1024 - 1];

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	assert_int_equal(run(huge, NULL, NULL), EX_USAGE);
	assert_one_line_of_error("unexpected argument 'xxxx");
	assert_true(child.n[CHILD_STDERR] < 256);
}

static void
test_L10_control_bytes_of_an_argument_are_escaped(void **state)
{
	(void)state;
	assert_int_equal(run("a\n\x1b[31mb", NULL, NULL), EX_USAGE);
	assert_one_line_of_error("'a\\x0a\\x1b[31mb'");
}

static void
test_L22_help_onto_a_full_disk_fails(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int full = open("/dev/full", O_WRONLY);

		dup2(full, STDOUT_FILENO);
		dup2(full, STDERR_FILENO);
		execl(SPECIMEN, SPECIMEN, "--help", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_IOERR);
}

static void
test_check_of_a_good_file_touches_nothing(void **state)
{
	struct stat status;

	(void)state;
	write_config("[relay]\nbehaviour = refuse_start\n[gateway]\nnot = ours\n");
	assert_int_equal(run("-n", "-c", config_path), EX_OK);
	assert_said(CHILD_STDOUT, "the configuration is good");
	assert_int_equal(stat(state_path, &status), -1);
}

static void
test_check_of_a_bad_file_names_the_line(void **state)
{
	(void)state;
	write_config("[relay]\nbehavior = good\n");
	assert_int_equal(run("-n", "-c", config_path), EX_CONFIG);
	assert_one_line_of_error("boson.conf:8: unknown key 'behavior', did you mean 'behaviour'?");
}

static void
test_check_asks_the_actor_too(void **state)
{
	(void)state;
	write_config("[relay]\nbehaviour = bad_check\n");
	assert_int_equal(run("-n", "-c", config_path), EX_NOINPUT);
	assert_one_line_of_error("certificate missing");
}

static void
test_C01_missing_configuration_is_named(void **state)
{
	(void)state;
	assert_int_equal(run("-c", "/nowhere/boson.conf", NULL), EX_NOINPUT);
	assert_one_line_of_error("/nowhere/boson.conf: No such file");
}

static void
test_C65_configuration_of_the_other_product_is_refused(void **state)
{
	(void)state;
	write_config("[forwarder]\ninterface = higgs0\n");
	assert_int_equal(run("-n", "-c", config_path), EX_CONFIG);
	assert_one_line_of_error("unknown section 'forwarder'");
}

static void
test_tcp_mailbox_without_a_key_is_refused(void **state)
{
	(void)state;
	write_config("[bus]\nrelay = tcp://127.0.0.1:7000\n");
	assert_int_equal(run("-n", "-c", config_path), EX_CONFIG);
	assert_one_line_of_error("a tcp mailbox needs [bus] curve_secret");
}

static void
test_C43_public_key_of_another_secret_is_refused(void **state)
{
	char public_key[41], secret_key[41], other[41], more[512], path[96];
	FILE *file;

	(void)state;
	assert_int_equal(zmq_curve_keypair(other, secret_key), 0);
	assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
	snprintf(path, sizeof(path), "%s/bus.secret", folder.path);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	fprintf(file, "%s\n", secret_key);
	assert_int_equal(fclose(file), 0);
	snprintf(more, sizeof(more),
		 "[bus]\nrelay = tcp://127.0.0.1:7000\ncurve_secret = %s\nrelay_key = %s\n", path,
		 other);
	write_config(more);
	assert_int_equal(run("-n", "-c", config_path), EX_CONFIG);
	assert_one_line_of_error("relay_key is not the public key of curve_secret");
	assert_said(CHILD_STDERR, public_key);
	memcpy(strstr(more, other), public_key, 40);
	write_config(more);
	assert_int_equal(run("-n", "-c", config_path), EX_OK);
}

static void
test_C45_state_that_cannot_be_made_is_73(void **state)
{
	char text[160];

	(void)state;
	snprintf(state_path, sizeof(state_path), "%s/no/state", folder.path);
	write_config("");
	assert_int_equal(run("-c", config_path, NULL), EX_CANTCREAT);
	snprintf(text, sizeof(text), "%s: No such file", state_path);
	assert_one_line_of_error(text);
	snprintf(state_path, sizeof(state_path), "%s/boson.conf", folder.path);
	write_config("");
	assert_int_equal(run("-c", config_path, NULL), EX_CANTCREAT);
	assert_one_line_of_error("Not a directory");
	snprintf(state_path, sizeof(state_path), "/proc/state");
	write_config("");
	assert_int_equal(run("-c", config_path, NULL), EX_CANTCREAT);
}

static void
assert_mode(const char *name, mode_t mode)
{
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, mode);
}

static void
test_folders_have_the_right_modes_whatever_the_umask(void **state)
{
	mode_t mask = umask(0077);

	(void)state;
	write_config("[relay]\nbehaviour = exit_72\n");
	assert_int_equal(run("-c", config_path, NULL), 72);
	umask(mask);
	assert_mode("state", 0755);
	assert_mode("state/keys", 0755);
	assert_mode("state/relay", 0700);
	assert_mode("run", 0700);
}

static void
test_state_of_an_actor_that_others_may_read_is_closed_to_them(void **state)
{
	char path[128];

	(void)state;
	write_config("[relay]\nbehaviour = exit_72\n");
	assert_int_equal(mkdir(state_path, 0755), 0);
	snprintf(path, sizeof(path), "%s/relay", state_path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(run("-c", config_path, NULL), 72);
	assert_mode("state/relay", 0700);
}

static void
test_start_refused_by_an_actor_ends_with_its_code(void **state)
{
	(void)state;
	write_config("[relay]\nbehaviour = refuse_start\n");
	assert_int_equal(run("-c", config_path, NULL), EX_NOPERM);
	assert_said(CHILD_STDERR, "actor_start_failed actor=relay exit_code=77");
	write_config("[relay]\nbehaviour = address_in_use\n");
	assert_int_equal(run("-c", config_path, NULL), EX_OSERR);
}

static void
test_C23_admin_address_of_another_host_is_71(void **state)
{
	(void)state;
	write_config("");
	setenv("BOSON_ADMIN_RELAY", "192.0.2.1:9904", 1);
	assert_int_equal(run("-c", config_path, NULL), EX_OSERR);
	unsetenv("BOSON_ADMIN_RELAY");
	assert_one_line_of_error("192.0.2.1:9904: Cannot assign requested address");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_L06_help_teaches_flags_and_every_key_on_stdout),
		TEST(test_version_is_printed),
		TEST(test_L02_unknown_flag_names_the_nearest),
		TEST(test_L04_flag_without_its_value_is_a_mistake),
		TEST(test_L08_huge_argument_is_cut),
		TEST(test_L10_control_bytes_of_an_argument_are_escaped),
		TEST(test_L22_help_onto_a_full_disk_fails),
		TEST(test_check_of_a_good_file_touches_nothing),
		TEST(test_check_of_a_bad_file_names_the_line),
		TEST(test_check_asks_the_actor_too),
		TEST(test_C01_missing_configuration_is_named),
		TEST(test_C65_configuration_of_the_other_product_is_refused),
		TEST(test_tcp_mailbox_without_a_key_is_refused),
		TEST(test_C43_public_key_of_another_secret_is_refused),
		TEST(test_C45_state_that_cannot_be_made_is_73),
		TEST(test_folders_have_the_right_modes_whatever_the_umask),
		TEST(test_state_of_an_actor_that_others_may_read_is_closed_to_them),
		TEST(test_start_refused_by_an_actor_ends_with_its_code),
		TEST(test_C23_admin_address_of_another_host_is_71),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

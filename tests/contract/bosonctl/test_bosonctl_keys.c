/*
 * `bosonctl keys` as an operator runs it: what it writes is what services read, and what it refuses
 * with which exit code. Ids (L66 ...) are rows of the list of bad inputs.
 */
#include "../../temp_folder.h"
#include "../../unit/service/child.h"
#include "service/service_bus.h"
#include "service/service_config.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 8, FILE_BYTES = 16384 };

static struct child child;
static struct temp_folder folder;
static char keys[96];

static int
setup(void **state)
{
	(void)state;
	child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	temp_folder_make(&folder);
	snprintf(keys, sizeof(keys), "%s/keys", folder.path);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	child_end(&child);
	return temp_folder_drop(&folder);
}

/* `bosonctl keys WORDS...`, words NULL-terminated: the exit code. */
static int
run(const char *const *words)
{
	const char *argv[WORDS_MAX + 3] = { BOSONCTL, "keys" };

	for (size_t i = 0; words[i] != NULL; i++) {
		assert_true(i < WORDS_MAX);
		argv[i + 2] = words[i];
	}
	return child_run(&child, argv);
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static const char *
read_file(const char *name, mode_t *ret_mode)
{
	static char text[FILE_BYTES];
	struct stat status;
	char path[192];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", keys, name);
	file = fopen(path, "re");
	if (file == NULL)
		fail_msg("%s is not there", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	assert_int_equal(fstat(fileno(file), &status), 0);
	fclose(file);
	if (ret_mode != NULL)
		*ret_mode = status.st_mode & 07777;
	return text;
}

static int
count_files(void)
{
	DIR *dir = opendir(keys);
	int n = 0;

	if (dir == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* The configuration an operator makes of the printed lines, with a secret of this name. */
static struct service_bus *
load_with(const char *name)
{
	static struct service_schema schema;
	static struct config *config;
	struct service_bus *bus = NULL;
	char path[128], error[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/boson.conf", folder.path);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file,
		"%scurve_secret = %s/%s.secret\ncurve_allow = %s/allow\n"
		"relay = tcp://10.0.0.1:7004\ndiscovery = tcp://10.0.0.2:7001\n",
		read_file("bus.conf", NULL), keys, name, keys);
	fclose(file);
	service_schema_init(&schema, "boson", NULL);
	config_free(&config);
	if (config_load(path, &schema.schema, &config, error, sizeof(error)) != 0 ||
	    service_bus_new(config, "boson", false, &bus, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	config_free(&config);
	return bus;
}

static void
test_all_services_and_bosonctl_get_what_the_configuration_takes(void **state)
{
	struct service_bus *bus;
	unsigned services = 0;
	mode_t mode;

	(void)state;
	while (service_names("boson")[services] != NULL)
		services++;
	assert_int_equal(RUN(keys), EX_OK);
	assert_int_equal(count_files(), services + 3); /* bosonctl, allow, bus.conf */
	assert_string_equal(child.output[CHILD_STDOUT], read_file("bus.conf", NULL));
	read_file("turn.secret", &mode);
	assert_int_equal(mode, 0600);
	read_file("allow", &mode);
	assert_int_equal(mode & 0022, 0);
	bus = load_with("relay");
	assert_string_equal(service_bus_server_key(bus, "relay"),
			    service_bus_security(bus)->public_key);
	assert_string_equal(service_bus_security(bus)->allowed_names[6], "bosonctl");
	assert_null(service_bus_security(bus)->allowed_names[7]);
	service_bus_free(&bus);
}

static void
test_allow_list_holds_the_public_half_of_each_secret(void **state)
{
	struct service_bus *bus;

	(void)state;
	assert_int_equal(RUN(keys, "discovery", "relay-0", "relay-1"), EX_OK);
	bus = load_with("relay-1");
	assert_string_equal(service_bus_security(bus)->allowed_names[2], "relay-1");
	assert_string_equal(service_bus_security(bus)->allowed_keys[2],
			    service_bus_security(bus)->public_key);
	service_bus_free(&bus);
	/* Only a service has a line of its own in [bus]. */
	assert_null(strstr(read_file("bus.conf", NULL), "relay"));
}

/* One key in 85 would begin with #, and be read as a comment. */
static void
test_no_key_can_be_taken_for_a_comment(void **state)
{
	enum { NAMES = 250 };
	const char *argv[NAMES + 4] = { BOSONCTL, "keys", keys };
	char names[NAMES][16];

	(void)state;
	for (int i = 0; i < NAMES; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		argv[i + 3] = names[i];
	}
	assert_int_equal(child_run(&child, argv), EX_OK);
	assert_null(strstr(read_file("allow", NULL), " #"));
}

static void
test_no_secret_is_printed(void **state)
{
	char secret[41] = "";

	(void)state;
	assert_int_equal(RUN(keys, "relay"), EX_OK);
	memcpy(secret, read_file("relay.secret", NULL), 40);
	assert_null(strstr(child.output[CHILD_STDOUT], secret));
	assert_null(strstr(child.output[CHILD_STDERR], secret));
}

static void
test_L66_files_that_are_there_are_kept_unless_forced(void **state)
{
	char before[FILE_BYTES];

	(void)state;
	assert_int_equal(RUN(keys, "relay"), EX_OK);
	snprintf(before, sizeof(before), "%s", read_file("relay.secret", NULL));
	assert_int_equal(RUN(keys, "turn", "relay"), EX_CANTCREAT);
	child_await(&child, CHILD_STDERR, "--force");
	assert_string_equal(read_file("relay.secret", NULL), before);
	assert_int_equal(count_files(), 3); /* nothing of turn */
	assert_int_equal(RUN("--force", keys, "relay"), EX_OK);
	assert_string_not_equal(read_file("relay.secret", NULL), before);
}

static void
test_names_that_are_none_are_refused_before_anything_is_written(void **state)
{
	static const char *const bad[] = { "", "../x", "a b", ".x", "x\nroot", "-x" };
	char long_name[65];

	(void)state;
	memset(long_name, 'n', 64);
	long_name[64] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(RUN(keys, "relay", bad[i]), EX_USAGE);
	assert_int_equal(RUN(keys, long_name), EX_USAGE);
	assert_int_equal(RUN(keys, "relay", "relay"), EX_USAGE);
	assert_int_equal(RUN("--forec", keys), EX_USAGE);
	assert_int_equal(RUN("--force"), EX_USAGE);
	assert_int_equal(count_files(), 0);
}

static void
test_folder_that_cannot_be_made_is_said(void **state)
{
	char under[128];

	(void)state;
	snprintf(under, sizeof(under), "%s/not/there", folder.path);
	assert_int_equal(RUN(under), EX_CANTCREAT);
	child_await(&child, CHILD_STDERR, under);
}

static void
test_L02_unknown_command_gets_the_nearest(void **state)
{
	const char *const argv[] = { BOSONCTL, "key", NULL };

	(void)state;
	assert_int_equal(child_run(&child, argv), EX_USAGE);
	child_await(&child, CHILD_STDERR, "did you mean keys?");
}

static void
test_L22_full_stdout_is_said(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "'%s' keys '%s' relay >/dev/full 2>/dev/null", BOSONCTL,
		 keys);
	int status = system(command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_IOERR);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_services_and_bosonctl_get_what_the_configuration_takes),
		TEST(test_allow_list_holds_the_public_half_of_each_secret),
		TEST(test_no_key_can_be_taken_for_a_comment),
		TEST(test_no_secret_is_printed),
		TEST(test_L66_files_that_are_there_are_kept_unless_forced),
		TEST(test_names_that_are_none_are_refused_before_anything_is_written),
		TEST(test_folder_that_cannot_be_made_is_said),
		TEST(test_L02_unknown_command_gets_the_nearest),
		TEST(test_L22_full_stdout_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

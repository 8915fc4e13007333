/*
 * Kernel settings and the way back, on a folder that stands for /proc/sys. T37, F07.
 */
#include "forwarder/sysctl_journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UPLINK "net/ipv4/conf/eth0/forwarding"
#define ALL    "net/ipv4/conf/all/forwarding"

struct fixture {
	char root[64], path[128];
	struct sysctl_journal *journal;
};

static void
put(const struct fixture *f, const char *name, const char *value)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", f->root, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", value);
	assert_int_equal(fclose(file), 0);
}

static void
assert_setting(const struct fixture *f, const char *name, const char *wanted)
{
	char path[256], value[32] = "";
	snprintf(path, sizeof path, "%s/%s", f->root, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(value, sizeof value, file));
	fclose(file);
	/* A plain file keeps the old end when a shorter value is written; settings here are one
	 * digit.
	 */
	assert_int_equal(value[0], wanted[0]);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char command[256];
	if (!f)
		return -1;
	*state = f;
	strcpy(f->root, "/tmp/higgs-sysctl-XXXXXX");
	if (!mkdtemp(f->root))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/journal", f->root);
	snprintf(command, sizeof command, "mkdir -p %s/net/ipv4/conf/eth0 %s/net/ipv4/conf/all",
		 f->root, f->root);
	if (system(command) != 0)
		return -1;
	put(f, UPLINK, "0");
	put(f, ALL, "0");
	return sysctl_journal_open(f->root, f->path, &f->journal);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	sysctl_journal_close(&f->journal);
	snprintf(command, sizeof command, "rm -r %s", f->root);
	int r = system(command);
	free(f);
	return r;
}

/* As after kill -9: the file stays, the process does not. */
static void
crash(struct fixture *f)
{
	char copy[160], command[1024];
	snprintf(copy, sizeof copy, "%s.kept", f->path);
	snprintf(command, sizeof command, "cp %s %s && cp -r %s/net %s/net.kept", f->path, copy,
		 f->root, f->root);
	assert_int_equal(system(command), 0);
	sysctl_journal_close(&f->journal);
	snprintf(command, sizeof command, "mv %s %s && rm -r %s/net && mv %s/net.kept %s/net", copy,
		 f->path, f->root, f->root, f->root);
	assert_int_equal(system(command), 0);
}

static void
test_clean_end_puts_settings_back(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	assert_setting(f, UPLINK, "1");
	sysctl_journal_close(&f->journal);
	assert_setting(f, UPLINK, "0");
	assert_int_equal(access(f->path, F_OK), -1);
}

static void
test_start_after_a_crash_puts_settings_back_first(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	crash(f);
	assert_setting(f, UPLINK, "1");
	assert_int_equal(sysctl_journal_open(f->root, f->path, &f->journal), 0);
	assert_setting(f, UPLINK, "0");
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	sysctl_journal_close(&f->journal);
	assert_setting(f, UPLINK, "0");
}

static void
test_value_that_is_there_already_is_not_ours_to_undo(void **state)
{
	struct fixture *f = *state;
	put(f, UPLINK, "1");
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	sysctl_journal_close(&f->journal);
	assert_setting(f, UPLINK, "1");
}

static void
test_what_somebody_else_changed_since_is_left_alone(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	put(f, UPLINK, "2");
	sysctl_journal_close(&f->journal);
	assert_setting(f, UPLINK, "2");
}

/* Docker, say, turned forwarding on for all interfaces while we ran. */
static void
test_forwarding_of_all_interfaces_keeps_that_of_each(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sysctl_journal_set(f->journal, UPLINK, "1"), 0);
	put(f, ALL, "1");
	sysctl_journal_close(&f->journal);
	assert_setting(f, UPLINK, "1");
}

static void
test_line_that_was_not_finished_is_passed_over(void **state)
{
	struct fixture *f = *state;
	crash(f);
	FILE *file = fopen(f->path, "a");
	assert_non_null(file);
	fputs(UPLINK " 0 1", file);
	assert_int_equal(fclose(file), 0);
	put(f, UPLINK, "1");
	assert_int_equal(sysctl_journal_open(f->root, f->path, &f->journal), 0);
	assert_setting(f, UPLINK, "1");
}

static void
test_journal_of_an_earlier_boot_is_void(void **state)
{
	struct fixture *f = *state;
	sysctl_journal_close(&f->journal);
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	fputs("00000000-0000-0000-0000-000000000000\n" UPLINK " 0 1\n", file);
	assert_int_equal(fclose(file), 0);
	put(f, UPLINK, "1");
	assert_int_equal(sysctl_journal_open(f->root, f->path, &f->journal), 0);
	assert_setting(f, UPLINK, "1");
}

static void
test_setting_that_does_not_exist_is_said_to(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sysctl_journal_set(f->journal, "net/ipv4/conf/gone/forwarding", "1"),
			 -ENOENT);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNAL_TEST(test_clean_end_puts_settings_back),
		JOURNAL_TEST(test_start_after_a_crash_puts_settings_back_first),
		JOURNAL_TEST(test_value_that_is_there_already_is_not_ours_to_undo),
		JOURNAL_TEST(test_what_somebody_else_changed_since_is_left_alone),
		JOURNAL_TEST(test_forwarding_of_all_interfaces_keeps_that_of_each),
		JOURNAL_TEST(test_line_that_was_not_finished_is_passed_over),
		JOURNAL_TEST(test_journal_of_an_earlier_boot_is_void),
		JOURNAL_TEST(test_setting_that_does_not_exist_is_said_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

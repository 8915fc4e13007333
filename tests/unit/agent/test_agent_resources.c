/*
 * Load figures from /proc: read right, absent when they cannot be read, never out of 0..100.
 */
#include "../../temp_folder.h"
#include "agent/agent_resources.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct temp_folder folder;

static int
setup(void **state)
{
	(void)state;
	temp_folder_make(&folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return temp_folder_drop(&folder);
}

static void
read_with(const char *stat_text, const char *meminfo, struct resources *ret)
{
	temp_folder_write(&folder, "stat", stat_text, 0600);
	temp_folder_write(&folder, "meminfo", meminfo, 0600);
	resources_read(folder.path, ret);
}

static const char memory[] = "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:   750 kB\n";

static void
test_the_busy_share_between_two_readings_is_told(void **state)
{
	struct resources before, now;
	double percent;

	(void)state;
	read_with("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n", memory, &before);
	read_with("cpu  125 0 125 840 110 0 0 0 0 0\ncpu0 1 2 3\n", memory, &now);
	assert_true(resources_cpu_percent(&before, &now, &percent));
	assert_true(percent > 24.9 && percent < 25.1);
}

static void
test_memory_that_could_be_freed_is_not_used(void **state)
{
	struct resources r;

	(void)state;
	read_with("cpu  1 2 3 4\n", memory, &r);
	assert_true(r.has_memory);
	assert_true(r.memory_percent > 24.9 && r.memory_percent < 25.1);
}

static void
test_counters_that_went_back_give_no_percentage(void **state)
{
	struct resources before, now;
	double percent;

	(void)state;
	read_with("cpu  100 0 100 700 100 0 0 0 0 0\n", memory, &before);
	assert_false(resources_cpu_percent(&before, &before, &percent));
	read_with("cpu  90 0 100 900 100 0 0 0 0 0\n", memory, &now);
	assert_false(resources_cpu_percent(&before, &now, &percent));
	read_with("cpu  300 0 100 600 100 0 0 0 0 0\n", memory, &now);
	assert_false(resources_cpu_percent(&before, &now, &percent));
}

static void
test_what_cannot_be_read_is_absent(void **state)
{
	struct resources r;

	(void)state;
	resources_read("/nonexistent", &r);
	assert_false(r.has_cpu);
	assert_false(r.has_memory);
	read_with("cpu  x y\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", &r);
	assert_false(r.has_cpu);
	assert_false(r.has_memory);
	read_with("", "MemTotal: 1000 kB\n", &r);
	assert_false(r.has_cpu);
	assert_false(r.has_memory);
	read_with("cpu  1 2 3 4\n", "MemTotal: 10 kB\nMemAvailable: 11 kB\n", &r);
	assert_true(r.has_cpu);
	assert_false(r.has_memory);
}

static void
test_the_load_is_read_or_absent(void **state)
{
	struct resources r;

	(void)state;
	temp_folder_write(&folder, "loadavg", "0.50 1.25 2.00 1/300 4242\n", 0600);
	resources_read(folder.path, &r);
	assert_true(r.has_load);
	assert_true(r.load[0] == 0.5 && r.load[1] == 1.25 && r.load[2] == 2);
	temp_folder_write(&folder, "loadavg", "0.50 x\n", 0600);
	resources_read(folder.path, &r);
	assert_false(r.has_load);
}

static void
test_how_full_a_disk_is(void **state)
{
	double percent = -1;

	(void)state;
	assert_true(resources_disk_percent("/tmp", &percent));
	assert_true(percent >= 0 && percent <= 100);
	assert_false(resources_disk_percent("/nowhere/at/all", &percent));
}

static void
test_this_machine_can_be_read(void **state)
{
	struct resources r;

	(void)state;
	resources_read("/proc", &r);
	assert_true(r.has_cpu);
	assert_true(r.has_memory);
	assert_true(r.memory_percent >= 0 && r.memory_percent <= 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_busy_share_between_two_readings_is_told),
		cmocka_unit_test(test_memory_that_could_be_freed_is_not_used),
		cmocka_unit_test(test_counters_that_went_back_give_no_percentage),
		cmocka_unit_test(test_what_cannot_be_read_is_absent),
		cmocka_unit_test(test_the_load_is_read_or_absent),
		cmocka_unit_test(test_how_full_a_disk_is),
		cmocka_unit_test(test_this_machine_can_be_read),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/*
 * A machine that changes networks: the address that a leg goes from is gone, or one comes where
 * there was no way out. In a network namespace of the test's own: needs root. Chance is what the
 * test says it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OURS "10.99.9.1"

enum { FAILURES = 12, LONGEST_MS = 30 * 1000 };

static atomic_uint chance; /* what each random number is; UINT_MAX: as it comes */
static atomic_uint asked;  /* how often for one */
static bool has_network;

ssize_t
getrandom(void *bytes, size_t n, unsigned flags)
{
	unsigned value = atomic_load(&chance);

	if (value == UINT32_MAX || n != sizeof value)
		return syscall(SYS_getrandom, bytes, n, flags);
	memcpy(bytes, &value, sizeof value);
	atomic_fetch_add(&asked, 1);
	return (ssize_t)n;
}

static void
ip(const char *words)
{
	char command[128];

	snprintf(command, sizeof command, "ip %s", words);
	assert_int_equal(system(command), 0);
}

static int
set_up(void **state)
{
	atomic_store(&chance, UINT32_MAX);
	has_network = unshare(CLONE_NEWNET) == 0;
	if (!has_network)
		printf("skipped: no network namespace of our own without root\n");
	else
		ip("link set lo up");
	return rig_set_up(state);
}

static int
begin(void **state)
{
	(void)state;
	if (has_network)
		(void)!system("ip addr del " OURS "/32 dev lo 2>/dev/null");
	atomic_store(&chance, UINT32_MAX);
	atomic_store(&asked, 0);
	return 0;
}

static void
test_a_leg_whose_address_is_gone_is_down_at_once(void **state)
{
	(void)state;
	if (!has_network)
		skip();
	ip("addr add " OURS "/32 dev lo");
	struct rig *rig = rig_new(NULL, 0);
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", OURS, "/echo");
	wait_until(rig, is_up);
	/* Another one that comes and goes is not its own. */
	ip("addr add 10.99.9.7/32 dev lo");
	ip("addr del 10.99.9.7/32 dev lo");
	send_numbered(rig, 1, 100);
	leg_client_flush(rig->client);
	rig->wanted = 1;
	wait_until(rig, has_messages);
	rig->wanted = 0;
	assert_false(has_gone_down(rig));
	ip("addr del " OURS "/32 dev lo");
	wait_until(rig, has_gone_down);
	assert_string_equal(first_down(rig)->reason, "this machine's address is gone");
	ip("addr add " OURS "/32 dev lo");
	wait_until(rig, is_up);
	rig_free(rig);
}

static bool
has_failed_often(struct rig *rig)
{
	return figure(rig, "leg_attempts_total", NULL) >= FAILURES;
}

static bool
waits_for_long(struct rig *rig)
{
	(void)rig;
	return atomic_load(&asked) > 0;
}

static void
test_who_has_no_way_out_tries_again_when_there_is_one(void **state)
{
	(void)state;
	if (!has_network)
		skip();
	struct rig *rig = rig_new(NULL, 0);
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	atomic_store(&chance, 0);
	target(rig, "ws", OURS, "/echo");
	wait_until(rig, has_failed_often);
	atomic_store(&asked, 0);
	atomic_store(&chance, LONGEST_MS);
	wait_until(rig, waits_for_long);
	ip("addr add " OURS "/32 dev lo");
	wait_until(rig, is_up);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_leg_whose_address_is_gone_is_down_at_once, begin),
		cmocka_unit_test_setup(test_who_has_no_way_out_tries_again_when_there_is_one,
				       begin),
	};

	return cmocka_run_group_tests(tests, set_up, rig_tear_down);
}

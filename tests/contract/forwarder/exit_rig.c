/*
 * exit_rig: see exit_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES_MAX = 2000, TRY_US = 5000 };

static const char *const allow[] = { "198.51.100.0/24", "2001:db8:80::/64", NULL };

int
exit_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	*state = f;
	if (!f || !lab_can_run())
		return f ? 0 : -1;
	snprintf(f->state_dir, sizeof f->state_dir, "/tmp/higgs-test-XXXXXX");
	assert_non_null(mkdtemp(f->state_dir));
	lab_up(&f->lab, true);
	f->client = lab_udp(f->lab.client, "10.90.0.2", 40000);
	f->inet = lab_udp(f->lab.inet, NULL, LAB_PORT);
	f->options = (struct holder_options){ .policy_on = true,
					      .allow = allow,
					      .new_flows = 100,
					      .flows_max = 2000,
					      .udp_packets = 20000,
					      .state_dir = f->state_dir };
	return 0;
}

int
exit_teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];
	if (f->state_dir[0]) {
		close(f->client);
		close(f->inet);
		holder_bury(&f->holder);
		lab_down(&f->lab);
		snprintf(path, sizeof path, "%s/sysctl.journal", f->state_dir);
		unlink(path);
		rmdir(f->state_dir);
	}
	free(f);
	return 0;
}

void
expect(int fd, const char *text, struct sockaddr_in6 *ret_from)
{
	char got[TEXT_BYTES];
	assert_true(lab_receive(fd, got, sizeof got, ret_from));
	assert_string_equal(got, text);
}

/* A packet that does pass, after which everything sent before it has had its chance. */
void
expect_only(struct fixture *f, int silent_fd)
{
	lab_send(f->client, "198.51.100.80", LAB_PORT, "control");
	expect(f->inet, "control", NULL);
	assert_true(lab_is_silent(silent_fd));
}

bool
wait_for_output(int ns, const char *command, const char *wanted)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		char *output = lab_output(ns, command);
		bool found = strstr(output, wanted) != NULL;
		free(output);
		if (found)
			return true;
		usleep(TRY_US);
	}
	return false;
}

bool
has_output(int ns, const char *command, const char *wanted)
{
	char *output = lab_output(ns, command);
	bool found = strstr(output, wanted) != NULL;
	free(output);
	return found;
}

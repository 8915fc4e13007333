/*
 * exit_rig: what the tests of the exit policy share: a lab each, its sockets, a holder (holder.h),
 * and how to see that a packet did not get through.
 */
#pragma once

#include "holder.h"
#include "lab.h"

enum { TEXT_BYTES = 64 };

struct fixture {
	struct lab lab;
	struct holder holder;
	struct holder_options options;
	char state_dir[64];
	int client, inet; /* sockets */
};

int exit_setup(void **state);
int exit_teardown(void **state);

#define EXIT_TEST(test) cmocka_unit_test_setup_teardown(test, exit_setup, exit_teardown)

#define NEEDS_ROOT(f)                   \
	do {                            \
		if (!(f)->state_dir[0]) \
			skip();         \
	} while (0)

void expect(int fd, const char *text, struct sockaddr_in6 *ret_from);

/* A packet that does pass, after which everything sent before it has had its chance. */
void expect_only(struct fixture *f, int silent_fd);

bool wait_for_output(int ns, const char *command, const char *wanted);
bool has_output(int ns, const char *command, const char *wanted);

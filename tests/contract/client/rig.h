/*
 * rig: what the client's contract tests share: a lab for the whole program, `higgs` in it, and that
 * nothing of it stays.
 */
#pragma once

#include "lab.h"

#include <jansson.h>

enum { DEADLINE_MS = 20 * 1000 };

extern struct lab lab;
extern bool is_lab_up;
extern char *output; /* of the last command; shared with children */

#define SKIP_WITHOUT_LAB()      \
	do {                    \
		if (!is_lab_up) \
			skip(); \
	} while (0)

/* A test after which no client runs: what one that failed left must not fail the next. */
#define RIG_TEST(f) cmocka_unit_test_teardown(f, rig_end_client)

int rig_set_up(void **state);
int rig_tear_down(void **state);
int rig_end_client(void **state);

void expect_contains(const char *text, const char *part);
void expect_exit(int got, int wanted);

/* Rules, routes, links and resolv.conf, from when on the gateway answers so; and that they are what
 * they were then, and no process is left. */
void note_state(enum lab_answer answer);
void expect_as_before(void);

void connect_it(void);
void disconnect_it(void);

/* Does this command of the client's namespace succeed? */
bool does(const char *command);

/* Tries until it does, or the deadline. */
bool does_in_time(const char *command);

/* Starts it, and reads what it says until this is in it. */
pid_t connect_until(const char *const *more, const char *part, int *ret_fd);
/* What it says from here on, until this is in it, is in output. */
void read_until(int fd, const char *part);

/* From now on the first node gets nothing; and something is sent to it, until that is ended. */
void fail_first_node(void);
pid_t ping_first_node(void);
void end_ping(pid_t pid);

json_t *status_of_client(void);
pid_t client_pid(void);

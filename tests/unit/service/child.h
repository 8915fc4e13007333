/*
 * child: runs a program, reads what it says line by line, and ends it. Every wait has a deadline;
 * a child that outlives its test is killed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CHILD_OUTPUT_BYTES = 64 * 1024, CHILD_DEADLINE_MS = 30 * 1000 };

struct child {
	pid_t pid;
	int fds[2];			    /* its stdout and stderr */
	char output[2][CHILD_OUTPUT_BYTES]; /* what it has said on each so far */
	size_t n[2];
	size_t looked[2]; /* child_await goes on behind what it found last */
};

enum { CHILD_STDOUT, CHILD_STDERR };

/* argv as for execv, NULL-terminated. */
void child_start(struct child *child, const char *const *argv);

/* Waits until it says text (again); fails the test with all it said when it does not. Returns what
 * follows the text. */
const char *child_await(struct child *child, int stream, const char *text);

void child_signal(struct child *child, int number);

/* Waits for its end: the exit code, or 256 + the signal. */
int child_wait(struct child *child);

/* Start and wait. */
int child_run(struct child *child, const char *const *argv);

/* In teardown: kills what still runs. */
void child_end(struct child *child);

/* GET (or METHOD) of a path at 127.0.0.1:port, the whole answer, a static buffer. */
const char *http_request(uint16_t port, const char *method, const char *path);

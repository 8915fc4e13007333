/*
 * child: other programs that we run: `wg` for a moment, wireguard-go for as long as we live. No
 * shell. A child gets no descriptor but 0 to 2, no blocked signal, a three-line environment, and
 * SIGKILL when the thread that started it ends. Any thread.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	int pidfd; /* readable when it has ended; -1: none */
};

/* Starts argv[0], looked up in PATH, with stdin and stdout on the descriptors given (-1:
 * /dev/null) and our stderr. -ENOENT: no such program. */
int child_start(const char *const *argv, int stdin_fd, int stdout_fd, struct child *ret);

/* Takes the exit status of a child that has ended: its exit code, 128 + signal, or -EAGAIN while it
 * runs. The child is none afterwards. */
int child_reap(struct child *child);

/* SIGKILL and reap; takes NULL, and a child that is none. */
void child_kill(struct child *child);

/* Runs a program to its end, with input on stdin, and at most output_bytes - 1 of its stdout in
 * output, NUL-terminated (NULL: dropped). 0; -ETIME when it had to be killed after timeout_ms; -EIO
 * when it failed; or what child_start said. Blocks that long. */
int child_run(const char *const *argv, const void *input, size_t input_bytes, char *output,
	      size_t output_bytes, int timeout_ms);

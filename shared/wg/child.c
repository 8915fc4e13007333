/*
 * child: see child.h. Input and output of child_run are memory files, so that neither side can
 * block the other, and the only thing to wait for is the end of the child.
 */
#include "wg/child.h"

#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_PATH_BYTES = 512, CHILD_EXIT_NO_EXEC = 127, CHILD_ENVIRONMENT_BYTES = 1024 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int
find_program(const char *name, const char *path, char ret_file[CHILD_PATH_BYTES])
{
	if (strchr(name, '/')) {
		int n = snprintf(ret_file, CHILD_PATH_BYTES, "%s", name);
		return n < CHILD_PATH_BYTES && access(ret_file, X_OK) == 0 ? 0 : -ENOENT;
	}
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, ":");
		int written = snprintf(ret_file, CHILD_PATH_BYTES, "%.*s/%s", (int)n, at, name);
		if (n > 0 && written < CHILD_PATH_BYTES && access(ret_file, X_OK) == 0)
			return 0;
		at += n + (at[n] == ':');
	}
	return -ENOENT;
}

/* Between fork and exec: only calls that are safe after a fork of a threaded process. */
static _Noreturn void
become(const char *file, char *const *argv, char *const *environment, int stdin_fd, int stdout_fd,
       pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CHILD_EXIT_NO_EXEC);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(stdin_fd >= 0 ? stdin_fd : null_fd, STDIN_FILENO) < 0 ||
	    dup2(stdout_fd >= 0 ? stdout_fd : null_fd, STDOUT_FILENO) < 0)
		_exit(CHILD_EXIT_NO_EXEC);
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		_exit(CHILD_EXIT_NO_EXEC);
	signal(SIGPIPE, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(file, argv, environment);
	_exit(CHILD_EXIT_NO_EXEC);
}

int
child_start(const char *const *argv, int stdin_fd, int stdout_fd, struct child *ret)
{
	const char *path = getenv("PATH");
	if (!path || !*path)
		path = default_path;
	char file[CHILD_PATH_BYTES];
	int r = find_program(argv[0], path, file);
	if (r < 0)
		return r;
	char path_variable[CHILD_ENVIRONMENT_BYTES];
	snprintf(path_variable, sizeof path_variable, "PATH=%s", path);
	/* The second keeps `wg` from waiting for a name server, the third wireguard-go from advice.
	 */
	char *environment[] = { path_variable, (char[]){ "WG_ENDPOINT_RESOLUTION_RETRIES=0" },
				(char[]){ "WG_PROCESS_FOREGROUND=1" },
				(char[]){ "LOG_LEVEL=error" }, NULL };
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(file, (char *const *)(uintptr_t)argv, environment, stdin_fd, stdout_fd,
		       parent);
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret = (struct child){ .pid = pid, .pidfd = pidfd };
	return 0;
}

int
child_reap(struct child *child)
{
	int status;
	pid_t pid = waitpid(child->pid, &status, WNOHANG);
	if (pid == 0)
		return -EAGAIN;
	close(child->pidfd);
	*child = (struct child){ .pidfd = -1 };
	if (pid < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
child_kill(struct child *child)
{
	if (!child || child->pid == 0)
		return;
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	close(child->pidfd);
	*child = (struct child){ .pidfd = -1 };
}

/* Input may hold a key: the memory file is overwritten before it goes. */
static void
input_close(int fd, size_t n)
{
	static const char zero[4096];
	for (size_t at = 0; at < n; at += sizeof zero) {
		size_t part = n - at < sizeof zero ? n - at : sizeof zero;
		if (pwrite(fd, zero, part, (off_t)at) < 0)
			break;
	}
	close(fd);
}

static int
write_all(int fd, const char *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t r = pwrite(fd, bytes + at, n - at, (off_t)at);
		if (r < 0)
			return -errno;
		at += (size_t)r;
	}
	return 0;
}

static int
wait_for_end(struct child *child, int timeout_ms)
{
	struct pollfd end = { .fd = child->pidfd, .events = POLLIN };
	int r;
	do
		r = poll(&end, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r <= 0) {
		child_kill(child);
		return -ETIME;
	}
	return child_reap(child) == 0 ? 0 : -EIO;
}

int
child_run(const char *const *argv, const void *input, size_t input_bytes, char *output,
	  size_t output_bytes, int timeout_ms)
{
	struct child child;
	int out = -1, r;
	int in = memfd_create("input", MFD_CLOEXEC);
	if (in < 0)
		return -errno;
	r = write_all(in, input, input_bytes);
	if (r == 0 && output) {
		out = memfd_create("output", MFD_CLOEXEC);
		r = out < 0 ? -errno : 0;
	}
	if (r == 0)
		r = child_start(argv, in, out, &child);
	if (r == 0)
		r = wait_for_end(&child, timeout_ms);
	if (r == 0 && output) {
		ssize_t n = pread(out, output, output_bytes - 1, 0);
		r = n < 0 ? -errno : 0;
		output[n < 0 ? 0 : n] = 0;
	}
	input_close(in, input_bytes);
	if (out >= 0)
		close(out);
	if (r < 0)
		log_warn("child_failed", "program=%s error=%s", argv[0], strerror(-r));
	return r;
}

/*
 * client_voice: see the header. Lines on the pipe: a letter (P progress, E error, X exit status), a
 * text.
 */
#include "client/client_voice.h"

#include "client/client_exit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent's side. */
struct relay {
	int pipe_fd, signal_fd;
	pid_t pid;
	char line[2 * CLIENT_TEXT_BYTES];
	size_t n;
	bool is_interrupted, is_ended;
	int status;
};

static void
take_line(struct relay *relay, const char *line)
{
	if (line[0] == 'P') {
		printf("%s\n", line + 1);
		fflush(stdout);
	} else if (line[0] == 'E') {
		client_complain("%s", line + 1);
	} else if (line[0] == 'X') {
		relay->status = atoi(line + 1);
		relay->is_ended = true;
	}
}

/* False at the end of the pipe. */
static bool
take_bytes(struct relay *relay)
{
	ssize_t got =
		read(relay->pipe_fd, relay->line + relay->n, sizeof relay->line - 1 - relay->n);
	char *end;

	if (got <= 0)
		return got < 0 && errno == EINTR;
	relay->n += (size_t)got;
	relay->line[relay->n] = '\0';
	while ((end = strchr(relay->line, '\n')) != NULL && !relay->is_ended) {
		*end = '\0';
		take_line(relay, relay->line);
		relay->n -= (size_t)(end + 1 - relay->line);
		memmove(relay->line, end + 1, relay->n + 1);
	}
	/* No line of ours is as long as the buffer. */
	return relay->n + 1 < sizeof relay->line;
}

static void
pass_signal_on(struct relay *relay)
{
	struct signalfd_siginfo info;

	if (read(relay->signal_fd, &info, sizeof info) != sizeof info)
		return;
	relay->is_interrupted = true;
	kill(relay->pid, (int)info.ssi_signo);
}

static int
be_parent(struct relay *relay)
{
	struct pollfd fds[2] = { { .fd = relay->pipe_fd, .events = POLLIN },
				 { .fd = relay->signal_fd, .events = POLLIN } };

	while (!relay->is_ended) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents != 0)
			pass_signal_on(relay);
		if (fds[0].revents != 0 && !take_bytes(relay))
			break;
	}
	if (!relay->is_ended) {
		client_complain("the background process %d ended unexpectedly; see client.log in "
				"its state folder",
				(int)relay->pid);
		relay->status = relay->is_interrupted ? EXIT_INTERRUPTED : EXIT_DEFECT;
	}
	/* When the start failed, only after everything was put back. */
	if (relay->status != 0)
		waitpid(relay->pid, NULL, 0);
	return relay->status;
}

static int
be_child(const char *log_path)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log_fd = open(log_path,
			  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (null_fd < 0 || log_fd < 0 || setsid() < 0 || chdir("/") < 0)
		return -errno;
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0)
		return -errno;
	close(null_fd);
	close(log_fd);
	return 1;
}

/* Blocked from before the fork on, so that none is lost between the two. */
static int
open_signals(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	int fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int
client_voice_split(struct client_voice *voice, const char *log_path, int *ret_status)
{
	struct relay relay = { .signal_fd = open_signals() };
	int fds[2];

	if (relay.signal_fd < 0)
		return relay.signal_fd;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	relay.pid = fork();
	if (relay.pid < 0) {
		int r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (relay.pid > 0) {
		close(fds[1]);
		relay.pipe_fd = fds[0];
		*ret_status = be_parent(&relay);
		return 0;
	}
	close(fds[0]);
	close(relay.signal_fd);
	*voice = (struct client_voice){ .fd = fds[1] };
	int r = be_child(log_path);
	if (r < 0) {
		client_say_error(voice, "cannot go into the background: %s", strerror(-r));
		client_voice_end(voice, EXIT_CANNOT_CREATE);
		_exit(EXIT_CANNOT_CREATE);
	}
	return r;
}

static void line(struct client_voice *voice, char letter, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

static void
line(struct client_voice *voice, char letter, const char *format, va_list arguments)
{
	char text[2 * CLIENT_TEXT_BYTES];

	text[0] = letter;
	vsnprintf(text + 1, sizeof text - 2, format, arguments);
	if (voice->is_foreground) {
		if (letter == 'P')
			printf("%s\n", text + 1);
		else
			client_complain("%s", text + 1);
		fflush(stdout);
		return;
	}
	size_t n = strlen(text);
	text[n++] = '\n';
	/* Nobody listens any more: the log has it. */
	if (voice->fd < 0 || write(voice->fd, text, n) < 0)
		fprintf(stderr, "%.*s", (int)n - 1, text + 1);
}

void
client_say(struct client_voice *voice, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line(voice, 'P', format, arguments);
	va_end(arguments);
}

void
client_say_error(struct client_voice *voice, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line(voice, 'E', format, arguments);
	va_end(arguments);
}

void
client_voice_end(struct client_voice *voice, int status)
{
	char text[16];

	if (voice->fd < 0)
		return;
	int n = snprintf(text, sizeof text, "X%d\n", status);
	if (write(voice->fd, text, (size_t)n) < 0)
		fprintf(stderr, "higgs: status %d went unheard\n", status);
	close(voice->fd);
	voice->fd = -1;
}

/*
 * client_voice: see the header. Lines on the pipe: a letter (P progress, E error, X exit status), a
 * text.
 */
#include "client/client_voice.h"

#include "client/client_exit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signal_wanted;
static volatile sig_atomic_t background_pid;

static void
on_signal(int number)
{
	signal_wanted = number;
	kill((pid_t)background_pid, number);
}

static int
relay_lines(int fd, pid_t pid)
{
	char line[2 * CLIENT_TEXT_BYTES];
	FILE *lines = fdopen(fd, "r");
	int status = -1;

	if (lines == NULL)
		return EXIT_SYSTEM;
	while (status < 0 && fgets(line, sizeof line, lines) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == 'P') {
			printf("%s\n", line + 1);
			fflush(stdout);
		} else if (line[0] == 'E') {
			client_complain("%s", line + 1);
		} else if (line[0] == 'X') {
			status = atoi(line + 1);
		}
	}
	fclose(lines);
	if (status >= 0)
		return status;
	client_complain("the background process %d ended unexpectedly; see its log", (int)pid);
	return signal_wanted != 0 ? EXIT_INTERRUPTED : EXIT_DEFECT;
}

static int
be_parent(pid_t pid, int fd)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	background_pid = pid;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	int status = relay_lines(fd, pid);
	/* When the start failed, only after everything was put back. */
	if (status != 0)
		waitpid(pid, NULL, 0);
	return status;
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

int
client_voice_split(struct client_voice *voice, const char *log_path, int *ret_status)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		int r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid > 0) {
		close(fds[1]);
		*ret_status = be_parent(pid, fds[0]);
		return 0;
	}
	close(fds[0]);
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

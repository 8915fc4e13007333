/*
 * log: see log.h. Every thread writes through one mutex that is never held across anything that
 * waits.
 *
 * O_NONBLOCK belongs to the open file description, which stderr shares with our parent's terminal
 * or with other daemons, so it is never set on descriptor 2. A pipe or terminal is opened once
 * more for ourselves instead; a socket (journald) is sent to with MSG_DONTWAIT; a file does not
 * block. Where opening fails, we ask poll first.
 */
#include "log/log.h"

#include "log/log_value.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const LEVEL_NAMES[] = { "error", "warn", "info", "debug" };

static _Atomic(const char *) process_service = "boson";
static _Thread_local const char *thread_service;
static atomic_int threshold = LOG_LEVEL_INFO;
static _Atomic(uint64_t) lost;

/* What stderr was when we last looked, and our own way to it. */
static pthread_mutex_t sink_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool known;
	dev_t device;
	ino_t inode;
	mode_t type;
	int fd; /* opened by us, or -1 */
} sink = { .fd = -1 };

void
log_init(const char *service, enum log_level level)
{
	atomic_store(&process_service, service);
	atomic_store(&threshold, (int)level);
}

void
log_set_service(const char *service)
{
	thread_service = service;
}

enum log_level
log_get_level(void)
{
	return (enum log_level)atomic_load(&threshold);
}

int
log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(LEVEL_NAMES) / sizeof(LEVEL_NAMES[0]); i++) {
		if (text && strcmp(text, LEVEL_NAMES[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

uint64_t
log_lost_count(void)
{
	return atomic_load(&lost);
}

/* Looks anew when somebody put another file in stderr's place. */
static void
sink_refresh(void)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0)
		status = (struct stat){ 0 };
	if (sink.known && sink.device == status.st_dev && sink.inode == status.st_ino)
		return;
	if (sink.fd >= 0)
		close(sink.fd);
	sink.known = true;
	sink.device = status.st_dev;
	sink.inode = status.st_ino;
	sink.type = status.st_mode & S_IFMT;
	sink.fd = -1;
	if (sink.type == S_IFIFO || sink.type == S_IFCHR)
		sink.fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool
stderr_is_writable(void)
{
	struct pollfd ask = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&ask, 1, 0) == 1 && (ask.revents & POLLOUT);
}

static ssize_t
sink_write(const char *bytes, size_t n)
{
	if (sink.type == S_IFSOCK)
		return send(STDERR_FILENO, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sink.fd >= 0)
		return write(sink.fd, bytes, n);
	if (sink.type == S_IFREG || stderr_is_writable())
		return write(STDERR_FILENO, bytes, n);
	return -1;
}

static void
write_line(const char *bytes, size_t n)
{
	pthread_mutex_lock(&sink_mutex);
	sink_refresh();
	ssize_t written = sink_write(bytes, n);
	pthread_mutex_unlock(&sink_mutex);
	if (written != (ssize_t)n)
		atomic_fetch_add(&lost, 1);
}

void
log_write(enum log_level level, const char *event, const char *format, ...)
{
	int saved_errno = errno;
	struct log_text text = { .n = 0 };
	va_list args;

	if ((int)level > atomic_load(&threshold) || level > LOG_LEVEL_DEBUG)
		return;
	log_text_add(&text, LEVEL_NAMES[level]);
	log_text_add(&text, " ");
	log_text_add(&text, thread_service ? thread_service : atomic_load(&process_service));
	log_text_add(&text, " ");
	log_text_add(&text, event);
	if (format && *format) {
		log_text_add(&text, " ");
		va_start(args, format);
		errno = saved_errno;
		log_text_add_format(&text, format, args);
		va_end(args);
	}
	if (text.n > sizeof(text.bytes) - 2)
		text.n = sizeof(text.bytes) - 2;
	text.bytes[text.n++] = '\n';
	write_line(text.bytes, text.n);
	errno = saved_errno;
}

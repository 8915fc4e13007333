/*
 * client_control: see the header. A socket's path may have 107 bytes only, a folder's more: both
 * sides reach it through a descriptor of the folder.
 */
#include "client/client_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASKERS_MAX = 8, COMMAND_BYTES = 64, ASK_TIMEOUT_SEC = 15 };

#define SOCKET_NAME "control.sock"

struct asker {
	struct client_control *control;
	struct loop_fd *watch;
	int fd; /* -1: free */
	char command[COMMAND_BYTES];
	size_t n;
	bool has_asked;
};

struct client_control {
	struct loop *loop;
	struct loop_fd *watch;
	int fd, folder_fd;
	client_control_fn fn;
	void *arg;
	struct asker askers[ASKERS_MAX];
};

static void
address_in(int folder_fd, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/" SOCKET_NAME, folder_fd);
}

static void
asker_close(struct asker *asker)
{
	loop_fd_remove(&asker->watch);
	if (asker->fd >= 0)
		close(asker->fd);
	asker->fd = -1;
}

static void
asker_answer(struct asker *asker, const char *answer, size_t n)
{
	/* An answer fits a socket's buffer; who does not read it does without. */
	if (send(asker->fd, answer, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		asker->n = 0;
	asker_close(asker);
}

static void
on_asker(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct asker *asker = arg;
	char answer[CONTROL_ANSWER_BYTES];

	(void)loop;
	(void)events;
	ssize_t got = read(fd, asker->command + asker->n, sizeof asker->command - 1 - asker->n);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || asker->has_asked) {
		asker_close(asker);
		return;
	}
	asker->n += (size_t)got;
	asker->command[asker->n] = '\0';
	char *end = strchr(asker->command, '\n');
	if (end == NULL) {
		if (asker->n + 1 == sizeof asker->command)
			asker_close(asker);
		return;
	}
	*end = '\0';
	asker->has_asked = true;
	size_t n = asker->control->fn(asker->command, answer, sizeof answer, asker->control->arg);
	if (n > 0)
		asker_answer(asker, answer, n);
}

static bool
is_allowed(int fd)
{
	struct ucred who;
	socklen_t n = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void
on_connection(struct loop *loop, int listener, uint32_t events, void *arg)
{
	struct client_control *control = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	for (size_t i = 0; i < ASKERS_MAX && is_allowed(fd); i++) {
		struct asker *asker = &control->askers[i];
		if (asker->fd >= 0)
			continue;
		*asker = (struct asker){ .control = control, .fd = fd };
		if (loop_fd_add(loop, fd, EPOLLIN, on_asker, asker, &asker->watch) < 0)
			asker_close(asker);
		return;
	}
	close(fd);
}

static int
listen_in(struct client_control *control, const char *folder)
{
	struct sockaddr_un address;

	control->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->folder_fd < 0 || control->fd < 0)
		return -errno;
	/* The lock is ours: what lies there is of one that was killed. */
	unlinkat(control->folder_fd, SOCKET_NAME, 0);
	address_in(control->folder_fd, &address);
	mode_t before = umask(0177);
	int r = bind(control->fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno
											 : 0;
	umask(before);
	if (r == 0 && listen(control->fd, ASKERS_MAX) < 0)
		r = -errno;
	return r;
}

int
client_control_new(struct loop *loop, const char *folder, client_control_fn fn, void *arg,
		   struct client_control **ret)
{
	struct client_control *control = calloc(1, sizeof *control);

	if (control == NULL)
		return -ENOMEM;
	control->loop = loop;
	control->fn = fn;
	control->arg = arg;
	for (size_t i = 0; i < ASKERS_MAX; i++)
		control->askers[i].fd = -1;
	int r = listen_in(control, folder);
	if (r == 0)
		r = loop_fd_add(loop, control->fd, EPOLLIN, on_connection, control,
				&control->watch);
	if (r < 0) {
		client_control_free(&control);
		return r;
	}
	*ret = control;
	return 0;
}

void
client_control_answer(struct client_control *control, const char *answer)
{
	for (size_t i = 0; i < ASKERS_MAX; i++)
		if (control->askers[i].fd >= 0 && control->askers[i].has_asked)
			asker_answer(&control->askers[i], answer, strlen(answer));
}

void
client_control_free(struct client_control **control_pointer)
{
	struct client_control *control = *control_pointer;

	if (control == NULL)
		return;
	*control_pointer = NULL;
	for (size_t i = 0; i < ASKERS_MAX; i++)
		if (control->askers[i].fd >= 0)
			asker_close(&control->askers[i]);
	loop_fd_remove(&control->watch);
	if (control->fd >= 0)
		close(control->fd);
	if (control->folder_fd >= 0) {
		unlinkat(control->folder_fd, SOCKET_NAME, 0);
		close(control->folder_fd);
	}
	free(control);
}

static int
read_answer(int fd, char *ret_answer, size_t capacity)
{
	size_t n = 0;

	while (n + 1 < capacity) {
		ssize_t got = recv(fd, ret_answer + n, capacity - 1 - n, 0);
		if (got < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
		if (got == 0) {
			ret_answer[n] = '\0';
			return n > 0 ? 0 : -EBADMSG;
		}
		n += (size_t)got;
	}
	return -EBADMSG;
}

static int
ask(int fd, int folder_fd, const char *command, char *ret_answer, size_t capacity)
{
	const struct timeval timeout = { .tv_sec = ASK_TIMEOUT_SEC };
	struct sockaddr_un address;
	char line[COMMAND_BYTES];
	struct stat st;

	if (fstatat(folder_fd, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	address_in(folder_fd, &address);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return errno == ECONNREFUSED ? -ENOENT : -errno;
	int n = snprintf(line, sizeof line, "%s\n", command);
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0)
		return -errno;
	return read_answer(fd, ret_answer, capacity);
}

int
client_control_ask(const char *folder, const char *command, char *ret_answer, size_t capacity)
{
	int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder_fd < 0)
		return -errno;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : ask(fd, folder_fd, command, ret_answer, capacity);
	if (fd >= 0)
		close(fd);
	close(folder_fd);
	return r;
}

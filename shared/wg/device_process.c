/*
 * device_process: see device_process.h. A process is ready when its interface is there and its
 * socket, where `wg` speaks to it, takes a connection. At the start this is waited for; after a
 * death in service a timer looks, and the loop goes on.
 */
#include "wg/device_process.h"

#include "log/log.h"
#include "loop/backoff.h"
#include "wg/device_buffers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	PROCESS_READY_TIMEOUT_MS = 5000,
	PROCESS_LEAVE_TIMEOUT_MS = 1000,
	PROCESS_LOOK_MS = 5,
	PROCESS_WIDEN_MS = 50,
	PROCESS_RETRY_MIN_MS = 100,
	PROCESS_RETRY_MAX_MS = 5000,
};

static void
process_socket_address(const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof ret->sun_path, "/var/run/wireguard/%s.sock", name);
}

/* A connection to the process that serves this interface, or -errno. */
static int
process_connect(const char *name)
{
	struct sockaddr_un address;
	process_socket_address(name, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static bool
process_is_ready(const struct device *device)
{
	struct link link;
	if (link_find(device->name, &link) < 0)
		return false;
	int fd = process_connect(device->name);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* What a killed process leaves in the file system. */
static void
process_socket_remove(const char *name)
{
	struct sockaddr_un address;
	process_socket_address(name, &address);
	unlink(address.sun_path);
}

static int
process_find(const char *name)
{
	struct ucred peer;
	socklen_t n = sizeof peer;
	int fd = process_connect(name);
	if (fd < 0)
		return fd;
	int pidfd = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0
			    ? pidfd_open(peer.pid, 0)
			    : -1;
	close(fd);
	return pidfd;
}

int
device_process_remove_leftover(const char *name, uint32_t index)
{
	int pidfd = process_find(name); /* before its interface, and so itself, is gone */
	int r = link_delete(index);
	if (r < 0 && r != -ENODEV) {
		if (pidfd >= 0)
			close(pidfd);
		return r;
	}
	if (pidfd >= 0) {
		struct pollfd end = { .fd = pidfd, .events = POLLIN };
		if (poll(&end, 1, PROCESS_LEAVE_TIMEOUT_MS) == 0)
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		close(pidfd);
	}
	process_socket_remove(name);
	return 0;
}

/* It opens its sockets when it hears that its interface is up: at once, or a little later. */
static void
on_widen(struct loop *loop, void *arg)
{
	struct device *device = arg;
	int pidfd = process_find(device->name);
	int r = pidfd < 0 ? -ESRCH : device_buffers_widen(pidfd);
	if (pidfd >= 0)
		close(pidfd);
	if (r == 0 && loop_now_ms(loop) < device->widen_by_ms)
		return;
	if (r <= 0)
		log_warn("device_buffers_small", "interface=%s error=%s", device->name,
			 r < 0 ? strerror(-r) : "no socket");
	loop_timer_stop(&device->widen);
}

static int
process_widen(struct device *device)
{
	device->widen_by_ms = loop_now_ms(device->loop) + PROCESS_READY_TIMEOUT_MS;
	loop_timer_stop(&device->widen);
	return loop_timer_start(device->loop, 0, PROCESS_WIDEN_MS, on_widen, device,
				&device->widen);
}

static int
process_spawn(struct device *device)
{
	const char *argv[] = { device->command, "-f", device->name, NULL };
	return child_start(argv, -1, -1, &device->process);
}

static void process_retry(struct device *device);

static void
on_process_end(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	(void)events;
	struct device *device = arg;
	int status = child_reap(&device->process);
	if (status == -EAGAIN)
		return;
	loop_fd_remove(&device->process_watch);
	loop_timer_stop(&device->widen);
	log_error("device_process_died", "interface=%s program=%s status=%d", device->name,
		  device->command, status);
	process_retry(device);
}

static int
process_watch(struct device *device)
{
	return loop_fd_add(device->loop, device->process.pidfd, EPOLLIN, on_process_end, device,
			   &device->process_watch);
}

int
device_process_start(struct device *device)
{
	int r = process_spawn(device);
	if (r < 0)
		return r;
	int waited_ms = 0;
	while (!process_is_ready(device)) {
		struct pollfd end = { .fd = device->process.pidfd, .events = POLLIN };
		if (poll(&end, 1, PROCESS_LOOK_MS) > 0)
			return -EIO;
		waited_ms += PROCESS_LOOK_MS;
		if (waited_ms >= PROCESS_READY_TIMEOUT_MS)
			return -ETIME;
	}
	r = device_configure(device);
	if (r == 0)
		r = process_widen(device);
	return r < 0 ? r : process_watch(device);
}

void
device_process_stop(struct device *device)
{
	loop_timer_stop(&device->timer);
	loop_timer_stop(&device->widen);
	loop_fd_remove(&device->process_watch);
	if (device->process.pid) {
		child_kill(&device->process);
		process_socket_remove(device->name);
	}
}

static void
process_given_up(struct device *device, const char *reason)
{
	log_error("device_process_not_started", "interface=%s program=%s reason=%s", device->name,
		  device->command, reason);
	loop_fd_remove(&device->process_watch);
	child_kill(&device->process);
	if (device->on_restart)
		device->on_restart(false, device->arg);
	process_retry(device);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct device *device = arg;
	if (!process_is_ready(device)) {
		if (loop_now_ms(loop) < device->ready_by_ms)
			return;
		loop_timer_stop(&device->timer);
		process_given_up(device, "silent");
		return;
	}
	loop_timer_stop(&device->timer);
	int r = device_configure(device);
	if (r == 0)
		r = process_widen(device);
	if (r < 0) {
		process_given_up(device, strerror(-r));
		return;
	}
	device->failures = 0;
	log_info("device_process_restarted", "interface=%s", device->name);
	if (device->on_restart)
		device->on_restart(true, device->arg);
}

static void
on_retry(struct loop *loop, void *arg)
{
	struct device *device = arg;
	struct link link;
	device->timer = NULL;
	/* What died may have been only the wrapper of a process that still holds the interface. */
	if (link_find(device->name, &link) == 0)
		device_process_remove_leftover(device->name, link.index);
	int r = process_spawn(device);
	if (r == 0)
		r = process_watch(device);
	if (r == 0)
		r = loop_timer_start(loop, PROCESS_LOOK_MS, PROCESS_LOOK_MS, on_look, device,
				     &device->timer);
	if (r < 0)
		process_given_up(device, strerror(-r));
	device->ready_by_ms = loop_now_ms(loop) + PROCESS_READY_TIMEOUT_MS;
}

static void
process_retry(struct device *device)
{
	int64_t delay_ms =
		backoff_ms(PROCESS_RETRY_MIN_MS, PROCESS_RETRY_MAX_MS, device->failures++);

	loop_timer_stop(&device->timer);
	if (loop_timer_start(device->loop, delay_ms, 0, on_retry, device, &device->timer) < 0)
		log_error("device_process_lost", "interface=%s reason=memory", device->name);
}

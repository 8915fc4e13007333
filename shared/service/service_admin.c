/* HTTP for probes and scrapers. See service_admin.h. */
#include "service/service_admin.h"

#include "log/log.h"
#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 64,
	CONNECTION_MEMORY_BYTES = 16 * 1024,
	IDLE_SEC = 10,
	TICK_MS = 1000,
	BACKLOG = 128,
	ADDRESS_BYTES = 300,
};

/* libmicrohttpd's own timeout begins anew with each byte; this one does not. */
struct guest {
	int fd; /* -1: free place */
	int64_t deadline_ms;
};

struct service_admin {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_fd *watch;
	struct loop_timer *tick;
	const struct service_admin_route *routes;
	void *arg;
	int64_t deadline_ms;
	uint16_t port;
	struct guest guests[CONNECTIONS_MAX];
};

static const char method_not_allowed[] = "{\"error\":\"only GET and HEAD\"}\n";
static const char not_found[] = "{\"error\":\"not here\"}\n";
static const char no_memory[] = "{\"error\":\"out of memory\"}\n";

static enum MHD_Result
respond(struct MHD_Connection *connection, int status, const char *type, void *body, size_t n,
	enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(n, body, mode);
	enum MHD_Result result;

	if (response == NULL) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
respond_fixed(struct MHD_Connection *connection, int status, const char *text)
{
	return respond(connection, status, "application/json", (void *)(uintptr_t)text,
		       strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result
respond_route(struct service_admin *admin, struct MHD_Connection *connection, const char *path)
{
	const struct service_admin_route *route = admin->routes;
	char *body = NULL;
	size_t n = 0;
	int status;

	while (route->path != NULL && strcmp(route->path, path) != 0)
		route++;
	if (route->path == NULL)
		return respond_fixed(connection, MHD_HTTP_NOT_FOUND, not_found);
	status = route->answer(admin->arg, &body, &n);
	if (body == NULL)
		return respond_fixed(connection, MHD_HTTP_SERVICE_UNAVAILABLE, no_memory);
	return respond(connection, status, route->content_type, body, n, MHD_RESPMEM_MUST_FREE);
}

/* Called first when the headers are there, then again: an answer in the first call would end the
 * connection before a body, if there is one, was read. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *body, size_t *body_n, void **request)
{
	static char seen;

	(void)version;
	(void)body;
	if (*request == NULL) {
		*request = &seen;
		return MHD_YES;
	}
	if (*body_n > 0) { /* thrown away, within the deadline */
		*body_n = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return respond_fixed(connection, MHD_HTTP_METHOD_NOT_ALLOWED, method_not_allowed);
	return respond_route(arg, connection, url);
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context,
	      enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct service_admin *admin = arg;
	struct guest *guest = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (guest != NULL)
			guest->fd = -1;
		return;
	}
	for (size_t i = 0; i < CONNECTIONS_MAX && info != NULL; i++)
		if (admin->guests[i].fd < 0) {
			guest = &admin->guests[i];
			guest->fd = info->connect_fd;
			guest->deadline_ms = clock_monotonic_ms() + admin->deadline_ms;
			*context = guest;
			return;
		}
}

static void
run_daemon(struct loop *loop, void *arg)
{
	struct service_admin *admin = arg;
	MHD_UNSIGNED_LONG_LONG wait_ms = 1;

	(void)loop;
	if (admin->daemon == NULL)
		return;
	MHD_run(admin->daemon);
	/* what it has read but not handled yet makes no descriptor ready */
	if (MHD_get_timeout(admin->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
		MHD_run(admin->daemon);
}

static void
on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)fd;
	(void)events;
	run_daemon(loop, arg);
}

static void
on_tick(struct loop *loop, void *arg)
{
	struct service_admin *admin = arg;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (admin->guests[i].fd >= 0 && admin->guests[i].deadline_ms < loop_now_ms(loop))
			shutdown(admin->guests[i].fd, SHUT_RDWR);
	run_daemon(loop, admin);
}

/* The address as it really is: port 0 has become a number, which is returned. */
static uint16_t
log_address(int fd)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof(address);
	char host[INET6_ADDRSTRLEN + 16], port[8];

	if (getsockname(fd, (struct sockaddr *)&address, &n) < 0 ||
	    getnameinfo((struct sockaddr *)&address, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return 0;
	log_info("admin_listening", "address=%s port=%s", host, port);
	if (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0)
		log_warn("admin_not_loopback", "address=%s", host);
	return (uint16_t)strtoul(port, NULL, 10);
}

static int
bind_address(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int
open_listener(const char *host, uint16_t port, int *ret_fd, char *ret_error, size_t error_bytes)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *addresses = NULL;
	char service[8];
	int result, fd;

	snprintf(service, sizeof(service), "%u", port);
	result = getaddrinfo(host, service, &hints, &addresses);
	if (result != 0) {
		snprintf(ret_error, error_bytes, "admin address %s:%u: %s", host, port,
			 gai_strerror(result));
		return EX_OSERR;
	}
	fd = bind_address(addresses);
	freeaddrinfo(addresses);
	if (fd < 0) {
		snprintf(ret_error, error_bytes, "admin address %s:%u: %s", host, port,
			 strerror(-fd));
		return EX_OSERR;
	}
	*ret_fd = fd;
	return EX_OK;
}

static int
start_daemon(struct service_admin *admin, int listen_fd)
{
	const union MHD_DaemonInfo *info;

	admin->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, admin, MHD_OPTION_LISTEN_SOCKET,
		listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SEC,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, admin, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
	if (admin->daemon == NULL)
		return -ENOMEM;
	info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return -EINVAL;
	if (loop_fd_add(admin->loop, info->epoll_fd, EPOLLIN, on_readable, admin, &admin->watch) <
	    0)
		return -ENOMEM;
	return loop_timer_start(admin->loop, TICK_MS, TICK_MS, on_tick, admin, &admin->tick);
}

int
service_admin_new(struct loop *loop, const char *host, uint16_t port,
		  const struct service_admin_route *routes, int64_t deadline_ms, void *arg,
		  struct service_admin **ret, char *ret_error, size_t error_bytes)
{
	struct service_admin *admin;
	int fd = -1;
	int result = open_listener(host, port, &fd, ret_error, error_bytes);

	if (result != EX_OK)
		return result;
	admin = calloc(1, sizeof(*admin));
	if (admin == NULL) {
		close(fd);
		snprintf(ret_error, error_bytes, "out of memory");
		return EX_OSERR;
	}
	admin->loop = loop;
	admin->routes = routes;
	admin->arg = arg;
	admin->deadline_ms = deadline_ms;
	admin->port = log_address(fd);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		admin->guests[i].fd = -1;
	result = start_daemon(admin, fd);
	if (result < 0) {
		if (admin->daemon == NULL)
			close(fd); /* the daemon closes it otherwise */
		service_admin_free(&admin);
		snprintf(ret_error, error_bytes, "admin address %s:%u: the HTTP server: %s", host,
			 port, strerror(-result));
		return EX_OSERR;
	}
	*ret = admin;
	return EX_OK;
}

uint16_t
service_admin_port(const struct service_admin *admin)
{
	return admin->port;
}

void
service_admin_free(struct service_admin **admin)
{
	if (*admin == NULL)
		return;
	loop_timer_stop(&(*admin)->tick);
	if ((*admin)->watch != NULL)
		loop_fd_remove(&(*admin)->watch);
	if ((*admin)->daemon != NULL)
		MHD_stop_daemon((*admin)->daemon);
	free(*admin);
	*admin = NULL;
}

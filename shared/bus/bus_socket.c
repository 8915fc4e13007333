/*
 * bus_socket: see bus_socket.h.
 */
#include "bus/bus_socket.h"

#include "bus/bus_inside.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	OPTION_ENFORCE_DOMAIN = 93, /* ZMQ_ZAP_ENFORCE_DOMAIN: in the library, not in its header */
	SOCKET_ANY = -1,
	CURVE_OVERHEAD_BYTES = 64,
	BIND_AGAIN_MS = 10,
	BIND_TRIES = 30,
};

/* The limits of every socket of the bus. */
static const struct {
	int socket; /* type, or any */
	int option;
	int value;
} LIMITS[] = {
	{ SOCKET_ANY, ZMQ_SNDHWM, BUS_HWM_MESSAGES },
	{ SOCKET_ANY, ZMQ_RCVHWM, BUS_HWM_MESSAGES },
	{ SOCKET_ANY, ZMQ_LINGER, BUS_LINGER_MS },
	{ SOCKET_ANY, ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_MS },
	{ SOCKET_ANY, ZMQ_HEARTBEAT_IVL, BUS_HEARTBEAT_MS },
	{ SOCKET_ANY, ZMQ_HEARTBEAT_TIMEOUT, BUS_HEARTBEAT_LOST_MS },
	{ SOCKET_ANY, ZMQ_HEARTBEAT_TTL, BUS_HEARTBEAT_LOST_MS },
	{ SOCKET_ANY, ZMQ_CONNECT_TIMEOUT, BUS_CONNECT_MS },
	{ SOCKET_ANY, ZMQ_RECONNECT_IVL, BUS_RECONNECT_MS },
	{ SOCKET_ANY, ZMQ_RECONNECT_IVL_MAX, BUS_RECONNECT_MAX_MS },
	{ SOCKET_ANY, ZMQ_IPV6, 1 },
	{ ZMQ_ROUTER, ZMQ_ROUTER_MANDATORY, 1 }, /* a reply to nobody is an error, not silence */
	{ ZMQ_DEALER, ZMQ_IMMEDIATE, 1 },	 /* no queue for one who is not there */
	{ ZMQ_XPUB, ZMQ_XPUB_VERBOSE, 1 },	 /* each new subscriber gets its hello */
};

/* Per frame, as encrypted. */
static const int64_t MESSAGE_MAX_BYTES =
	BUS_MESSAGE_MAX_BYTES + BUS_HEAD_MAX_BYTES + BUS_JOIN_BYTES + CURVE_OVERHEAD_BYTES;

int
bus_transport_of(const char *endpoint, enum bus_transport *ret)
{
	if (strlen(endpoint) >= BUS_ENDPOINT_BYTES)
		return -EINVAL;
	if (strncmp(endpoint, "inproc://", 9) == 0 && endpoint[9])
		*ret = BUS_INPROC;
	else if (strncmp(endpoint, "ipc:///", 7) == 0 && endpoint[7])
		*ret = BUS_IPC;
	else if (strncmp(endpoint, "tcp://", 6) == 0 && endpoint[6])
		*ret = BUS_TCP;
	else
		return -EINVAL;
	return 0;
}

static int
set_limits(void *handle, int type)
{
	if (zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &MESSAGE_MAX_BYTES, sizeof(MESSAGE_MAX_BYTES)) <
	    0)
		return -errno;
	for (size_t i = 0; i < sizeof(LIMITS) / sizeof(LIMITS[0]); i++) {
		if (LIMITS[i].socket != SOCKET_ANY && LIMITS[i].socket != type)
			continue;
		if (zmq_setsockopt(handle, LIMITS[i].option, &LIMITS[i].value,
				   sizeof(LIMITS[i].value)) < 0)
			return -errno;
	}
	return 0;
}

static int
set_text(void *handle, int option, const char *text)
{
	return zmq_setsockopt(handle, option, text, strlen(text)) < 0 ? -errno : 0;
}

/* Fails where the library cannot be made to refuse everybody while nobody answers for the list. */
static int
set_curve_server(const struct bus *bus, void *handle)
{
	int one = 1, enforced = 0;
	size_t n = sizeof(enforced);
	int r;

	if (zmq_setsockopt(handle, ZMQ_CURVE_SERVER, &one, sizeof(one)) < 0)
		return -errno;
	r = set_text(handle, ZMQ_CURVE_SECRETKEY, bus->secret_key);
	if (r == 0)
		r = set_text(handle, ZMQ_ZAP_DOMAIN, bus->zap_domain);
	if (r < 0)
		return r;
	if (zmq_setsockopt(handle, OPTION_ENFORCE_DOMAIN, &one, sizeof(one)) < 0 ||
	    zmq_getsockopt(handle, OPTION_ENFORCE_DOMAIN, &enforced, &n) < 0 || !enforced) {
		log_error("bus_bind_refused", "reason=%s", "libzmq cannot enforce the allow-list");
		return -EPERM;
	}
	return 0;
}

static int
set_curve_client(const struct bus *bus, void *handle, const char *server_key)
{
	int r;

	if (!server_key || strlen(server_key) != BUS_KEY_TEXT_BYTES - 1)
		return -EINVAL;
	r = set_text(handle, ZMQ_CURVE_SERVERKEY, server_key);
	if (r == 0)
		r = set_text(handle, ZMQ_CURVE_PUBLICKEY, bus->public_key);
	if (r == 0)
		r = set_text(handle, ZMQ_CURVE_SECRETKEY, bus->secret_key);
	return r;
}

/* Whoever can reach an ipc socket is trusted, so only we may. (B60) */
static int
own_folder(const char *folder)
{
	struct stat status;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(folder, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077)) {
		log_error("bus_bind_refused", "reason=%s folder=%s owner=%u mode=%04o",
			  "folder must be ours and 0700", folder, (unsigned)status.st_uid,
			  (unsigned)status.st_mode & 07777);
		return -EPERM;
	}
	return 0;
}

/* libzmq unlinks the path before it binds, and would silently take a running server's place. */
static int
is_served(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	int served = r == 0 || errno == EAGAIN;
	close(fd);
	return served;
}

static int
prepare_ipc(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[BUS_ENDPOINT_BYTES];
	const char *slash = strrchr(path, '/');

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	int r = own_folder(folder);
	if (r < 0)
		return r;
	r = is_served(&address);
	return r > 0 ? -EADDRINUSE : r;
}

static int
prepare(struct bus *bus, int type, const char *endpoint, enum bus_transport *ret_transport,
	zsock_t **ret)
{
	int r = bus_transport_of(endpoint, ret_transport);

	if (r < 0)
		return r;
	if (*ret_transport == BUS_TCP && !bus->has_security) {
		log_error("bus_refused", "reason=%s endpoint=%s", "tcp without keys", endpoint);
		return -EPERM;
	}
	zsock_t *socket = zsock_new(type);
	if (!socket)
		return -ENOMEM;
	r = set_limits(zsock_resolve(socket), type);
	if (r < 0) {
		zsock_destroy(&socket);
		return r;
	}
	*ret = socket;
	return 0;
}

static void
note_endpoint(struct bus *bus, void *handle)
{
	size_t n = sizeof(bus->bound_endpoint);

	if (zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, bus->bound_endpoint, &n) < 0)
		bus->bound_endpoint[0] = '\0';
}

static int
bind_once(void *handle, enum bus_transport transport, const char *endpoint)
{
	int r = transport == BUS_IPC ? prepare_ipc(endpoint + strlen("ipc://")) : 0;

	if (r == 0 && zmq_bind(handle, endpoint) < 0)
		r = -errno;
	return r;
}

/* The kernel closes what a killed process had open one after the other, and its successor may be
 * faster. At start only, so it may wait. */
static int
bind_patiently(void *handle, enum bus_transport transport, const char *endpoint)
{
	const struct timespec pause = { .tv_nsec = BIND_AGAIN_MS * 1000 * 1000 };
	int r = bind_once(handle, transport, endpoint);

	for (int i = 0; r == -EADDRINUSE && transport != BUS_INPROC && i < BIND_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		r = bind_once(handle, transport, endpoint);
	}
	return r;
}

int
bus_socket_bind(struct bus *bus, int type, const char *endpoint, zsock_t **ret)
{
	enum bus_transport transport;
	zsock_t *socket = NULL;
	int r = prepare(bus, type, endpoint, &transport, &socket);

	if (r < 0)
		return r;
	void *handle = zsock_resolve(socket);
	if (transport == BUS_TCP)
		r = set_curve_server(bus, handle);
	if (r == 0)
		r = bind_patiently(handle, transport, endpoint);
	if (r < 0) {
		zsock_destroy(&socket);
		return r;
	}
	note_endpoint(bus, handle);
	*ret = socket;
	return 0;
}

int
bus_socket_for_client(struct bus *bus, int type, const char *endpoint, const char *server_key,
		      zsock_t **ret)
{
	enum bus_transport transport;
	zsock_t *socket = NULL;
	int r = prepare(bus, type, endpoint, &transport, &socket);

	if (r < 0)
		return r;
	if (transport == BUS_TCP)
		r = set_curve_client(bus, zsock_resolve(socket), server_key);
	if (r < 0) {
		zsock_destroy(&socket);
		return r;
	}
	*ret = socket;
	return 0;
}

void
bus_socket_close(zsock_t **socket)
{
	char endpoint[BUS_ENDPOINT_BYTES];
	size_t n = sizeof(endpoint);

	if (!*socket)
		return;
	if (zmq_getsockopt(zsock_resolve(*socket), ZMQ_LAST_ENDPOINT, endpoint, &n) == 0 &&
	    strncmp(endpoint, "inproc://", 9) == 0)
		zmq_unbind(zsock_resolve(*socket),
			   endpoint); /* a client's fails: it is not bound */
	zsock_destroy(socket);
}

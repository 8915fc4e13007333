/*
 * bus_socket: makes the ZeroMQ sockets of the bus. The one place where their limits stand, where
 * CURVE is put on tcp, and where the folder of an ipc socket is checked.
 */
#pragma once

#include <czmq.h>
#include <stdbool.h>

struct bus;

enum bus_transport { BUS_INPROC, BUS_IPC, BUS_TCP };

enum {
	BUS_HWM_MESSAGES = 1000,
	BUS_HEAD_MAX_BYTES = 512,
	BUS_LINGER_MS = 1000,
	BUS_HANDSHAKE_MS = 3000,
	BUS_HEARTBEAT_MS = 2000,
	BUS_HEARTBEAT_LOST_MS = 6000,
	BUS_CONNECT_MS = 5000,
	BUS_RECONNECT_MS = 100,
	BUS_RECONNECT_MAX_MS = 5000,
	BUS_ENDPOINT_BYTES = 256,
	BUS_KEY_TEXT_BYTES = 41, /* Z85 and NUL */
};

/* inproc://, ipc:// or tcp://; -EINVAL for anything else, abstract ipc sockets among it. */
int bus_transport_of(const char *endpoint, enum bus_transport *ret);

/* -EPERM: tcp without security, an ipc folder that is not ours alone. -EADDRINUSE. */
int bus_socket_bind(struct bus *bus, int type, const char *endpoint, zsock_t **ret);

/* Ready to be connected (zmq_connect is left to the caller, who may want to watch it first).
 * server_key: Z85, for tcp only. Errors as above. */
int bus_socket_for_client(struct bus *bus, int type, const char *endpoint, const char *server_key,
			  zsock_t **ret);

/* Takes NULL. The name of an inproc socket is free at once; a port or path when libzmq's thread has
 * closed it, soon after. */
void bus_socket_close(zsock_t **socket);

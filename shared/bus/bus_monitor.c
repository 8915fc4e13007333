/*
 * bus_monitor: what libzmq says about a peer's connection over ipc and tcp, so that calls to one
 * who is not there fail at once, and those that were under way when it went need not wait.
 */
#include "bus/bus_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int REFUSED = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
			   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
static const int EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | REFUSED | ZMQ_EVENT_DISCONNECTED |
			  ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED;

static void
on_event(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_peer *peer = arg;
	struct bus_frames frames;
	uint16_t event = 0;

	(void)loop;
	if (bus_frames_recv(zsock_resolve(socket), &frames) < 0)
		return;
	if (zmq_msg_size(&frames.part[0]) >= sizeof(event))
		memcpy(&event, zmq_msg_data(&frames.part[0]), sizeof(event));
	bus_frames_close(&frames);
	if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
		bus_peer_is_up(peer);
	else
		bus_peer_is_down(peer, (event & REFUSED) != 0);
}

int
bus_monitor_start(struct bus_peer *peer)
{
	struct bus_monitor *monitor = &peer->monitor;
	char endpoint[64];

	snprintf(endpoint, sizeof(endpoint), "inproc://bus-monitor-%016llx%016llx",
		 (unsigned long long)bus_random(peer->bus),
		 (unsigned long long)bus_random(peer->bus));
	if (zmq_socket_monitor(peer->handle, endpoint, EVENTS) < 0)
		return -errno;
	monitor->socket = zsock_new(ZMQ_PAIR);
	if (!monitor->socket)
		return -ENOMEM;
	if (zmq_connect(zsock_resolve(monitor->socket), endpoint) < 0)
		return -errno;
	return loop_zsock_add(peer->bus->loop, monitor->socket, on_event, peer, &monitor->watch);
}

void
bus_monitor_stop(struct bus_peer *peer)
{
	struct bus_monitor *monitor = &peer->monitor;

	if (!monitor->socket)
		return;
	loop_zsock_remove(&monitor->watch);
	zmq_socket_monitor(peer->handle, NULL, 0);
	zsock_destroy(&monitor->socket);
}

bool
bus_monitor_has_news(const struct bus_peer *peer)
{
	const struct bus_monitor *monitor = &peer->monitor;
	int events = 0;
	size_t n = sizeof(events);

	if (!monitor->socket)
		return false;
	loop_zsock_check(monitor->watch); /* asking takes the wake-up away */
	return zmq_getsockopt(zsock_resolve(monitor->socket), ZMQ_EVENTS, &events, &n) == 0 &&
	       (events & ZMQ_POLLIN);
}

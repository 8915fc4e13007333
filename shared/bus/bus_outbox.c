/*
 * bus_outbox: replies to a peer that reads more slowly than it asks. A ROUTER cannot say when such
 * a peer has room again, so they are tried anew until they pass or nobody waits for them any more.
 */
#include "bus/bus_inside.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	OUTBOX_MAX = 8192,
	OUTBOX_MAX_BYTES = 16 * 1024 * 1024,
	OUTBOX_RETRY_MS = 2,
};

static void
outbox_leave(struct bus_call *call)
{
	call->server->n_outbox--;
	call->server->outbox_bytes -= call->reply_bytes;
	bus_call_free(call);
}

/* True when the call is over. */
static bool
try_again(struct bus_call *call, int64_t now_ms)
{
	int r = bus_server_send(call->server, &call->routing_id, call->correlation, &call->result,
				call->reply, call->reply_bytes);

	if (r == -EAGAIN && call->deadline.due_ms > now_ms)
		return false;
	if (r == -EAGAIN)
		bus_drop(call->server->bus, BUS_DROP_PEER_FULL, call->peer);
	return true;
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct bus_server *server = arg;
	struct bus_call **at = &server->first_outbox;

	(void)loop;
	while (*at) {
		struct bus_call *call = *at;
		if (try_again(call, clock_monotonic_ms())) {
			*at = call->next_held;
			outbox_leave(call);
		} else {
			at = &call->next_held;
		}
	}
	server->last_outbox = at;
	if (!server->first_outbox)
		loop_timer_stop(&server->outbox_timer);
}

int
bus_outbox_add(struct bus_call *call, const struct bus_result *result, const void *body, size_t n)
{
	struct bus_server *server = call->server;

	if (server->n_outbox >= OUTBOX_MAX || n > OUTBOX_MAX_BYTES - server->outbox_bytes)
		return -EAGAIN;
	if (!server->outbox_timer &&
	    loop_timer_start(server->bus->loop, OUTBOX_RETRY_MS, OUTBOX_RETRY_MS, on_timer, server,
			     &server->outbox_timer) < 0)
		return -ENOMEM;
	if (n > 0 && !call->reply) {
		call->reply = malloc(n);
		if (!call->reply)
			return -ENOMEM;
		memcpy(call->reply, body, n);
	}
	call->result = *result;
	call->reply_bytes = n;
	call->state = BUS_CALL_IN_OUTBOX;
	call->next_held = NULL;
	*server->last_outbox = call;
	server->last_outbox = &call->next_held;
	server->n_outbox++;
	server->outbox_bytes += n;
	return 0;
}

void
bus_outbox_fini(struct bus_server *server)
{
	loop_timer_stop(&server->outbox_timer);
	while (server->first_outbox) {
		struct bus_call *call = server->first_outbox;
		server->first_outbox = call->next_held;
		bus_drop(server->bus, BUS_DROP_PEER_FULL, call->peer);
		outbox_leave(call);
	}
}

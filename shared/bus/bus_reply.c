/*
 * bus_reply: replies to our calls. Of one frame, since libzmq may learn between two that the
 * connection is gone, and then, with ZMQ_IMMEDIATE, aborts for want of the second (fq.cpp: !_more).
 */
#include "bus/bus_inside.h"

#include "bus/bus_check.h"
#include "loop/clock.h"

enum { REPLIES_A_TURN = 256 };

static void
take_result(const Boson__Bus__ReplyHead *head, struct bus_result *ret)
{
	enum bus_status status = BUS_OK;

	if (head->has_status)
		status = head->status < BUS_STATUSES ? (enum bus_status)head->status : BUS_INTERNAL;
	bus_result_set(ret, status, head->code, head->field,
		       head->has_retry_after_sec ? head->retry_after_sec : 0);
}

static void
take_reply(struct bus_peer *peer, const Boson__Bus__ReplyHead *head, const struct bus_bytes *body)
{
	struct bus_pending *pending = bus_pending_find(peer, head->correlation);
	ProtobufCMessage *reply = NULL;
	struct bus_result result;

	if (!pending) {
		bus_drop(peer->bus, BUS_DROP_LATE_REPLY, peer->service.descriptor->name);
		return;
	}
	take_result(head, &result);
	if (head->version != BUS_VERSION)
		bus_result_set(&result, BUS_INTERNAL, "unsupported_version", NULL, 0);
	if (result.status == BUS_OK && !pending->ping) {
		int r = bus_check_unpack(peer->service.descriptor->methods[pending->method].output,
					 &peer->bus->arena.allocator, body->bytes, body->n, &reply);
		if (r < 0)
			bus_result_set(&result, BUS_INTERNAL, "malformed_reply", NULL, 0);
	}
	bus_pending_finish(pending, &result, reply);
}

static void
take_frames(struct bus_peer *peer, struct bus_frames *frames)
{
	struct bus *bus = peer->bus;
	ProtobufCMessage *head = NULL;
	struct bus_bytes bytes, body;

	if (frames->n != 1) {
		bus_drop(bus, BUS_DROP_PARTS, peer->service.descriptor->name);
		return;
	}
	if (bus_frames_split(&frames->part[0], &bytes, &body) == 0 &&
	    bytes.n <= BUS_HEAD_MAX_BYTES &&
	    bus_check_unpack(&boson__bus__reply_head__descriptor, &bus->arena.allocator,
			     bytes.bytes, bytes.n, &head) == 0)
		take_reply(peer, (Boson__Bus__ReplyHead *)head, &body);
	else
		bus_drop(bus, BUS_DROP_ENVELOPE, peer->service.descriptor->name);
	bus_arena_reset(&bus->arena);
}

void
bus_peer_on_readable(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_peer *peer = arg;
	struct bus_frames frames;

	(void)loop, (void)socket;
	peer->busy++;
	peer->turn_us = clock_monotonic_us();
	for (int taken = 0; taken < REPLIES_A_TURN && !peer->closing; taken++) {
		if (bus_frames_recv(peer->handle, &frames) < 0)
			break;
		peer->heard = true;
		take_frames(peer, &frames);
		bus_frames_close(&frames);
	}
	peer->turn_us = 0;
	bus_peer_leave(peer);
}

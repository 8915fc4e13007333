/*
 * bus_subscription: a SUB to one publisher for one type of event. Knows by epoch and number what it
 * missed. Or what users hold of several (bus_many).
 */
#include "bus/bus_inside.h"

#include "bus/bus_check.h"
#include "bus/bus_places.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EVENT_PARTS = 3,
	HELLO_PARTS = 2,
	EVENTS_A_TURN = 256,
	LOOK_MS = 1000,
	SILENCE_INPROC_MS = 3 * BUS_HELLO_MS,
	SILENCE_MS = 2 * BUS_RECONNECT_MAX_MS,
};

struct bus_subscription {
	struct bus *bus;
	enum bus_transport transport;
	char endpoint[BUS_ENDPOINT_BYTES];
	const ProtobufCMessageDescriptor *type;
	bus_event_fn fn;
	void *arg;
	zsock_t *socket;
	void *handle;
	struct loop_zsock *watch;
	struct loop_timer *silence_timer;
	struct metric *received, *gaps;
	bool known; /* epoch and sequence are the publisher's */
	uint64_t epoch, sequence;
	bool heard;	  /* anything on this connection */
	int64_t heard_ms; /* or when it was made */
	bool busy, dead;
	struct bus_many *owner; /* it is one of several */
	struct bus_many *many;	/* it stands for several: nothing else is set */
	struct bus_subscription *next;
};

static void
tell(struct bus_subscription *s, const ProtobufCMessage *event, bool gap)
{
	if (gap)
		metric_add(s->gaps, 1);
	if (event)
		metric_add(s->received, 1);
	s->fn(event, gap, s->arg);
}

/* Takes the publisher's number for ours. True when something was missed before it. */
static bool
follow(struct bus_subscription *s, const Boson__Bus__EventHead *head, uint64_t expected)
{
	bool gap = !s->known || s->epoch != head->epoch || head->sequence != expected;

	s->known = true;
	s->epoch = head->epoch;
	s->sequence = head->sequence;
	return gap;
}

static bool
is_old(const struct bus_subscription *s, const Boson__Bus__EventHead *head)
{
	return s->known && s->epoch == head->epoch && head->sequence <= s->sequence;
}

/* False when the event cannot be read. */
static bool
take_event(struct bus_subscription *s, const Boson__Bus__EventHead *head, zmq_msg_t *body)
{
	ProtobufCMessage *event = NULL;

	if (is_old(s, head))
		return true;
	if (bus_check_unpack(s->type, &s->bus->arena.allocator, zmq_msg_data(body),
			     zmq_msg_size(body), &event) < 0)
		return false;
	tell(s, event, follow(s, head, s->sequence + 1));
	return true;
}

static bool
take_head(struct bus_subscription *s, struct bus_frames *frames)
{
	ProtobufCMessage *message = NULL;
	size_t n = zmq_msg_size(&frames->part[1]);

	if (n > BUS_HEAD_MAX_BYTES ||
	    bus_check_unpack(&boson__bus__event_head__descriptor, &s->bus->arena.allocator,
			     zmq_msg_data(&frames->part[1]), n, &message) < 0)
		return false;
	const Boson__Bus__EventHead *head = (const Boson__Bus__EventHead *)message;
	if (head->version != BUS_VERSION)
		return false;
	if (!head->has_hello || !head->hello)
		return frames->n == EVENT_PARTS && take_event(s, head, &frames->part[2]);
	if (frames->n != HELLO_PARTS)
		return false;
	if (follow(s, head, s->sequence))
		tell(s, NULL, true);
	return true;
}

/* Subscriptions match by prefix, so a longer name of another type comes too. */
static bool
is_ours(const struct bus_subscription *s, zmq_msg_t *topic)
{
	size_t n = strlen(s->type->name);

	return zmq_msg_size(topic) == n && memcmp(zmq_msg_data(topic), s->type->name, n) == 0;
}

static void
take_frames(struct bus_subscription *s, struct bus_frames *frames)
{
	s->heard = true;
	s->heard_ms = loop_now_ms(s->bus->loop);
	if (frames->n > 0 && !is_ours(s, &frames->part[0]))
		return;
	if (frames->n < HELLO_PARTS || frames->n > EVENT_PARTS)
		bus_drop(s->bus, BUS_DROP_PARTS, s->type->short_name);
	else if (!take_head(s, frames))
		bus_drop(s->bus, BUS_DROP_EVENT, s->type->short_name);
	bus_arena_reset(&s->bus->arena);
}

static void
on_readable(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_subscription *s = arg;
	struct bus_frames frames;

	(void)loop, (void)socket;
	s->busy = true;
	for (int taken = 0; taken < EVENTS_A_TURN && !s->dead; taken++) {
		if (bus_frames_recv(s->handle, &frames) < 0)
			break;
		take_frames(s, &frames);
		bus_frames_close(&frames);
	}
	s->busy = false;
	if (s->dead)
		free(s);
}

/* libzmq does not connect again over inproc, nor after a handshake that was refused; a publisher
 * that lives is never silent for longer than BUS_HELLO_MS. An inproc connection that nobody has
 * bound yet must be left alone: it stays in libzmq's books. */
static void
on_silence_timer(struct loop *loop, void *arg)
{
	struct bus_subscription *s = arg;
	bool inproc = s->transport == BUS_INPROC;

	if (loop_now_ms(loop) - s->heard_ms < (inproc ? SILENCE_INPROC_MS : SILENCE_MS) ||
	    (inproc && !s->heard))
		return;
	s->heard = false;
	s->heard_ms = loop_now_ms(loop);
	if (s->owner)
		bus_many_look_again(s->owner);
	zmq_disconnect(s->handle, s->endpoint);
	if (zmq_connect(s->handle, s->endpoint) < 0)
		log_warn("subscribe_failed", "endpoint=%s error=%m", s->endpoint);
	loop_zsock_check(s->watch);
}

static void
make_figures(struct bus_subscription *s)
{
	char labels[160];

	snprintf(labels, sizeof(labels), "direction=\"in\",type=\"%s\"", s->type->short_name);
	s->received = metrics_counter(s->bus->metrics, "bus_events_total", labels,
				      "Events sent and received.");
	snprintf(labels, sizeof(labels), "type=\"%s\"", s->type->short_name);
	s->gaps = metrics_counter(s->bus->metrics, "bus_event_gaps_total", labels,
				  "Times that events were missed or a publisher was new.");
}

static int
subscription_open(struct bus_subscription *s, const char *server_key)
{
	struct bus *bus = s->bus;
	int r = bus_transport_of(s->endpoint, &s->transport);

	if (r == 0)
		r = bus_socket_for_client(bus, ZMQ_SUB, s->endpoint, server_key, &s->socket);
	if (r < 0)
		return r;
	s->handle = zsock_resolve(s->socket);
	if (zmq_setsockopt(s->handle, ZMQ_SUBSCRIBE, s->type->name, strlen(s->type->name)) < 0 ||
	    zmq_connect(s->handle, s->endpoint) < 0)
		return -errno;
	s->heard_ms = loop_now_ms(bus->loop);
	r = loop_timer_start(bus->loop, LOOK_MS, LOOK_MS, on_silence_timer, s, &s->silence_timer);
	if (r == 0)
		r = loop_zsock_add(bus->loop, s->socket, on_readable, s, &s->watch);
	return r;
}

static struct bus_subscription *
subscription_new(struct bus *bus)
{
	struct bus_subscription *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bus = bus;
	s->next = bus->subscriptions;
	bus->subscriptions = s;
	return s;
}

int
bus_subscribe_one(struct bus *bus, const char *endpoint, const char *server_key,
		  const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
		  struct bus_many *many, struct bus_subscription **ret)
{
	struct bus_subscription *s;

	if (strlen(endpoint) >= sizeof(s->endpoint))
		return -EINVAL;
	s = subscription_new(bus);
	if (!s)
		return -ENOMEM;
	s->type = type;
	s->fn = fn;
	s->arg = arg;
	s->owner = many;
	strcpy(s->endpoint, endpoint);
	make_figures(s);
	int r = subscription_open(s, server_key);
	if (r < 0) {
		bus_unsubscribe(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int
bus_subscribe(struct bus *bus, const char *endpoints, const char *server_key,
	      const ProtobufCMessageDescriptor *type, bus_event_fn fn, void *arg,
	      struct bus_subscription **ret)
{
	struct bus_subscription *s;

	if (!bus_places_are_many(endpoints))
		return bus_subscribe_one(bus, endpoints, server_key, type, fn, arg, NULL, ret);
	s = subscription_new(bus);
	if (!s)
		return -ENOMEM;
	int r = bus_many_new(bus, endpoints, server_key, type, fn, arg, &s->many);
	if (r < 0) {
		bus_unsubscribe(&s);
		return r;
	}
	*ret = s;
	return 0;
}

const char *
bus_subscription_endpoint(const struct bus_subscription *subscription)
{
	return subscription->endpoint;
}

int64_t
bus_subscription_silence_ms(const struct bus_subscription *subscription)
{
	return loop_now_ms(subscription->bus->loop) - subscription->heard_ms;
}

void
bus_subscriptions_fini(struct bus *bus)
{
	for (;;) {
		struct bus_subscription *s = bus->subscriptions;

		while (s && s->owner)
			s = s->next;
		if (!s)
			return;
		bus_unsubscribe(&s);
	}
}

void
bus_unsubscribe(struct bus_subscription **subscription)
{
	struct bus_subscription *s = subscription ? *subscription : NULL;

	if (!s)
		return;
	struct bus_subscription **at = &s->bus->subscriptions;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	bus_many_free(&s->many);
	loop_timer_stop(&s->silence_timer);
	loop_zsock_remove(&s->watch);
	zsock_destroy(&s->socket);
	s->dead = true;
	if (!s->busy)
		free(s);
	*subscription = NULL;
}

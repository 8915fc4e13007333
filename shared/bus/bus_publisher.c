/*
 * bus_publisher: an XPUB. Frames: [topic][EventHead][body]; a topic is a message's full name, and
 * its events are numbered. A hello says the last number of a topic: to each new subscriber at once,
 * and to all once a second, so that who missed the last event soon knows.
 */
#include "bus/bus_inside.h"

#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOPIC_MAX_BYTES = 128,
	ASKED_TOPICS_MAX = 256, /* that subscribers asked for and we never published */
};

struct topic {
	char name[TOPIC_MAX_BYTES + 1];
	uint64_t sequence;   /* of the last event; 0: none yet */
	struct metric *sent; /* NULL: none yet */
	struct topic *next;
};

struct bus_publisher {
	struct bus *bus;
	zsock_t *socket;
	void *handle;
	struct loop_zsock *watch;
	struct loop_timer *hello_timer;
	bool grants; /* over tcp, by the rules: subscriptions are ours to make */
	uint64_t epoch;
	struct topic *topics; /* published or asked for */
	size_t asked_topics;  /* those of them that never were published */
	struct bus_publisher *next;
};

/* An event that waits for its batch to be committed. */
struct bus_held_event {
	struct bus_publisher *publisher;
	struct topic *topic;
	struct bus_held_event *next;
	size_t n;
	uint8_t bytes[];
};

/* libzmq says nothing of what it drops for a subscriber who does not read, unless it is to drop
 * nothing at all, and then it refuses all. So it is asked so first, and then let go. */
static void
set_lossless(struct bus_publisher *publisher, int on)
{
	zmq_setsockopt(publisher->handle, ZMQ_XPUB_NODROP, &on, sizeof(on));
}

static int
send_counted(struct bus_publisher *publisher, const struct topic *topic,
	     const struct bus_bytes *parts, size_t n)
{
	bool is_full = false;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int flags = ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0);
		bool is_sent = zmq_send(publisher->handle, parts[i].bytes, parts[i].n, flags) >= 0;

		if (!is_sent && errno == EAGAIN && !is_full) {
			is_full = true;
			set_lossless(publisher, 0);
			bus_drop(publisher->bus, BUS_DROP_EVENT_FULL, topic->name);
			is_sent =
				zmq_send(publisher->handle, parts[i].bytes, parts[i].n, flags) >= 0;
		}
		r = is_sent ? 0 : -errno;
	}
	if (is_full)
		set_lossless(publisher, 1);
	return r;
}

/* body NULL: a hello. */
static int
send_parts(struct bus_publisher *publisher, const struct topic *topic, const struct bus_bytes *body)
{
	Boson__Bus__EventHead head = BOSON__BUS__EVENT_HEAD__INIT;
	uint8_t bytes[BUS_HEAD_MAX_BYTES];

	head.version = BUS_VERSION;
	head.epoch = publisher->epoch;
	head.sequence = topic->sequence;
	head.has_hello = head.hello = body == NULL;
	struct bus_bytes parts[3] = { { topic->name, strlen(topic->name) },
				      { bytes, bus_head_pack(&head.base, bytes) } };
	if (body)
		parts[2] = *body;
	int r = send_counted(publisher, topic, parts, body ? 3 : 2);
	loop_zsock_check(publisher->watch);
	return r;
}

/* A subscriber that does not read loses events, and learns of it by their numbers. */
static int
send_event(struct bus_publisher *publisher, struct topic *topic, const void *bytes, size_t n)
{
	struct bus_bytes body = { bytes, n };

	metric_add(topic->sent, 1);
	topic->sequence++;
	return send_parts(publisher, topic, &body);
}

static void
on_hello_timer(struct loop *loop, void *arg)
{
	struct bus_publisher *publisher = arg;

	(void)loop;
	for (struct topic *topic = publisher->topics; topic; topic = topic->next)
		send_parts(publisher, topic, NULL);
}

static struct topic *
topic_find(const struct bus_publisher *publisher, const char *name, size_t n)
{
	struct topic *topic = publisher->topics;

	while (topic && (strlen(topic->name) != n || memcmp(topic->name, name, n) != 0))
		topic = topic->next;
	return topic;
}

static struct topic *
topic_new(struct bus_publisher *publisher, const char *name, size_t n)
{
	struct topic *topic = calloc(1, sizeof(*topic));

	if (!topic)
		return NULL;
	memcpy(topic->name, name, n);
	topic->next = publisher->topics;
	publisher->topics = topic;
	return topic;
}

static void
on_subscriber(struct bus_publisher *publisher, const char *name, size_t n)
{
	struct topic *topic = topic_find(publisher, name, n);

	if (!topic && publisher->asked_topics < ASKED_TOPICS_MAX &&
	    (topic = topic_new(publisher, name, n)))
		publisher->asked_topics++;
	if (topic)
		send_parts(publisher, topic, NULL);
}

/* Over tcp a subscription counts when we repeat it, for the peer that it came from: whole names of
 * events that its peer may hear. (T22, B20) */
static bool
grant(struct bus_publisher *publisher, zmq_msg_t *frame, const char *name, bool wanted)
{
	const char *peer = zmq_msg_gets(frame, "User-Id");

	if (!publisher->grants)
		return wanted;
	if (wanted &&
	    (!peer || !bus_rule_admits(publisher->bus, bus_rule_of(publisher->bus, name), peer))) {
		bus_drop(publisher->bus, BUS_DROP_ACL, peer);
		return false;
	}
	zmq_setsockopt(publisher->handle, wanted ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, name,
		       strlen(name));
	return wanted;
}

static void
take_subscription(struct bus_publisher *publisher, zmq_msg_t *frame)
{
	const char *bytes = zmq_msg_data(frame);
	size_t n = zmq_msg_size(frame);
	char name[TOPIC_MAX_BYTES + 1];

	if (n <= 1 || n > sizeof(name) || memchr(bytes + 1, 0, n - 1))
		return;
	memcpy(name, bytes + 1, n - 1);
	name[n - 1] = '\0';
	if (grant(publisher, frame, name, bytes[0] == 1))
		on_subscriber(publisher, name, n - 1);
}

/* XPUB hears [1 topic] from each new subscriber, [0 topic] when the last one left. */
static void
on_readable(struct loop *loop, zsock_t *socket, void *arg)
{
	struct bus_publisher *publisher = arg;
	struct bus_frames frames;

	(void)loop, (void)socket;
	if (bus_frames_recv(publisher->handle, &frames) < 0)
		return;
	if (frames.n == 1)
		take_subscription(publisher, &frames.part[0]);
	bus_frames_close(&frames);
}

/* The topic of a type that is to be published. */
static struct topic *
topic_get(struct bus_publisher *publisher, const ProtobufCMessageDescriptor *type)
{
	size_t n = strlen(type->name);
	char labels[TOPIC_MAX_BYTES + 48];

	if (n > TOPIC_MAX_BYTES)
		return NULL;
	struct topic *topic = topic_find(publisher, type->name, n);
	if (topic && topic->sent)
		return topic;
	if (topic)
		publisher->asked_topics--;
	else
		topic = topic_new(publisher, type->name, n);
	if (!topic)
		return NULL;
	snprintf(labels, sizeof(labels), "direction=\"out\",type=\"%s\"", type->short_name);
	topic->sent = metrics_counter(publisher->bus->metrics, "bus_events_total", labels,
				      "Events sent and received.");
	return topic;
}

static int
hold_event(struct bus_publisher *publisher, struct topic *topic, const void *bytes, size_t n)
{
	struct bus *bus = publisher->bus;
	struct bus_held_event *held = malloc(sizeof(*held) + n);

	if (!held)
		return -ENOMEM;
	held->publisher = publisher;
	held->topic = topic;
	held->next = NULL;
	held->n = n;
	memcpy(held->bytes, bytes, n);
	*bus->last_event = held;
	bus->last_event = &held->next;
	return 0;
}

int
bus_publish(struct bus_publisher *publisher, const ProtobufCMessage *event)
{
	struct bus *bus = publisher->bus;
	size_t n = protobuf_c_message_get_packed_size(event);

	if (n > BUS_MESSAGE_MAX_BYTES) {
		log_error("event_too_large", "type=%s bytes=%zu", event->descriptor->short_name, n);
		return -EMSGSIZE;
	}
	struct topic *topic = topic_get(publisher, event->descriptor);
	if (!topic)
		return -ENOMEM;
	protobuf_c_message_pack(event, bus->scratch);
	if (bus->batch_is_open)
		return hold_event(publisher, topic, bus->scratch, n);
	return send_event(publisher, topic, bus->scratch, n);
}

void
bus_events_flush(struct bus *bus, bool committed)
{
	struct bus_held_event *next = bus->first_event;

	bus->first_event = NULL;
	bus->last_event = &bus->first_event;
	while (next) {
		struct bus_held_event *held = next;
		next = held->next;
		if (committed)
			send_event(held->publisher, held->topic, held->bytes, held->n);
		else
			bus_drop(bus, BUS_DROP_UNCOMMITTED, held->topic->name);
		free(held);
	}
}

static int
grants_start(struct bus_publisher *publisher, const char *endpoint)
{
	enum bus_transport transport;
	int one = 1;

	if (!publisher->bus->rules || bus_transport_of(endpoint, &transport) < 0 ||
	    transport != BUS_TCP)
		return 0;
	publisher->grants = true;
	return zmq_setsockopt(publisher->handle, ZMQ_XPUB_MANUAL, &one, sizeof(one)) < 0 ? -errno
											 : 0;
}

int
bus_publisher_new(struct bus *bus, const char *endpoint, struct bus_publisher **ret)
{
	struct bus_publisher *publisher = calloc(1, sizeof(*publisher));
	int r;

	if (!publisher)
		return -ENOMEM;
	publisher->bus = bus;
	publisher->epoch = bus_random(bus);
	publisher->next = bus->publishers;
	bus->publishers = publisher;
	r = bus_socket_bind(bus, ZMQ_XPUB, endpoint, &publisher->socket);
	if (r < 0)
		goto fail;
	publisher->handle = zsock_resolve(publisher->socket);
	set_lossless(publisher, 1);
	r = grants_start(publisher, endpoint);
	if (r < 0)
		goto fail;
	r = loop_zsock_add(bus->loop, publisher->socket, on_readable, publisher, &publisher->watch);
	if (r == 0)
		r = loop_timer_start(bus->loop, BUS_HELLO_MS, BUS_HELLO_MS, on_hello_timer,
				     publisher, &publisher->hello_timer);
	if (r < 0)
		goto fail;
	*ret = publisher;
	return 0;
fail:
	bus_publisher_free(publisher);
	return r;
}

void
bus_publisher_free(struct bus_publisher *publisher)
{
	struct bus_publisher **at = &publisher->bus->publishers;

	while (*at != publisher)
		at = &(*at)->next;
	*at = publisher->next;
	loop_timer_stop(&publisher->hello_timer);
	loop_zsock_remove(&publisher->watch);
	bus_socket_close(&publisher->socket);
	while (publisher->topics) {
		struct topic *topic = publisher->topics;
		publisher->topics = topic->next;
		free(topic);
	}
	free(publisher);
}

/*
 * gateway_events: who watches, and what they are shown; see the header.
 */
#include "gateway/gateway_events_inside.h"

#include "log/log.h"
#include "loop/clock.h"
#include "ws/ws_frame.h"
#include "json/json_message.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 1000, SAME_WITHIN_MS = 2000, NAME_BYTES = 64, PACKED_MAX_BYTES = 16 * 1024 };

/* "boson.discovery.NodeChanged": "nodeChanged" */
static void
event_name(const ProtobufCMessage *event, char ret[NAME_BYTES])
{
	const char *dot = strrchr(event->descriptor->name, '.');
	size_t n = strlen(dot + 1);
	n = n < NAME_BYTES ? n : NAME_BYTES - 1;
	memcpy(ret, dot + 1, n);
	ret[n] = '\0';
	ret[0] = (char)tolower((unsigned char)ret[0]);
}

/* FNV-1a: this is about repetition, not about malice. */
static uint64_t
hash_of(const ProtobufCMessage *event)
{
	uint8_t packed[PACKED_MAX_BYTES];
	uint64_t hash = 0xcbf29ce484222325u ^ (uintptr_t)event->descriptor;
	size_t n = protobuf_c_message_get_packed_size(event);
	if (n > sizeof(packed))
		return 0;
	protobuf_c_message_pack(event, packed);
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ packed[i]) * 0x100000001b3u;
	return hash | 1;
}

static bool
was_sent_lately(struct gateway_events *events, const ProtobufCMessage *event)
{
	uint64_t hash = hash_of(event);
	int64_t now_ms = loop_now_ms(events->context->loop);
	for (size_t i = 0; hash != 0 && i < EVENTS_REMEMBERED; i++) {
		if (events->sent[i].hash == hash && now_ms - events->sent[i].at_ms < SAME_WITHIN_MS)
			return true;
	}
	events->sent[events->sent_at].hash = hash;
	events->sent[events->sent_at].at_ms = now_ms;
	events->sent_at = (events->sent_at + 1) % EVENTS_REMEMBERED;
	return false;
}

static void
send_to_all(struct gateway_events *events, const struct json_text *text)
{
	for (size_t i = 0; i < GATEWAY_WATCHERS_MAX; i++) {
		if (events->watching[i].watcher != NULL)
			gateway_watcher_send(events->watching[i].watcher, text->bytes, text->n);
	}
	metric_add(events->sent_on, 1);
}

void
gateway_events_show(struct gateway_events *events, const ProtobufCMessage *event)
{
	struct json_text text = { 0 };
	char name[NAME_BYTES];
	if (events->watching_n == 0 || was_sent_lately(events, event))
		return;
	event_name(event, name);
	json_text_open(&text, '{');
	json_text_member(&text, "event", name);
	json_text_member_int(&text, "timestamp", clock_wall_ms());
	json_text_key(&text, "data");
	json_message_write(&text, event, 0);
	json_text_close(&text, '}');
	if (!json_text_failed(&text))
		send_to_all(events, &text);
	json_text_fini(&text);
}

static void
on_tick(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_events *events = arg;
	for (size_t i = 0; i < GATEWAY_WATCHERS_MAX; i++) {
		struct gateway_watcher **watcher = &events->watching[i].watcher;
		if (*watcher != NULL)
			gateway_watcher_tick(*watcher);
		if (*watcher != NULL && gateway_watcher_is_over(*watcher))
			gateway_watcher_free(watcher);
	}
	/* Not where the last one ends: an event's own subscription would go under it. */
	if (events->watching_n == 0 && events->is_heard)
		gateway_events_deafen(events);
}

static void
on_over(bool is_slow, void *arg)
{
	struct watching *watching = arg;
	struct gateway_events *events = watching->events;
	events->watching_n--;
	metric_set(events->watchers, (double)events->watching_n);
	if (is_slow)
		metric_add(events->slow, 1);
	watching->closed(watching->arg);
}

static struct watching *
place_find(const struct gateway_events *events)
{
	for (size_t i = 0; i < GATEWAY_WATCHERS_MAX; i++) {
		if (events->watching[i].watcher == NULL)
			return (struct watching *)&events->watching[i];
	}
	return NULL;
}

bool
gateway_events_have_room(const struct gateway_events *events)
{
	return place_find(events) != NULL;
}

/* So that whoever watches knows that it does. */
static void
greet(struct gateway_watcher *watcher)
{
	struct json_text text = { 0 };
	json_text_open(&text, '{');
	json_text_member(&text, "event", "hello");
	json_text_member_int(&text, "timestamp", clock_wall_ms());
	json_text_key(&text, "data");
	json_text_raw(&text, "{}");
	json_text_close(&text, '}');
	if (!json_text_failed(&text))
		gateway_watcher_send(watcher, text.bytes, text.n);
	json_text_fini(&text);
}

int
gateway_events_watch(struct gateway_events *events, int socket, int64_t expires_ms,
		     void (*closed)(void *arg), void *arg)
{
	struct watching *place = place_find(events);
	if (place == NULL)
		return -EAGAIN;
	int r = gateway_events_hear(events);
	if (r < 0)
		return r;
	*place = (struct watching){ .events = events, .closed = closed, .arg = arg };
	r = gateway_watcher_new(events->context->loop, socket, expires_ms, on_over, place,
				&place->watcher);
	if (r < 0)
		return r;
	events->watching_n++;
	metric_set(events->watchers, (double)events->watching_n);
	greet(place->watcher);
	return 0;
}

int
gateway_events_new(const struct actor_context *context, struct bus_peer *discovery,
		   struct gateway_events **ret)
{
	struct gateway_events *events = calloc(1, sizeof(*events));
	if (events == NULL)
		return -ENOMEM;
	events->context = context;
	events->discovery = discovery;
	events->watchers = metrics_gauge(context->metrics, "event_watchers", NULL,
					 "WebSockets that watch events");
	events->slow = metrics_counter(context->metrics, "event_watchers_slow_total", NULL,
				       "Watchers ended because they did not take what they were "
				       "sent, or fell silent");
	events->sent_on = metrics_counter(context->metrics, "events_total", NULL,
					  "Events sent on to those who watch");
	int r = loop_timer_start(context->loop, TICK_MS, TICK_MS, on_tick, events, &events->tick);
	if (r < 0) {
		free(events);
		return r;
	}
	*ret = events;
	return 0;
}

void
gateway_events_drain(struct gateway_events *events)
{
	for (size_t i = 0; i < GATEWAY_WATCHERS_MAX; i++) {
		if (events->watching[i].watcher != NULL)
			gateway_watcher_end(events->watching[i].watcher, WS_CLOSE_RESTART,
					    "stopping");
	}
}

void
gateway_events_free(struct gateway_events **events)
{
	struct gateway_events *e = *events;
	if (e == NULL)
		return;
	gateway_events_drain(e);
	gateway_events_deafen(e);
	loop_timer_stop(&e->tick);
	for (size_t i = 0; i < GATEWAY_WATCHERS_MAX; i++)
		gateway_watcher_free(&e->watching[i].watcher);
	free(e);
	*events = NULL;
}

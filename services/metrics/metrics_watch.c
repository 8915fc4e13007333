/*
 * metrics finds the relays by discovery's RelayChanged and Snapshot, and hears the SessionUsage and
 * RelayLoad of each. A relay that discovery forgot is heard no more; while discovery is dead, all
 * stay.
 */
#include "metrics/metrics_handlers.h"

#include "discovery.pb-c.h"
#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_TIMEOUT_MS = 3000, LINKS_MAX = 256, ID_BYTES = 65, ENDPOINT_BYTES = 256 };

struct metrics_link {
	struct metrics_service *metrics;
	char relay_id[ID_BYTES];
	char endpoint[ENDPOINT_BYTES];
	char region[ID_BYTES];
	double load;
	uint32_t legs, channels;
	struct bus_subscription *usage, *loads;
	struct metrics_link *next;
};

static void
on_usage(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__SessionUsage *report = (const Boson__Relay__SessionUsage *)event;
	struct metrics_link *link = arg;
	struct usage_key key;
	int64_t now_ms = clock_wall_ms();

	(void)gap; /* figures are absolute: the next report says all */
	if (report == NULL || report->session_id == NULL || report->node_id == NULL ||
	    uuid_parse(report->session_id, key.session_id) != 0 ||
	    uuid_parse(report->node_id, key.node_id) != 0)
		return;
	key.epoch = report->epoch;
	metric_add(link->metrics->reports, 1);
	/* Rows are deleted by their age: no clock but ours may keep one for longer. */
	if (usages_report(&link->metrics->usages, &key, report->bytes_up, report->bytes_down,
			  report->reported_at < now_ms ? report->reported_at : now_ms) != 0)
		log_warn("usage_not_kept", "relay=%s", link->relay_id);
}

static void
on_load(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__RelayLoad *report = (const Boson__Relay__RelayLoad *)event;
	struct metrics_link *link = arg;

	(void)gap;
	if (report == NULL)
		return;
	link->load = report->load;
	link->legs = report->legs;
	link->channels = report->channels;
}

static struct metrics_link **
find(struct metrics_service *metrics, const char *relay_id)
{
	struct metrics_link **at = &metrics->links;

	while (*at != NULL && strcmp((*at)->relay_id, relay_id) != 0)
		at = &(*at)->next;
	return at;
}

static void
forget(struct metrics_link **at)
{
	struct metrics_link *link = *at;

	if (link == NULL)
		return;
	*at = link->next;
	bus_unsubscribe(&link->usage);
	bus_unsubscribe(&link->loads);
	free(link);
}

static size_t
count(const struct metrics_service *metrics)
{
	size_t n = 0;

	for (const struct metrics_link *link = metrics->links; link != NULL; link = link->next)
		n++;
	return n;
}

static int
subscribe(struct metrics_link *link, const char *key)
{
	struct bus *bus = link->metrics->context->bus;
	int error =
		bus_subscribe(bus, link->endpoint, key, &boson__relay__session_usage__descriptor,
			      on_usage, link, &link->usage);

	if (error == 0)
		error = bus_subscribe(bus, link->endpoint, key,
				      &boson__relay__relay_load__descriptor, on_load, link,
				      &link->loads);
	if (error != 0)
		bus_unsubscribe(&link->usage);
	return error;
}

static void
follow(struct metrics_service *metrics, const Boson__Common__Relay *relay)
{
	const char *region = relay->region != NULL ? relay->region : "";
	struct metrics_link **at, *link;
	int error;

	if (relay->id == NULL || relay->event_endpoint == NULL || strlen(relay->id) >= ID_BYTES ||
	    strlen(relay->event_endpoint) >= ENDPOINT_BYTES || strlen(region) >= ID_BYTES)
		return;
	at = find(metrics, relay->id);
	if (*at != NULL && strcmp((*at)->endpoint, relay->event_endpoint) == 0)
		return;
	forget(at);
	link = count(metrics) < LINKS_MAX ? calloc(1, sizeof(*link)) : NULL;
	if (link == NULL)
		return;
	link->metrics = metrics;
	strcpy(link->relay_id, relay->id);
	strcpy(link->region, region);
	strcpy(link->endpoint, relay->event_endpoint);
	link->load = relay->load;
	error = subscribe(link, relay->bus_key);
	if (error != 0) {
		log_warn("relay_not_followed", "relay=%s error=%d", link->relay_id, error);
		free(link);
		return;
	}
	link->next = metrics->links;
	metrics->links = link;
}

void
metrics_watch_each(const struct metrics_service *metrics,
		   void (*fn)(const struct metrics_relay *relay, void *arg), void *arg)
{
	for (const struct metrics_link *link = metrics->links; link != NULL; link = link->next) {
		struct metrics_relay relay = { link->relay_id, link->region, link->load, link->legs,
					       link->channels };

		fn(&relay, arg);
	}
}

static void
on_snapshot(const Boson__Discovery__SnapshotReply *reply, void *arg)
{
	struct metrics_service *metrics = arg;

	metrics->asking = false;
	if (reply == NULL) {
		metrics->ask_again = true; /* the tick does */
		return;
	}
	for (size_t i = 0; i < reply->n_relays; i++)
		follow(metrics, reply->relays[i]);
}

/* All relays are on the first page. */
static void
ask(struct metrics_service *metrics)
{
	static const Boson__Discovery__SnapshotRequest request =
		BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;

	if (metrics->asking) {
		metrics->ask_again = true;
		return;
	}
	metrics->asking = true;
	metrics->ask_again = false;
	bus_peer_next(metrics->discovery, SNAPSHOT_TIMEOUT_MS, NULL);
	boson__discovery__discovery__snapshot(bus_peer_service(metrics->discovery), &request,
					      on_snapshot, metrics);
}

static void
on_relay_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__RelayChanged *change =
		(const Boson__Discovery__RelayChanged *)event;
	struct metrics_service *metrics = arg;

	if (change != NULL && change->relay != NULL && change->relay->id != NULL) {
		if (change->gone)
			forget(find(metrics, change->relay->id));
		else
			follow(metrics, change->relay);
	}
	if (gap)
		ask(metrics);
}

int
metrics_watch_start(struct metrics_service *metrics)
{
	const struct actor_context *context = metrics->context;
	const char *key = actor_server_key(context, "discovery");
	int error;

	error = bus_peer_new(context->bus, actor_endpoint(context, "discovery"), key,
			     &boson__discovery__discovery__descriptor, &metrics->discovery);
	if (error == 0)
		error = bus_subscribe(context->bus, actor_event_endpoint(context, "discovery"), key,
				      &boson__discovery__relay_changed__descriptor,
				      on_relay_changed, metrics, &metrics->relays_changed);
	if (error == 0)
		ask(metrics);
	else
		log_error("discovery_not_connected", "error=%d", error);
	return error;
}

void
metrics_watch_tick(struct metrics_service *metrics)
{
	if (metrics->ask_again && !metrics->asking)
		ask(metrics);
}

void
metrics_watch_stop(struct metrics_service *metrics)
{
	bus_unsubscribe(&metrics->relays_changed);
	bus_peer_free(&metrics->discovery);
	while (metrics->links != NULL)
		forget(&metrics->links);
}

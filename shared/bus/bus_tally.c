/*
 * bus_tally: see bus_tally.h.
 */
#include "bus/bus_tally.h"

#include "bus/bus_inside.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const STATUS_WORDS[BUS_STATUSES] = {
	[BUS_OK] = "ok",
	[BUS_INVALID] = "invalid",
	[BUS_UNAUTHENTICATED] = "unauthenticated",
	[BUS_FORBIDDEN] = "forbidden",
	[BUS_NOT_FOUND] = "not_found",
	[BUS_CONFLICT] = "conflict",
	[BUS_TOO_LARGE] = "too_large",
	[BUS_LIMITED] = "limited",
	[BUS_UNAVAILABLE] = "unavailable",
	[BUS_DEADLINE] = "deadline",
	[BUS_INTERNAL] = "internal",
};

static const char *const DROP_WORDS[BUS_DROPS] = {
	[BUS_DROP_PARTS] = "parts",
	[BUS_DROP_ENVELOPE] = "envelope",
	[BUS_DROP_STRANGER] = "stranger",
	[BUS_DROP_DUPLICATE] = "duplicate",
	[BUS_DROP_LATE_REPLY] = "late_reply",
	[BUS_DROP_LATE_ANSWER] = "late_answer",
	[BUS_DROP_SECOND_ANSWER] = "second_answer",
	[BUS_DROP_PEER_GONE] = "peer_gone",
	[BUS_DROP_PEER_FULL] = "peer_full",
	[BUS_DROP_EVENT] = "event",
	[BUS_DROP_UNCOMMITTED] = "uncommitted",
	[BUS_DROP_ACL] = "acl",
	[BUS_DROP_EVENT_FULL] = "event_full",
	[BUS_DROP_STRUCK_OUT] = "struck_out",
};

static const int64_t DROP_LOG_MS = 60 * 1000;

const char *
bus_status_word(enum bus_status status)
{
	return (unsigned)status < BUS_STATUSES ? STATUS_WORDS[status] : "internal";
}

int
bus_tally_init(struct bus_tally *tally, struct metrics *metrics,
	       const ProtobufCServiceDescriptor *service, enum bus_side side)
{
	*tally = (struct bus_tally){ .metrics = metrics, .service = service, .side = side };
	tally->methods = calloc((size_t)service->n_methods + 1, sizeof(*tally->methods));
	return tally->methods ? 0 : -ENOMEM;
}

void
bus_tally_fini(struct bus_tally *tally)
{
	free(tally->methods);
	tally->methods = NULL;
}

/* Figures come into being with their first message: most pairs of method and result never occur. */
static void
make_figures(struct bus_tally *tally, unsigned method, enum bus_status status)
{
	struct bus_tally_method *m = &tally->methods[method];
	bool server = tally->side == BUS_SIDE_SERVER;
	char name[160], labels[224];

	snprintf(name, sizeof(name), "method=\"%s.%s\"", tally->service->short_name,
		 method < tally->service->n_methods ? tally->service->methods[method].name
						    : "unknown");
	snprintf(labels, sizeof(labels), "%s,result=\"%s\"", name, STATUS_WORDS[status]);
	m->results[status] = metrics_counter(
		tally->metrics, server ? "bus_requests_total" : "bus_calls_total", labels,
		server ? "Requests answered." : "Requests made of other actors.");
	if (!m->seconds)
		m->seconds = metrics_histogram(
			tally->metrics, server ? "bus_request_seconds" : "bus_call_seconds", name,
			server ? "From receiving a request to its reply."
			       : "From making a request to its end.");
}

void
bus_tally_add(struct bus_tally *tally, unsigned method, enum bus_status status,
	      int64_t microseconds)
{
	if (method > tally->service->n_methods)
		method = tally->service->n_methods;
	if ((unsigned)status >= BUS_STATUSES)
		status = BUS_INTERNAL;
	struct bus_tally_method *m = &tally->methods[method];
	if (!m->results[status])
		make_figures(tally, method, status);
	metric_add(m->results[status], 1);
	metric_observe_us(m->seconds, microseconds > 0 ? (uint64_t)microseconds : 0);
}

void
bus_drops_init(struct bus_drops *drops, struct metrics *metrics)
{
	char labels[64];

	for (int i = 0; i < BUS_DROPS; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", DROP_WORDS[i]);
		drops->figures[i] = metrics_counter(metrics, "bus_drops_total", labels,
						    "Messages dropped by the bus.");
		drops->logged_ms[i] = -DROP_LOG_MS;
	}
}

/* who: may be NULL. */
void
bus_drop(struct bus *bus, enum bus_drop reason, const char *who)
{
	int64_t now_ms = loop_now_ms(bus->loop);

	metric_add(bus->drops.figures[reason], 1);
	if (now_ms - bus->drops.logged_ms[reason] < DROP_LOG_MS)
		return;
	bus->drops.logged_ms[reason] = now_ms;
	log_warn("message_dropped", "reason=%s who=%s", DROP_WORDS[reason], who ? who : "");
}

/*
 * metrics_count: counts the nodes, from time to time, by all pages of discovery's Snapshot, one
 * after the other. Nothing is kept of a node: a count is made anew, at most a twentieth of the
 * time.
 */
#include "metrics/metrics_handlers.h"

#include "discovery.pb-c.h"
#include "loop/clock.h"

enum { PAGE_TIMEOUT_MS = 5000, PERIOD_MIN_MS = 60 * 1000, IDLE_SHARE = 20 };

static void ask(struct metrics_service *metrics, char *cursor);

static void
finish(struct metrics_service *metrics, bool is_whole)
{
	int64_t now_ms = clock_monotonic_ms(), took_ms = now_ms - metrics->count_began_ms;
	int64_t wait_ms = took_ms * IDLE_SHARE;

	metrics->is_counting = false;
	metrics->count_due_ms = now_ms + (wait_ms > PERIOD_MIN_MS ? wait_ms : PERIOD_MIN_MS);
	if (!is_whole)
		return;
	census_fold(&metrics->counting);
	metrics->counted = metrics->counting;
	metrics->has_counted = true;
}

/* Without an answer the last count stands. */
static void
on_page(const Boson__Discovery__SnapshotReply *reply, void *arg)
{
	struct metrics_service *metrics = arg;

	if (reply == NULL) {
		finish(metrics, false);
		return;
	}
	for (size_t i = 0; i < reply->n_nodes; i++) {
		const Boson__Discovery__Node *node = reply->nodes[i];

		census_add(&metrics->counting,
			   node->location == NULL ? NULL : node->location->country, node->status);
	}
	if (reply->next_cursor == NULL || reply->next_cursor[0] == '\0')
		finish(metrics, true);
	else
		ask(metrics, reply->next_cursor);
}

static void
ask(struct metrics_service *metrics, char *cursor)
{
	Boson__Discovery__SnapshotRequest request = BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;

	request.cursor = cursor;
	bus_peer_next(metrics->discovery, PAGE_TIMEOUT_MS, NULL);
	boson__discovery__discovery__snapshot(bus_peer_service(metrics->discovery), &request,
					      on_page, metrics);
}

void
metrics_count_tick(struct metrics_service *metrics, int64_t now_ms)
{
	if (metrics->is_counting || now_ms < metrics->count_due_ms)
		return;
	metrics->is_counting = true;
	metrics->count_began_ms = now_ms;
	census_init(&metrics->counting);
	ask(metrics, NULL);
}

/* metrics_answers: Latest, History and Aggregated: what the tables say of one node. */
#include "metrics/metrics_handlers.h"

#include "loop/clock.h"
#include "metrics/metrics_rollup.h"
#include "metrics/metrics_store.h"
#include "service/caller.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	POINTS_MAX = 300, /* with 200 bytes each, within BUS_MESSAGE_MAX_BYTES */
	RANGE_DEFAULT_MS = 3600 * 1000,
	ROWS_MAX = 10000, /* of one span; two years of days are 731 */
	CURSOR_BYTES = 24,
	RETRY_SEC = 1,
	DAY_MS = 24 * 3600 * 1000,
};

static void
fail_store(void *call)
{
	bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", RETRY_SEC);
}

/* A node about itself, an admin about any. True with the node's id; else it is answered. */
static bool
may_read(const Boson__Common__Caller *caller, const char *node_id, void *call,
	 uint8_t ret_id[UUID_BYTES])
{
	bool may;

	if (node_id == NULL || uuid_parse(node_id, ret_id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "nodeId");
		return false;
	}
	may = caller_is_admin(caller) || caller_is_node(caller, node_id);
	if (!may)
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
	return may;
}

/* So that whoever submitted sees it. True when the tables can be asked; else it is answered. */
static bool
can_read(struct metrics_service *metrics, void *call)
{
	bool more;

	if (metrics_writer_flush(metrics, &more) == 0)
		return true;
	fail_store(call);
	return false;
}

/* ---- Latest ---- */

static void
reply_latest(const struct sample *sample, const Boson__Metrics__LatestRequest *input,
	     Boson__Metrics__Sample_Closure closure, void *call)
{
	Boson__Metrics__Sample reply = BOSON__METRICS__SAMPLE__INIT;

	reply.node_id = input->node_id;
	reply.has_timestamp = 1;
	reply.timestamp = sample->timestamp_ms;
	reply.metrics =
		boson__metrics__figures__unpack(NULL, sample->figures_bytes, sample->figures);
	if (reply.metrics == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", RETRY_SEC);
		return;
	}
	closure(&reply, call);
	boson__metrics__figures__free_unpacked(reply.metrics, NULL);
}

/* Another replica may know more than we do, and the tables what it wrote; while they cannot be
 * asked, what we heard ourselves is still true. */
void
metrics_answer_latest(struct metrics_service *metrics, const Boson__Metrics__LatestRequest *input,
		      Boson__Metrics__Sample_Closure closure, void *call)
{
	const struct sample *heard;
	struct sample *stored = NULL;
	uint8_t id[UUID_BYTES];
	int found;

	if (!may_read(input->caller, input->node_id, call, id))
		return;
	heard = samples_find(&metrics->samples, id);
	found = metrics->store == NULL ? -EIO : metrics_store_latest(metrics->store, id, &stored);
	if (found == 1 && (heard == NULL || stored->timestamp_ms > heard->timestamp_ms))
		reply_latest(stored, input, closure, call);
	else if (heard != NULL)
		reply_latest(heard, input, closure, call);
	else if (found < 0)
		fail_store(call);
	else
		bus_call_fail(call, BUS_NOT_FOUND, "no_metrics", NULL);
	free(stored);
}

/* ---- the span asked for ---- */

/* 0, or -EINVAL and the field. No span is longer than anything is kept (R81). */
static int
parse_range(const struct metrics_service *metrics, const char *start, const char *end,
	    int64_t now_ms, int64_t *ret_from_ms, int64_t *ret_to_ms, const char **ret_field)
{
	*ret_to_ms = now_ms;
	if (end != NULL && metrics_time_parse(end, ret_to_ms) != 0) {
		*ret_field = "endTime";
		return -EINVAL;
	}
	*ret_from_ms = *ret_to_ms > RANGE_DEFAULT_MS ? *ret_to_ms - RANGE_DEFAULT_MS : 0;
	if (start != NULL && metrics_time_parse(start, ret_from_ms) != 0) {
		*ret_field = "startTime";
		return -EINVAL;
	}
	*ret_field = "startTime";
	if (*ret_to_ms - *ret_from_ms > metrics->retention.keep_ms[METRICS_DAY] + DAY_MS)
		return -EINVAL;
	*ret_field = "endTime";
	return *ret_from_ms < *ret_to_ms ? 0 : -EINVAL;
}

/* ---- History ---- */

struct history {
	struct metrics_span span;
	size_t limit;
	struct rollup *rollup; /* borrowed */
	Boson__Metrics__HistoryReply reply;
	char cursor[CURSOR_BYTES];
	Boson__Metrics__Point points[POINTS_MAX], *pointers[POINTS_MAX];
	struct metrics_shape shapes[POINTS_MAX];
};

/* 0 with the values and how many samples they are of; -EBADMSG for a row that cannot be read. */
static int
read_row(struct history *history, const void *bytes, size_t n, struct metrics_values *ret,
	 uint32_t *ret_count)
{
	Boson__Metrics__Figures *figures;

	if (history->span.level != METRICS_RAW) {
		rollup_init(history->rollup);
		if (rollup_unpack_add(history->rollup, bytes, n) != 0)
			return -EBADMSG;
		rollup_view(history->rollup, ROLLUP_POINT, ret);
		*ret_count = (uint32_t)rollup_count(history->rollup);
		return 0;
	}
	figures = boson__metrics__figures__unpack(NULL, n, bytes);
	if (figures == NULL)
		return -EBADMSG;
	metrics_figures_read(figures, ret);
	boson__metrics__figures__free_unpacked(figures, NULL);
	*ret_count = 1;
	return 0;
}

static int
add_point(int64_t at_ms, const void *bytes, size_t n, void *arg)
{
	struct history *history = arg;
	size_t i = history->reply.n_points;
	Boson__Metrics__Point *point = &history->points[i];
	struct metrics_values values;

	if (i == history->limit) {
		(void)snprintf(history->cursor, sizeof(history->cursor), "%" PRId64, at_ms);
		history->reply.next_cursor = history->cursor;
		return 1;
	}
	boson__metrics__point__init(point);
	if (read_row(history, bytes, n, &values, &point->count) != 0)
		return 0;
	metrics_figures_write(&values, &history->shapes[i]);
	point->has_timestamp = point->has_count = 1;
	point->timestamp = at_ms;
	point->metrics = &history->shapes[i].figures;
	history->pointers[history->reply.n_points++] = point;
	return 0;
}

/* Digits of a time in the span. */
static int
parse_cursor(const char *text, int64_t *ret_from_ms)
{
	size_t n = strnlen(text, CURSOR_BYTES);
	int64_t at_ms;

	if (n == 0 || n > 15 || strspn(text, "0123456789") != n)
		return -EINVAL;
	at_ms = strtoll(text, NULL, 10);
	if (at_ms > *ret_from_ms)
		*ret_from_ms = at_ms;
	return 0;
}

/* 0, or -EINVAL and the field that is wrong. */
static int
plan_history(const struct metrics_service *metrics, const Boson__Metrics__HistoryRequest *input,
	     int64_t now_ms, struct history *history, const char **ret_field)
{
	struct metrics_span *span = &history->span;
	int error = parse_range(metrics, input->start_time, input->end_time, now_ms, &span->from_ms,
				&span->to_ms, ret_field);

	if (error != 0)
		return error;
	*ret_field = "limit";
	history->limit = input->has_limit ? input->limit : POINTS_MAX;
	if (history->limit == 0 || history->limit > POINTS_MAX)
		return -EINVAL;
	*ret_field = "interval";
	if (input->interval == NULL)
		span->level = metrics_level_choose(span->from_ms, span->to_ms, now_ms,
						   &metrics->retention, POINTS_MAX);
	else if (metrics_level_parse(input->interval, &span->level) != 0)
		return -EINVAL;
	span->from_ms = metrics_level_floor(span->level, span->from_ms);
	*ret_field = "cursor";
	return input->cursor == NULL ? 0 : parse_cursor(input->cursor, &span->from_ms);
}

static void
reply_history(struct metrics_service *metrics, const uint8_t id[UUID_BYTES],
	      struct history *history, Boson__Metrics__HistoryReply_Closure closure, void *call)
{
	int rows;

	if (!can_read(metrics, call))
		return;
	rows = metrics_store_read(metrics->store, id, &history->span, history->limit + 1, add_point,
				  history);
	if (rows < 0)
		fail_store(call);
	else
		closure(&history->reply, call);
}

void
metrics_answer_history(struct metrics_service *metrics, const Boson__Metrics__HistoryRequest *input,
		       Boson__Metrics__HistoryReply_Closure closure, void *call)
{
	struct history *history;
	const char *field = NULL;
	uint8_t id[UUID_BYTES];

	if (!may_read(input->caller, input->node_id, call, id))
		return;
	history = malloc(sizeof(*history));
	if (history == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", RETRY_SEC);
		return;
	}
	if (plan_history(metrics, input, clock_wall_ms(), history, &field) != 0) {
		bus_call_fail(call, BUS_INVALID, "range", field);
	} else {
		boson__metrics__history_reply__init(&history->reply);
		history->rollup = metrics->rollups;
		history->reply.node_id = input->node_id;
		history->reply.interval =
			(char *)(uintptr_t)metrics_level_name(history->span.level);
		history->reply.points = history->pointers;
		reply_history(metrics, id, history, closure, call);
	}
	free(history);
}

/* ---- Aggregated ---- */

static int
add_rollup(int64_t at_ms, const void *bytes, size_t n, void *arg)
{
	(void)at_ms;
	(void)rollup_unpack_add(arg, bytes, n); /* one that cannot be read is left out */
	return 0;
}

static Boson__Metrics__Figures *
shape(const struct rollup *rollup, enum rollup_view view, struct metrics_shape *ret)
{
	struct metrics_values values;

	rollup_view(rollup, view, &values);
	metrics_figures_write(&values, ret);
	return &ret->figures;
}

static void
reply_aggregated(const struct rollup *rollup, char *node_id, int64_t from_ms, int64_t to_ms,
		 Boson__Metrics__AggregatedReply_Closure closure, void *call)
{
	Boson__Metrics__AggregatedReply reply = BOSON__METRICS__AGGREGATED_REPLY__INIT;
	char start[CLOCK_ISO8601_BYTES], end[CLOCK_ISO8601_BYTES];
	struct metrics_shape shapes[4];

	clock_format_iso8601(from_ms, start);
	clock_format_iso8601(to_ms, end);
	reply.node_id = node_id;
	reply.start_time = start;
	reply.end_time = end;
	reply.has_samples = 1;
	reply.samples = (uint32_t)rollup_count(rollup);
	reply.min = shape(rollup, ROLLUP_MIN, &shapes[0]);
	reply.mean = shape(rollup, ROLLUP_MEAN, &shapes[1]);
	reply.max = shape(rollup, ROLLUP_MAX, &shapes[2]);
	reply.p95 = shape(rollup, ROLLUP_P95, &shapes[3]);
	closure(&reply, call);
}

void
metrics_answer_aggregated(struct metrics_service *metrics,
			  const Boson__Metrics__AggregatedRequest *input,
			  Boson__Metrics__AggregatedReply_Closure closure, void *call)
{
	struct metrics_span spans[METRICS_SPANS_MAX];
	int64_t now_ms = clock_wall_ms(), from_ms, to_ms;
	const char *field = NULL;
	uint8_t id[UUID_BYTES];
	size_t n;
	int rows = 0;

	if (!may_read(input->caller, input->node_id, call, id))
		return;
	if (parse_range(metrics, input->start_time, input->end_time, now_ms, &from_ms, &to_ms,
			&field) != 0) {
		bus_call_fail(call, BUS_INVALID, "range", field);
		return;
	}
	if (!can_read(metrics, call))
		return;
	n = metrics_spans_cover(from_ms, to_ms, now_ms, &metrics->retention, spans);
	rollup_init(metrics->rollups);
	for (size_t i = 0; i < n && rows >= 0; i++)
		rows = metrics_store_read(metrics->store, id, &spans[i], ROWS_MAX, add_rollup,
					  metrics->rollups);
	if (rows < 0)
		fail_store(call);
	else
		reply_aggregated(metrics->rollups, input->node_id, spans[0].from_ms,
				 spans[n - 1].to_ms, closure, call);
}

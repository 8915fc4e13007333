/* metrics: its section of the configuration, its start, its clockwork and its end. */
#include "metrics/metrics_actor.h"

#include "log/log.h"
#include "loop/clock.h"
#include "metrics/metrics_handlers.h"
#include "metrics/metrics_rollup.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 2000,
	FORGET_PERIOD_MS = 60 * 1000,
	OPEN_PERIOD_MS = 2000,
	BATCHES_A_TURN = 4, /* then the mailbox has its turn */
	PATH_BYTES = 512,
	URL_BYTES = PATH_BYTES + 32,
	MINUTE_MS = 60 * 1000,
};

#define HOUR_MS	    (3600 * INT64_C(1000))
#define DAY_MS	    (24 * HOUR_MS)
#define KEEP_MAX_MS (3650 * DAY_MS)

static const struct config_key keys[] = {
	{ "metrics", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the tables; empty: sqlite in the state folder" },
	{ "metrics", "keep_raw", CONFIG_DURATION, "24h", 10 * MINUTE_MS, KEEP_MAX_MS, NULL,
	  "how long every sample is kept" },
	{ "metrics", "keep_minutes", CONFIG_DURATION, "7d", HOUR_MS, KEEP_MAX_MS, NULL,
	  "how long rollups by minute are kept" },
	{ "metrics", "keep_hours", CONFIG_DURATION, "90d", DAY_MS, KEEP_MAX_MS, NULL,
	  "how long rollups by hour are kept; not less than keep_minutes" },
	{ "metrics", "keep_days", CONFIG_DURATION, "730d", DAY_MS, KEEP_MAX_MS, NULL,
	  "how long rollups by day are kept; not less than keep_hours" },
	{ "metrics", "usage_retention", CONFIG_DURATION, "24h", MINUTE_MS, 90 * DAY_MS, NULL,
	  "how long a silent session's usage is kept" },
	{ 0 },
};

static void
read_retention(const struct config *config, struct metrics_retention *ret)
{
	ret->keep_ms[METRICS_RAW] = config_int(config, "metrics", "keep_raw");
	ret->keep_ms[METRICS_MINUTE] = config_int(config, "metrics", "keep_minutes");
	ret->keep_ms[METRICS_HOUR] = config_int(config, "metrics", "keep_hours");
	ret->keep_ms[METRICS_DAY] = config_int(config, "metrics", "keep_days");
}

/* A database that is not there yet is waited for; whatever else is wrong with it ends us. */
static int
open_store(struct metrics_service *metrics)
{
	const struct actor_context *context = metrics->context;
	const char *configured = config_string(context->config, "metrics", "store");
	char url[URL_BYTES], reason[256];
	int error;

	if (configured[0] != '\0')
		(void)snprintf(url, sizeof(url), "%s", configured);
	else
		(void)snprintf(url, sizeof(url), "sqlite:%s/metrics.db", context->state_dir);
	error = metrics_store_open(url, &metrics->store, reason, sizeof(reason));
	metrics->opened_ms = clock_monotonic_ms();
	if (error == 0) {
		log_info("store_opened", "scheme=%.*s", (int)strcspn(url, ":"), url);
		return 0;
	}
	log_error("store_not_opened", "reason=%s", reason);
	return error == -EIO && strncmp(url, "postgresql:", 11) == 0 ? 0 : store_exit_code(error);
}

static void
save(struct loop *loop, void *arg)
{
	struct metrics_service *metrics = arg;
	bool more = true;
	int error = 0;

	for (int i = 0; i < BATCHES_A_TURN && more && error == 0; i++)
		error = metrics_writer_flush(metrics, &more);
	if (error != 0)
		log_warn("figures_not_saved", "error=%d pending=%zu", error,
			 metrics->samples.pending_n);
	else if (more)
		(void)loop_post(loop, save, metrics); /* the mailbox first */
}

static void
forget_old(struct metrics_service *metrics, int64_t now_ms)
{
	if (now_ms - metrics->forgot_ms < FORGET_PERIOD_MS)
		return;
	/* While there is more, a little at each tick: the mailbox is not kept waiting. */
	if (!metrics_writer_forget(metrics, clock_wall_ms()))
		metrics->forgot_ms = now_ms;
}

static void
tick(struct loop *loop, void *arg)
{
	struct metrics_service *metrics = arg;
	int64_t now_ms = loop_now_ms(loop);
	int error = 0;

	if (metrics->store == NULL && now_ms - metrics->opened_ms >= OPEN_PERIOD_MS)
		error = open_store(metrics);
	if (error != 0) {
		actor_failed(metrics->context, error);
		return;
	}
	if (metrics->store != NULL) {
		save(loop, metrics);
		forget_old(metrics, now_ms);
	}
	metric_set(metrics->dropped, (double)(metrics->samples.dropped + metrics->usages.dropped));
	metrics_watch_tick(metrics);
	metrics_count_tick(metrics, now_ms);
}

static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *store = config_string(config, "metrics", "store");
	struct metrics_retention keep;

	if (*store != '\0' && store_check(store, ret_error, error_bytes) != 0)
		return CONFIG_EXIT_CONFIG;
	read_retention(config, &keep);
	if (keep.keep_ms[METRICS_MINUTE] <= keep.keep_ms[METRICS_HOUR] &&
	    keep.keep_ms[METRICS_HOUR] <= keep.keep_ms[METRICS_DAY])
		return 0;
	(void)snprintf(ret_error, error_bytes,
		       "[metrics] keep_minutes, keep_hours, keep_days: none may be less than the "
		       "one before");
	return CONFIG_EXIT_CONFIG;
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct metrics_service *metrics = state;

	if (metrics->store == NULL)
		*ret_reason = "store";
	return metrics->store != NULL;
}

static void
make_metrics(struct metrics_service *metrics)
{
	struct metrics *registry = metrics->context->metrics;

	metrics->accepted =
		metrics_counter(registry, "samples_total", NULL, "Samples that were taken");
	metrics->limited = metrics_counter(registry, "samples_limited_total", NULL,
					   "Samples that came too soon after the last");
	metrics->reports = metrics_counter(registry, "usage_reports_total", NULL,
					   "Reports of what a session used");
	metrics->written =
		metrics_counter(registry, "samples_written_total", NULL, "Samples in the tables");
	metrics->late = metrics_counter(registry, "samples_late_total", NULL,
					"Samples that were not newer than the node's last");
	metrics->dropped = metrics_gauge(registry, "pending_dropped", NULL,
					 "What had to go unwritten because too much was pending");
}

static void
stop(void *state)
{
	struct metrics_service *metrics = state;
	bool more = metrics->store != NULL;

	loop_timer_stop(&metrics->timer);
	metrics_watch_stop(metrics);
	while (more && metrics_writer_flush(metrics, &more) == 0)
		;
	samples_fini(&metrics->samples);
	usages_fini(&metrics->usages);
	store_close(&metrics->store);
	free(metrics->rollups);
	free(metrics);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct metrics_service *metrics = calloc(1, sizeof(*metrics));
	int error;

	if (metrics == NULL)
		return -ENOMEM;
	metrics->service = metrics_mailbox;
	metrics->context = context;
	metrics->usage_retention_ms = config_int(context->config, "metrics", "usage_retention");
	read_retention(context->config, &metrics->retention);
	make_metrics(metrics);
	metrics->rollups = calloc(METRICS_DAY, sizeof(*metrics->rollups));
	error = metrics->rollups == NULL ? -ENOMEM : samples_init(&metrics->samples);
	if (error == 0)
		error = usages_init(&metrics->usages);
	if (error == 0)
		error = open_store(metrics);
	if (error == 0)
		error = metrics_watch_start(metrics);
	if (error == 0) {
		error = bus_serve(context->bus, actor_endpoint(context, "metrics"),
				  &metrics->service.base, NULL);
		if (error != 0)
			log_error("mailbox_not_opened", "error=%d", error);
	}
	if (error == 0)
		error = loop_timer_start(context->loop, TICK_MS, TICK_MS, tick, metrics,
					 &metrics->timer);
	if (error != 0) {
		stop(metrics);
		return error;
	}
	log_info("started", "store=%s", metrics->store != NULL ? "open" : "awaited");
	*ret_state = metrics;
	return 0;
}

const struct actor metrics_actor = {
	.name = "metrics",
	.product = "boson",
	.keys = keys,
	.start = start,
	.is_ready = is_ready,
	.stop = stop,
	.check = check,
};

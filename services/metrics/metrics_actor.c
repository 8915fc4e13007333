/* metrics: its section of the configuration, its start, its clockwork and its end. */
#include "metrics/metrics_actor.h"

#include "log/log.h"
#include "loop/clock.h"
#include "metrics/metrics_handlers.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TICK_MS = 5000,
	SAVE_BATCH = 1000, /* of each kind, in one transaction */
	FORGET_BATCH = 10000,
	FORGET_PERIOD_MS = 60 * 1000,
	PATH_BYTES = 512,
	URL_BYTES = PATH_BYTES + 32,
};

static const struct config_key keys[] = {
	{ "metrics", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the tables; empty: sqlite in the state folder" },
	{ "metrics", "usage_retention", CONFIG_DURATION, "24h", 60 * 1000, 90 * 24 * 3600 * 1000LL,
	  NULL, "how long a silent session's usage is kept" },
	{ 0 },
};

static int
write_batch(struct metrics_service *metrics, struct sample **samples, size_t *n_samples,
	    struct usage **usages, size_t *n_usages)
{
	int error = store_begin(metrics->store);

	while (error == 0 && *n_samples < SAVE_BATCH &&
	       (samples[*n_samples] = samples_take_unsaved(&metrics->samples)) != NULL)
		error = metrics_store_put_sample(metrics->store, samples[(*n_samples)++]);
	while (error == 0 && *n_usages < SAVE_BATCH &&
	       (usages[*n_usages] = usages_take_unsaved(&metrics->usages)) != NULL)
		error = metrics_store_put_usage(metrics->store, &usages[(*n_usages)++]->record);
	if (error == 0)
		return store_commit(metrics->store);
	store_rollback(metrics->store);
	return error;
}

/* What was taken and not written is noted again. *ret_more: there is more to do. */
static int
save(struct metrics_service *metrics, bool *ret_more)
{
	struct sample *samples[SAVE_BATCH];
	struct usage *usages[SAVE_BATCH];
	size_t n_samples = 0, n_usages = 0;
	int error = write_batch(metrics, samples, &n_samples, usages, &n_usages);

	*ret_more = n_samples == SAVE_BATCH || n_usages == SAVE_BATCH;
	if (error == 0)
		return 0;
	for (size_t i = 0; i < n_samples; i++)
		samples_put_unsaved(&metrics->samples, samples[i]);
	for (size_t i = 0; i < n_usages; i++)
		usages_put_unsaved(&metrics->usages, usages[i]);
	return error;
}

static void
forget_old(struct metrics_service *metrics, int64_t now_ms)
{
	uint8_t id[UUID_BYTES];

	if (now_ms - metrics->forgot_ms < FORGET_PERIOD_MS)
		return;
	metrics->forgot_ms = now_ms;
	for (size_t n = 0; n < FORGET_BATCH; n++)
		if (!usages_forget(&metrics->usages, now_ms - metrics->usage_retention_ms, id))
			break;
	if (metrics_store_forget_usage(metrics->store,
				       clock_wall_ms() - metrics->usage_retention_ms) != 0)
		log_warn("usage_not_forgotten", "error=%d", -EIO);
}

static void
tick(struct loop *loop, void *arg)
{
	struct metrics_service *metrics = arg;
	bool more;
	int error = save(metrics, &more);

	if (error != 0)
		log_warn("figures_not_saved", "error=%d", error);
	forget_old(metrics, loop_now_ms(loop));
	metrics_watch_tick(metrics);
}

static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *store = config_string(config, "metrics", "store");

	if (*store == '\0' || store_check(store, ret_error, error_bytes) == 0)
		return 0;
	return CONFIG_EXIT_CONFIG;
}

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
	if (error != 0) {
		log_error("store_not_opened", "reason=%s", reason);
		return store_exit_code(error);
	}
	error = metrics_store_load(metrics->store, &metrics->samples, &metrics->usages,
				   clock_monotonic_ms());
	if (error != 0)
		log_error("figures_not_loaded", "error=%d", error);
	return error;
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
}

static void
stop(void *state)
{
	struct metrics_service *metrics = state;
	bool more = metrics->store != NULL;

	loop_timer_stop(&metrics->timer);
	metrics_watch_stop(metrics);
	while (more && save(metrics, &more) == 0)
		;
	samples_fini(&metrics->samples);
	usages_fini(&metrics->usages);
	store_close(&metrics->store);
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
	make_metrics(metrics);
	error = samples_init(&metrics->samples);
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
	log_info("started", "nodes=%zu sessions=%zu", metrics->samples.by_node.count,
		 metrics->usages.by_session.count);
	*ret_state = metrics;
	return 0;
}

const struct actor metrics_actor = {
	.name = "metrics",
	.product = "boson",
	.keys = keys,
	.start = start,
	.stop = stop,
	.check = check,
};

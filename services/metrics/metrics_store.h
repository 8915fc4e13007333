/*
 * metrics_store: the latest samples and the usage of sessions; the only SQL of metrics. Written
 * behind by metrics_actor, read when it starts.
 */
#pragma once

#include "metrics/metrics_samples.h"
#include "metrics/metrics_usage.h"
#include "store/store.h"

int metrics_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* Each 0 or -EIO. */
int metrics_store_put_sample(struct store *store, const struct sample *sample);
int metrics_store_put_usage(struct store *store, const struct usage_record *record);
int metrics_store_forget_usage(struct store *store, int64_t reported_before_ms);

/* All rows into the models. 0, -EIO, -ENOMEM, -EBADMSG for a row that cannot be read. */
int metrics_store_load(struct store *store, struct samples *samples, struct usages *usages,
		       int64_t now_ms);

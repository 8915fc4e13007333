/* metrics_store_inside: what the files of metrics_store share. Only they include it. */
#pragma once

#include "metrics/metrics_store.h"

#include <errno.h>

static inline struct store_value
id_value(const uint8_t id[UUID_BYTES])
{
	return store_blob(id, UUID_BYTES);
}

/* Of store_exec and store_query, where how many is no matter. */
static inline int
done(int changed)
{
	return changed < 0 ? -EIO : 0;
}

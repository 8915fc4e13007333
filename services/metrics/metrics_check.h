/* metrics_check: are a node's figures well formed and in range? No I/O, no clock. */
#pragma once

#include "metrics.pb-c.h"
#include "service/fields.h"

#include <stdint.h>

enum { METRICS_CLOCK_OFF_MAX_MS = 5 * 60 * 1000, METRICS_LOAD_AVERAGES = 3 };

/* 0, or -EINVAL and *ret_problem. */
int metrics_check_submit(const Boson__Metrics__SubmitRequest *request, int64_t now_wall_ms,
			 struct field_problem *ret_problem);

/*
 * bus_bench_figures: percentiles, and the bytes that bus and bare libzmq both send.
 */
#include "bus_bench.h"

#include "bus.pb-c.h"
#include "bus/bus.h"
#include "echo.pb-c.h"
#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
bench_fail(const char *what)
{
	fprintf(stderr, "bus_bench: %s\n", what);
	exit(EXIT_FAILURE);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
bench_percentile(double *samples, size_t n, double percent)
{
	if (n == 0)
		return 0;
	qsort(samples, n, sizeof(*samples), compare);
	size_t at = (size_t)((double)(n - 1) * percent / 100.0 + 0.5);
	return samples[at];
}

size_t
bench_head(uint8_t bytes[BENCH_FRAME_BYTES])
{
	Boson__Bus__RequestHead head = BOSON__BUS__REQUEST_HEAD__INIT;
	uint8_t trace[16] = { 1 };

	head.version = 1;
	head.correlation = (uint64_t)100000 << 16;
	head.method = (char *)(uintptr_t) "boson.test.Echo/Say";
	head.has_timeout_ms = head.has_trace = head.has_local_deadline_ms = true;
	head.timeout_ms = BUS_DEADLINE_DEFAULT_MS;
	head.trace.data = trace;
	head.trace.len = sizeof(trace);
	head.local_deadline_ms = clock_monotonic_ms();
	return boson__bus__request_head__pack(&head, bytes);
}

size_t
bench_body(const struct bench_setup *setup, uint8_t bytes[BENCH_FRAME_BYTES])
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	char text[BENCH_FRAME_BYTES / 2];

	memset(text, 'x', setup->text_bytes);
	text[setup->text_bytes] = '\0';
	words.text = text;
	return boson__test__words__pack(&words, bytes);
}

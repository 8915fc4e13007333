/* routes_load: time, percentiles, and how runs are printed. */
#include "routes_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void
load_fail(const char *what)
{
	fprintf(stderr, "routes_load: %s\n", what);
	exit(EXIT_FAILURE);
}

double
load_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
load_percentile(double *samples, size_t n, double percent)
{
	if (n == 0)
		return 0;
	qsort(samples, n, sizeof(*samples), compare);
	return samples[(size_t)((double)(n - 1) * percent / 100.0 + 0.5)];
}

void
load_print_runs(const char *name, double *runs, size_t n)
{
	double median = load_percentile(runs, n, 50);

	printf("\"%s\":{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f}", name, median, runs[0],
	       runs[n - 1]);
}

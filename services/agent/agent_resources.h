/*
 * agent_resources: how busy this machine is, from /proc, for the heartbeat. Figures that cannot be
 * read are absent, never guessed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Sums since boot; two readings make a percentage. */
struct resources {
	bool has_cpu, has_memory;
	uint64_t cpu_busy, cpu_total; /* jiffies of all processors */
	double memory_percent;	      /* used, what could be freed not counted */
};

/* folder: "/proc", or a test's. */
void resources_read(const char *folder, struct resources *ret);

/* Busy share between two readings in percent; false when it cannot be told. */
bool resources_cpu_percent(const struct resources *before, const struct resources *now,
			   double *ret_percent);

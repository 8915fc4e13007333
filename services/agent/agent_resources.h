/*
 * agent_resources: how busy this machine is, from /proc, for the heartbeat and the
 * metrics. Figures that cannot be
 * read are absent, never guessed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Sums since boot; two readings make a percentage. */
struct resources {
	bool has_cpu, has_memory, has_load;
	uint64_t cpu_busy, cpu_total; /* jiffies of all processors */
	double memory_percent;	      /* used, what could be freed not counted */
	double load[3];		      /* load average of 1, 5 and 15 minutes */
};

/* folder: "/proc", or a test's. */
void resources_read(const char *folder, struct resources *ret);

/* How full the disk of a folder is, for those who are not root; false when it cannot be told. */
bool resources_disk_percent(const char *folder, double *ret_percent);

/* Busy share between two readings in percent; false when it cannot be told. */
bool resources_cpu_percent(const struct resources *before, const struct resources *now,
			   double *ret_percent);

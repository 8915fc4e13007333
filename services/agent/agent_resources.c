/*
 * agent_resources: /proc/stat, /proc/meminfo and /proc/loadavg (proc(5)), statvfs(3).
 */
#include "agent/agent_resources.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { CPU_FIELDS = 8, CPU_IDLE = 3, CPU_IOWAIT = 4, LINE_BYTES = 256 };

static FILE *
open_in(const char *folder, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return NULL;
	return fopen(path, "re");
}

/* The first line: "cpu  user nice system idle iowait irq softirq steal ...". guest is part of user.
 */
static bool
parse_cpu(const char *line, struct resources *ret)
{
	uint64_t jiffies[CPU_FIELDS] = { 0 };
	int n = sscanf(line,
		       "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		       " %" SCNu64 " %" SCNu64,
		       &jiffies[0], &jiffies[1], &jiffies[2], &jiffies[3], &jiffies[4], &jiffies[5],
		       &jiffies[6], &jiffies[7]);

	if (n <= CPU_IDLE)
		return false;
	ret->cpu_total = 0;
	for (int i = 0; i < CPU_FIELDS; i++)
		ret->cpu_total += jiffies[i];
	ret->cpu_busy = ret->cpu_total - jiffies[CPU_IDLE] - jiffies[CPU_IOWAIT];
	return true;
}

static void
read_cpu(const char *folder, struct resources *ret)
{
	FILE *file = open_in(folder, "stat");
	char line[LINE_BYTES];

	if (!file)
		return;
	ret->has_cpu = fgets(line, sizeof(line), file) && parse_cpu(line, ret);
	fclose(file);
}

static void
read_memory(const char *folder, struct resources *ret)
{
	FILE *file = open_in(folder, "meminfo");
	uint64_t total = 0, available = 0;
	bool has_available = false;
	char line[LINE_BYTES];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		(void)sscanf(line, "MemTotal: %" SCNu64, &total);
		if (sscanf(line, "MemAvailable: %" SCNu64, &available) == 1)
			has_available = true;
	}
	fclose(file);
	ret->has_memory = has_available && total > 0 && available <= total;
	if (ret->has_memory)
		ret->memory_percent = 100.0 * (double)(total - available) / (double)total;
}

static void
read_load(const char *folder, struct resources *ret)
{
	FILE *file = open_in(folder, "loadavg");

	if (!file)
		return;
	ret->has_load =
		fscanf(file, "%lf %lf %lf", &ret->load[0], &ret->load[1], &ret->load[2]) == 3;
	fclose(file);
}

bool
resources_disk_percent(const char *folder, double *ret_percent)
{
	struct statvfs disk;
	uint64_t used;

	if (statvfs(folder, &disk) != 0 || disk.f_bfree > disk.f_blocks)
		return false;
	used = disk.f_blocks - disk.f_bfree;
	if (used + disk.f_bavail == 0)
		return false;
	*ret_percent = 100.0 * (double)used / (double)(used + disk.f_bavail);
	return true;
}

void
resources_read(const char *folder, struct resources *ret)
{
	memset(ret, 0, sizeof(*ret));
	read_cpu(folder, ret);
	read_memory(folder, ret);
	read_load(folder, ret);
}

bool
resources_cpu_percent(const struct resources *before, const struct resources *now,
		      double *ret_percent)
{
	/* The sums of a processor that was unplugged, or of idle time, may go back. */
	if (!before->has_cpu || !now->has_cpu || now->cpu_total <= before->cpu_total ||
	    now->cpu_busy < before->cpu_busy ||
	    now->cpu_busy - before->cpu_busy > now->cpu_total - before->cpu_total)
		return false;
	*ret_percent = 100.0 * (double)(now->cpu_busy - before->cpu_busy) /
		       (double)(now->cpu_total - before->cpu_total);
	return true;
}

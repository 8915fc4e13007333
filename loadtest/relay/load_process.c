/*
 * load_process: schedstat counts what the kernel does for a thread, softirqs in its context too.
 */
#include "load_process.h"

#include "load_line.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t
process_ns(int pid)
{
	char path[300];
	uint64_t sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	const struct dirent *task;
	if (tasks == NULL)
		load_die("no process %d", pid);
	while ((task = readdir(tasks)) != NULL) {
		unsigned long long ns = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, task->d_name);
		if (task->d_name[0] == '.' || (file = fopen(path, "re")) == NULL)
			continue;
		if (fscanf(file, "%llu", &ns) == 1)
			sum += ns;
		fclose(file);
	}
	closedir(tasks);
	return sum;
}

static long
process_kib(int pid)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		load_die("no process %d", pid);
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

uint64_t
load_process_ns(const char *pids)
{
	uint64_t sum = 0;

	for (const char *at = pids; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		sum += process_ns(atoi(at));
	}
	return sum;
}

long
load_process_kib(const char *pids)
{
	long sum = 0;

	for (const char *at = pids; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		sum += process_kib(atoi(at));
	}
	return sum;
}

double
load_process_own_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

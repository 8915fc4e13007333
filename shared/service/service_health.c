/* Writes the answers of the admin address. See service_health.h. */
#include "service/service_health.h"

#include "log/log.h"
#include "log/text_file.h"
#include "loop/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STALL_MS = 10 * 1000, HTTP_OK = 200, HTTP_UNAVAILABLE = 503, ACTORS_MAX = 16 };

/* The reasons are ours; quotes are all that could hurt. */
static void
write_text(FILE *file, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		if ((unsigned char)*text >= 0x20)
			fputc(*text, file);
	}
}

static void
write_reason(FILE *file, size_t *count, const char *actor, const char *reason)
{
	fprintf(file, "%s\"", *count == 0 ? ",\"reasons\":[" : ",");
	write_text(file, actor);
	fprintf(file, ": ");
	write_text(file, reason);
	fprintf(file, "\"");
	++*count;
}

/* The status comes first in the text but is known last, so the reasons are written apart. */
static int
answer(struct text_file *file, size_t count, char **ret_body, size_t *ret_bytes)
{
	struct text_file body;
	char *reasons;

	*ret_body = NULL;
	if (text_file_close(file, &reasons, NULL) < 0)
		return HTTP_UNAVAILABLE;
	if (text_file_open(&body) == 0) {
		fprintf(body.stream, "{\"status\":\"%s\"%s%s}\n", count == 0 ? "ok" : "unavailable",
			reasons, count == 0 ? "" : "]");
		(void)text_file_close(&body, ret_body, ret_bytes);
	}
	free(reasons);
	return count == 0 ? HTTP_OK : HTTP_UNAVAILABLE;
}

/* An actor that has not begun, or has ended, is not stuck. */
static bool
is_stuck(const struct service_actor *actor, int64_t now_ms)
{
	int64_t turned_at_ms = atomic_load(&actor->turned_at_ms);

	return actor->has_thread && turned_at_ms != 0 && now_ms - turned_at_ms > STALL_MS;
}

int
service_health_live(void *arg, char **ret_body, size_t *ret_bytes)
{
	const struct service_health *health = arg;
	int64_t now_ms = clock_monotonic_ms();
	struct text_file file;
	size_t count = 0;

	*ret_body = NULL;
	if (text_file_open(&file) < 0)
		return HTTP_UNAVAILABLE;
	for (size_t i = 0; i < health->n; i++)
		if (is_stuck(&health->actors[i], now_ms))
			write_reason(file.stream, &count, health->actors[i].actor->name,
				     "its loop does not turn");
	return answer(&file, count, ret_body, ret_bytes);
}

int
service_health_ready(void *arg, char **ret_body, size_t *ret_bytes)
{
	const struct service_health *health = arg;
	int64_t now_ms = clock_monotonic_ms();
	struct text_file file;
	size_t count = 0;

	*ret_body = NULL;
	if (text_file_open(&file) < 0)
		return HTTP_UNAVAILABLE;
	if (health->unready_all != NULL)
		write_reason(file.stream, &count, health->product, health->unready_all);
	for (size_t i = 0; i < health->n; i++) {
		const struct service_actor *actor = &health->actors[i];
		const char *reason = atomic_load(&actor->unready_reason);

		if (is_stuck(actor, now_ms))
			reason = "its loop does not turn";
		if (reason != NULL)
			write_reason(file.stream, &count, actor->actor->name, reason);
	}
	return answer(&file, count, ret_body, ret_bytes);
}

static unsigned
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		n++;
	closedir(folder);
	return n > 3 ? n - 3 : 0; /* without ".", ".." and the folder itself */
}

static uint64_t
resident_bytes(void)
{
	uint64_t size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
write_figure(FILE *file, const char *name, const char *type, const char *help, double value)
{
	fprintf(file, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
		value);
}

/* Names of the Prometheus client libraries, so that common dashboards fit. */
static void
write_process(FILE *file, const struct service_health *health)
{
	struct rusage usage = { 0 };
	struct rlimit limit = { 0 };
	double cpu_sec;
	char name[64];

	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &limit);
	cpu_sec = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	write_figure(file, "process_resident_memory_bytes", "gauge", "Memory in use.",
		     (double)resident_bytes());
	write_figure(file, "process_open_fds", "gauge", "Open descriptors.", count_descriptors());
	write_figure(file, "process_max_fds", "gauge", "Descriptors at most.",
		     (double)limit.rlim_cur);
	write_figure(file, "process_cpu_seconds_total", "counter", "CPU time.", cpu_sec);
	write_figure(file, "process_start_time_seconds", "gauge", "Start, since the epoch.",
		     (double)health->started_at_ms / 1e3);
	snprintf(name, sizeof(name), "%s_uptime_seconds", health->product);
	write_figure(file, name, "gauge", "Since the start.",
		     (double)(clock_wall_ms() - health->started_at_ms) / 1e3);
	snprintf(name, sizeof(name), "%s_log_lost_total", health->product);
	write_figure(file, name, "counter", "Log lines that nobody took.",
		     (double)log_lost_count());
}

int
service_health_metrics(void *arg, char **ret_body, size_t *ret_bytes)
{
	const struct service_health *health = arg;
	struct metrics *registries[ACTORS_MAX];
	char *text = NULL;
	size_t n = 0, text_n = 0;
	struct text_file file;

	*ret_body = NULL;
	for (size_t i = 0; i < health->n && n < ACTORS_MAX; i++)
		registries[n++] = health->actors[i].context.metrics;
	if (metrics_write(registries, n, &text, &text_n) < 0)
		return HTTP_UNAVAILABLE;
	if (text_file_open(&file) == 0) {
		fwrite(text, 1, text_n, file.stream);
		write_process(file.stream, health);
		(void)text_file_close(&file, ret_body, ret_bytes);
	}
	free(text);
	return *ret_body != NULL ? HTTP_OK : HTTP_UNAVAILABLE;
}

/*
 * metrics_load: what metrics costs.
 *
 *	metrics_load sqlite|postgresql NODES DAYS [QUERIES [ROUNDS]]
 *
 * Fills the tables with DAYS of rollups of NODES nodes (printed: how many rows and bytes, in what
 * time), then asks for history (by hour, by day) and aggregates of random nodes over all of it, by
 * the service's own handlers, and then writes ROUNDS samples of each node. The database is its own,
 * in a folder under /tmp that goes however the program ends: no bus, no network. PostgreSQL has
 * 1 GB of shared buffers; both sync what they commit.
 */
#include "metrics_load.h"

#include "loop/clock.h"
#include "metrics/metrics_store.h"
#include "servers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUERIES = 300, ROUNDS = 3, DAY_MS = 24 * 3600 * 1000 };

static struct servers servers;
static struct metrics_service metrics;
static char database[SERVERS_PATH_BYTES];

/* ---- what handlers need of the bus: an answer is packed, as the bus would ---- */

static uint8_t answer[BUS_MESSAGE_MAX_BYTES];
static size_t answer_bytes;
static char next_cursor[32];

static void
on_history(const Boson__Metrics__HistoryReply *reply, void *data)
{
	(void)data;
	answer_bytes += boson__metrics__history_reply__pack(reply, answer);
	(void)snprintf(next_cursor, sizeof(next_cursor), "%s",
		       reply->next_cursor != NULL ? reply->next_cursor : "");
}

static void
on_aggregated(const Boson__Metrics__AggregatedReply *reply, void *data)
{
	(void)data;
	answer_bytes += boson__metrics__aggregated_reply__pack(reply, answer);
}

/* ---- asking ---- */

struct question {
	const char *name, *interval; /* NULL: aggregated */
};

/* All pages. */
static void
ask(const struct question *question, char *node, char *start, char *end)
{
	Boson__Metrics__HistoryRequest history = BOSON__METRICS__HISTORY_REQUEST__INIT;
	Boson__Metrics__AggregatedRequest aggregated = BOSON__METRICS__AGGREGATED_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;
	char cursor[sizeof(next_cursor)];

	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__ADMIN;
	history.caller = aggregated.caller = &caller;
	history.node_id = aggregated.node_id = node;
	history.start_time = aggregated.start_time = start;
	history.end_time = aggregated.end_time = end;
	history.interval = (char *)(uintptr_t)question->interval;
	if (question->interval == NULL) {
		metrics_answer_aggregated(&metrics, &aggregated, on_aggregated, NULL);
		return;
	}
	do {
		metrics_answer_history(&metrics, &history, on_history, NULL);
		memcpy(cursor, next_cursor, sizeof(cursor));
		history.cursor = cursor;
	} while (cursor[0] != '\0');
}

static int
compare(const void *a, const void *b)
{
	const int64_t *one = a, *two = b;

	return (*one > *two) - (*one < *two);
}

static void
ask_all(size_t nodes, size_t days, int64_t end_ms, size_t queries)
{
	static const struct question questions[] = {
		{ "history by hour", "hour" },
		{ "history by day", "day" },
		{ "aggregated", NULL },
	};
	char start[CLOCK_ISO8601_BYTES], end[CLOCK_ISO8601_BYTES], node[UUID_TEXT_BYTES];
	int64_t *took_us = calloc(queries, sizeof(*took_us));
	uint8_t id[UUID_BYTES];

	if (took_us == NULL)
		return;
	clock_format_iso8601(end_ms - (int64_t)days * DAY_MS, start);
	clock_format_iso8601(end_ms, end);
	for (size_t q = 0; q < sizeof(questions) / sizeof(questions[0]); q++) {
		answer_bytes = 0;
		for (size_t i = 0; i < queries; i++) {
			int64_t began_us = clock_monotonic_us();

			load_node_id((i * 7919 + q * 31) % nodes, id);
			uuid_format(id, node);
			ask(&questions[q], node, start, end);
			took_us[i] = clock_monotonic_us() - began_us;
		}
		qsort(took_us, queries, sizeof(*took_us), compare);
		printf("  %-16s over %3zu days: median %7.2f ms, p99 %7.2f ms, worst %7.2f ms,"
		       " answer %zu bytes (%zu queries)\n",
		       questions[q].name, days, (double)took_us[queries / 2] / 1000,
		       (double)took_us[queries * 99 / 100] / 1000,
		       (double)took_us[queries - 1] / 1000, answer_bytes / queries, queries);
	}
	free(took_us);
}

/* ---- taking in ---- */

static int
write_round(size_t nodes, int64_t at_ms, int64_t minutes)
{
	struct metrics_values values;
	struct metrics_shape shape;
	uint8_t id[UUID_BYTES], packed[512];
	bool more = true;
	int error = 0;

	for (size_t i = 0; i < nodes && error == 0; i++) {
		size_t n;

		load_node_id(i, id);
		load_values(i, minutes, &values);
		metrics_figures_write(&values, &shape);
		n = boson__metrics__figures__pack(&shape.figures, packed);
		error = samples_put(&metrics.samples, id, at_ms, packed, n, minutes * 60000);
	}
	while (error == 0 && more)
		error = metrics_writer_flush(&metrics, &more);
	return error;
}

static int
write_all(size_t nodes, int64_t end_ms, size_t rounds)
{
	double slowest = 0, fastest = 0;

	for (size_t round = 0; round < rounds; round++) {
		int64_t began_us = clock_monotonic_us();
		double rate;

		if (write_round(nodes, end_ms + (int64_t)(round + 1) * 60000, (int64_t)round) != 0)
			return -EIO;
		rate = (double)nodes * 1e6 / (double)(clock_monotonic_us() - began_us);
		slowest = round == 0 || rate < slowest ? rate : slowest;
		fastest = rate > fastest ? rate : fastest;
	}
	printf("  samples written: %.0f to %.0f a second in %zu rounds of %zu:"
	       " one each 60 s of %.0f nodes\n",
	       slowest, fastest, rounds, nodes, slowest * 60);
	return 0;
}

/* ---- the tables ---- */

static int
see_bytes(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	*(int64_t *)arg = row[0].integer;
	return 0;
}

static int64_t
database_bytes(bool is_postgresql)
{
	int64_t bytes = 0;
	struct stat status;

	if (is_postgresql)
		(void)store_query(metrics.store,
				  "SELECT pg_total_relation_size('rollups'::regclass)", NULL, 0,
				  see_bytes, &bytes);
	else if (stat(database, &status) == 0)
		bytes = status.st_size;
	return bytes;
}

static int
open_tables(bool is_postgresql)
{
	char url[SERVERS_URL_BYTES], reason[256] = "";
	int error;

	(void)snprintf(database, sizeof(database), "%s/metrics.db", servers.folder);
	(void)snprintf(url, sizeof(url), "sqlite:%s", database);
	if (is_postgresql) {
		servers.is_large = true;
		if (servers_postgresql_start(&servers) != 0)
			return -EIO;
		servers_postgresql_url(&servers, "metrics", url);
	}
	error = metrics_store_open(url, &metrics.store, reason, sizeof(reason));
	if (error != 0)
		(void)fprintf(stderr, "%s\n", reason);
	return error;
}

static int
measure(bool is_postgresql, size_t nodes, size_t days, size_t queries, size_t rounds)
{
	int64_t end_ms = clock_wall_ms() / DAY_MS * DAY_MS, began_ms = clock_monotonic_ms();
	int error = load_fill(metrics.store, is_postgresql ? &servers : NULL, nodes, days, end_ms);

	if (error != 0)
		return error;
	printf("%s, %zu nodes, %zu days: %zu rollups, %.1f MB, filled in %.1f s\n",
	       is_postgresql ? "postgresql" : "sqlite", nodes, days, nodes * days * 25,
	       (double)database_bytes(is_postgresql) / 1e6,
	       (double)(clock_monotonic_ms() - began_ms) / 1000);
	ask_all(nodes, days, end_ms, queries);
	return rounds == 0 ? 0 : write_all(nodes, end_ms, rounds);
}

static struct metrics *
prepare_service(void)
{
	struct metrics *registry = NULL;

	if (metrics_new("load", &registry) != 0 || samples_init(&metrics.samples) != 0 ||
	    usages_init(&metrics.usages) != 0)
		return NULL;
	metrics.written = metrics_counter(registry, "written_total", NULL, "Written.");
	metrics.late = metrics_counter(registry, "late_total", NULL, "Late.");
	metrics.rollups = calloc(METRICS_DAY, sizeof(*metrics.rollups));
	for (int i = METRICS_RAW; i < METRICS_LEVELS; i++)
		metrics.retention.keep_ms[i] = 1000 * (int64_t)DAY_MS;
	return metrics.rollups == NULL ? NULL : registry;
}

struct task {
	bool is_postgresql;
	size_t nodes, days, queries, rounds;
};

static int
run(const struct task *task)
{
	struct metrics *registry = prepare_service();
	int error = registry == NULL ? -ENOMEM : open_tables(task->is_postgresql);

	if (error == 0)
		error = measure(task->is_postgresql, task->nodes, task->days, task->queries,
				task->rounds);
	store_close(&metrics.store);
	if (error != 0)
		(void)fprintf(stderr, "failed: %s\n", strerror(-error));
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A child does it, and the folder with its GBs goes when that and its database have ended, by
 * whatever. */
static int
run_and_clean_up(const struct task *task)
{
	int signal = 0, status = 0;
	sigset_t ends;
	pid_t child;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGHUP);
	(void)sigaddset(&ends, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (servers_init(&servers) < 0)
		return EXIT_FAILURE;
	child = fork();
	if (child == 0) {
		(void)sigprocmask(SIG_UNBLOCK, &ends, NULL);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(run(task));
	}
	while (waitpid(child, &status, WNOHANG) == 0 && sigwait(&ends, &signal) == 0)
		if (signal != SIGCHLD)
			(void)kill(child, SIGKILL);
	while (wait(NULL) > 0) /* PostgreSQL's, ours since their parent went */
		continue;
	servers_fini(&servers);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct task task = { .queries = QUERIES, .rounds = ROUNDS };

	if (argc < 4 || argc > 6) {
		(void)fprintf(stderr,
			      "metrics_load sqlite|postgresql NODES DAYS [QUERIES [ROUNDS]]\n");
		return EXIT_FAILURE;
	}
	task.is_postgresql = strcmp(argv[1], "postgresql") == 0;
	task.nodes = strtoul(argv[2], NULL, 10);
	task.days = strtoul(argv[3], NULL, 10);
	if (argc > 4)
		task.queries = strtoul(argv[4], NULL, 10);
	if (argc > 5)
		task.rounds = strtoul(argv[5], NULL, 10);
	if (task.nodes == 0 || task.days == 0 || task.queries == 0)
		return EXIT_FAILURE;
	printf("build %s, %s, %ld cores\n", METRICS_LOAD_BUILD, METRICS_LOAD_COMPILER,
	       sysconf(_SC_NPROCESSORS_ONLN));
	(void)fflush(stdout); /* before there are two of us */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	return run_and_clean_up(&task);
}

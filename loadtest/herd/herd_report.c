/* herd_report: see the header. */
#include "herd_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LATENCIES_MAX = 1 << 22, US_PER_MS = 1000, SECOND_MS = 1000 };

static struct {
	int64_t *values;
	size_t n;
} latencies[HERD_PHASES];

static struct {
	pid_t pids[HERD_RELAYS_MAX];
	unsigned n;
	int64_t busy_ms[HERD_RELAYS_MAX], at_us;
	int64_t second_busy_ms[HERD_RELAYS_MAX], second_us; /* since the last whole second */
	double busiest[HERD_RELAYS_MAX];
} processors;

void
herd_report_latency(int64_t us, enum herd_phase phase)
{
	if (latencies[phase].values == NULL)
		latencies[phase].values = malloc(LATENCIES_MAX * sizeof(int64_t));
	if (latencies[phase].n < LATENCIES_MAX)
		latencies[phase].values[latencies[phase].n++] = us;
}

void
herd_report_quiet(void)
{
	latencies[HERD_BEFORE].n = 0;
}

static int64_t
busy_ms(pid_t pid)
{
	char path[64];
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &system) != 2)
		user = system = 0;
	fclose(file);
	return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

void
herd_report_begin(const pid_t *pids, unsigned n)
{
	processors.n = n;
	processors.at_us = herd_now_us();
	for (unsigned i = 0; i < n; i++) {
		processors.pids[i] = pids[i];
		processors.busy_ms[i] = processors.second_busy_ms[i] = busy_ms(pids[i]);
	}
	processors.second_us = processors.at_us;
}

void
herd_report_turn(int64_t now_us)
{
	double passed_ms = (double)(now_us - processors.second_us) / US_PER_MS;

	if (processors.n == 0 || passed_ms < SECOND_MS)
		return;
	processors.second_us = now_us;
	for (unsigned i = 0; i < processors.n; i++) {
		int64_t busy = busy_ms(processors.pids[i]);
		double cores = (double)(busy - processors.second_busy_ms[i]) / passed_ms;

		processors.second_busy_ms[i] = busy;
		if (cores > processors.busiest[i])
			processors.busiest[i] = cores;
	}
}

static int
by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t
percentile(int64_t *values, size_t n, double p)
{
	if (n == 0)
		return 0;
	size_t i = (size_t)((double)n * p);
	return values[i < n ? i : n - 1];
}

static void
print_spread(FILE *to, const char *name, int64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	fprintf(to, "\"%s\": {\"n\": %zu, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f},\n",
		name, n, (double)percentile(values, n, 0.5) / US_PER_MS,
		(double)percentile(values, n, 0.99) / US_PER_MS,
		n > 0 ? (double)values[n - 1] / US_PER_MS : 0);
}

static unsigned
print_sessions(FILE *to, const struct herd_outcome *outcome)
{
	int64_t *back = calloc(outcome->session_n + 1, sizeof(*back));
	int64_t *gaps = calloc(outcome->session_n + 1, sizeof(*gaps));
	size_t n = 0, hit = 0, in_5s = 0;
	unsigned missing = 0;

	for (unsigned i = 0; i < outcome->session_n; i++) {
		const struct herd_session *session = &outcome->sessions[i];

		missing += session->back_us == 0;
		in_5s += session->back_us != 0 && session->back_us <= 5000 * US_PER_MS;
		hit += session->is_hit;
		if (session->back_us == 0) {
			fprintf(stderr, "session %s is not back: relay %u, state %d, node %u\n",
				session->leg.id, session->leg.relay,
				session->leg.lines[session->leg.active].state, session->node);
			continue;
		}
		back[n] = session->back_us;
		gaps[n++] = (int64_t)session->lost * outcome->interval_ms * US_PER_MS;
	}
	fprintf(to,
		"\"sessions\": %u, \"hit\": %zu, \"not_back\": %u, \"back_in_5s_percent\": %.2f,\n",
		outcome->session_n, hit, missing,
		outcome->session_n > 0 ? 100.0 * (double)in_5s / outcome->session_n : 100.0);
	print_spread(to, "first_datagram_after", back, n);
	print_spread(to, "longest_loss", gaps, n);
	free(back);
	free(gaps);
	return missing;
}

static unsigned
print_idle(FILE *to, const struct herd_outcome *outcome)
{
	int64_t *back = calloc(outcome->idle_n + 1, sizeof(*back));
	size_t n = 0;
	unsigned missing = 0;

	for (unsigned i = 0; i < outcome->idle_n; i++) {
		const struct herd_leg *leg = &outcome->idle[i];

		missing += !herd_leg_is_up(leg);
		if (leg->back_us != 0)
			back[n++] = leg->back_us;
	}
	fprintf(to, "\"idle_legs\": %u, \"idle_hit\": %u, \"idle_not_back\": %u,\n",
		outcome->idle_n, outcome->idle_hit, missing);
	print_spread(to, "leg_back", back, n);
	free(back);
	return missing;
}

static void
print_all(FILE *to, const struct herd_outcome *outcome, unsigned *ret_missing)
{
	static const char *const names[HERD_PHASES] = {
		[HERD_BEFORE] = "round_trip_before",
		[HERD_MEANWHILE] = "round_trip_meanwhile",
		[HERD_AFTER] = "round_trip_after",
	};
	double passed_ms = (double)(herd_now_us() - processors.at_us) / US_PER_MS;
	const struct herd_owner *owner = outcome->owner;

	fprintf(to, "{\n\"event\": \"%s\", \"relays\": %u, \"tls\": %s, \"interval_ms\": %u,\n",
		outcome->event, owner->relay_count, owner->ssl_context != NULL ? "true" : "false",
		outcome->interval_ms);
	*ret_missing = print_sessions(to, outcome);
	*ret_missing += print_idle(to, outcome);
	for (unsigned i = 0; i < HERD_PHASES; i++)
		print_spread(to, names[i], latencies[i].values, latencies[i].n);
	fprintf(to, "\"relay_cores\": [");
	for (unsigned i = 0; i < processors.n; i++) {
		double used_ms = (double)(busy_ms(processors.pids[i]) - processors.busy_ms[i]);

		fprintf(to, "%s%.2f", i > 0 ? ", " : "", used_ms > 0 ? used_ms / passed_ms : 0);
	}
	fprintf(to, "],\n\"relay_busiest_second_cores\": [");
	for (unsigned i = 0; i < processors.n; i++)
		fprintf(to, "%s%.2f", i > 0 ? ", " : "", processors.busiest[i]);
	fprintf(to,
		"],\n\"attempts\": %llu, \"connected\": %llu, \"moved\": %llu, \"resumed\": %llu",
		(unsigned long long)owner->attempts, (unsigned long long)owner->connected,
		(unsigned long long)owner->moved, (unsigned long long)owner->resumed);
	for (unsigned i = 1; i < sizeof(owner->closed) / sizeof(owner->closed[0]); i++)
		if (owner->closed[i] != 0)
			fprintf(to, ", \"closed_%u\": %llu", i,
				(unsigned long long)owner->closed[i]);
	fprintf(to, "\n}\n");
}

int
herd_report_end(const struct herd_outcome *outcome)
{
	unsigned missing = 0;

	print_all(stdout, outcome, &missing);
	if (outcome->json != NULL) {
		FILE *file = fopen(outcome->json, "we");

		if (file != NULL) {
			print_all(file, outcome, &missing);
			fclose(file);
		}
	}
	return missing == 0 ? 0 : 1;
}

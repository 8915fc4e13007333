/*
 * relay_process: see the header.
 */
#include "relay_process.h"

#include "loop/clock.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 30 * 1000, LOOK_EVERY_MS = 20 };

static uint16_t
port_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	assert_non_null(at);
	at = strstr(at, "127.0.0.1:");
	assert_non_null(at);
	return (uint16_t)strtoul(at + strlen("127.0.0.1:"), NULL, 10);
}

void
relay_process_start(struct relay_process *process, const char *settings)
{
	char all[512], path[96];
	const char *const argv[] = { PROGRAM_RELAY, "-c", path, NULL };

	process->child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	snprintf(all, sizeof(all),
		 "udp_listen = 127.0.0.1:0\ndrain = 0ms\n%s\n[admin]\nrelay = 127.0.0.1:0\n",
		 settings);
	relay_fixture_prepare(&process->fixture, false, all);
	snprintf(path, sizeof(path), "%s/boson.conf", process->fixture.folder);
	child_start(&process->child, argv);
	process->admin_port =
		(uint16_t)strtoul(child_await(&process->child, CHILD_STDERR,
					      "admin_listening address=127.0.0.1 port="),
				  NULL, 10);
	const char *line = child_await(&process->child, CHILD_STDERR, "relay_ready ");
	process->fixture.port = port_after(line, "url=");
	process->fixture.udp_port = port_after(line, "udp=");
	relay_fixture_open_bus(&process->fixture);
}

int
relay_process_tear_down(void **state)
{
	struct relay_process *process = *state;

	relay_fixture_close_bus(&process->fixture);
	child_signal(&process->child, SIGTERM);
	int code = child_wait(&process->child);
	child_end(&process->child);
	relay_fixture_remove(&process->fixture);
	assert_int_equal(code, 0);
	return 0;
}

const char *
relay_process_scrape(const struct relay_process *process)
{
	const char *answer = http_request(process->admin_port, "GET", "/metrics");

	assert_int_equal(strncmp(answer, "HTTP/1.1 200", strlen("HTTP/1.1 200")), 0);
	return answer;
}

static const char *
find(const char *scrape, const char *name)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "\nboson_relay_%s ", name);
	const char *at = strstr(scrape, line);

	return at == NULL ? NULL : at + n;
}

double
relay_process_figure(const char *scrape, const char *name)
{
	const char *value = find(scrape, name);

	if (value == NULL)
		fail_msg("no figure %s in:\n%s", name, scrape);
	return strtod(value, NULL);
}

/* Figures are brought up to date once a second, the first time a second after the start. */
static double
await(const struct relay_process *process, const char *name, double least, double most)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	double now = -1;

	do {
		const char *value = find(relay_process_scrape(process), name);

		now = value == NULL ? -1 : strtod(value, NULL);
		if (now >= least && now <= most)
			return now;
		poll(NULL, 0, LOOK_EVERY_MS); /* for another process, there is no event here */
	} while (clock_monotonic_ms() < end_ms);
	fail_msg("%s is %g, not %g", name, now, least);
	return now;
}

double
relay_process_await(const struct relay_process *process, const char *name, double n)
{
	return await(process, name, n, 1e18);
}

void
relay_process_settle(const struct relay_process *process, const char *name, double n)
{
	(void)await(process, name, n, n);
}

double
relay_process_observations(const struct relay_process *process, const char *histogram)
{
	const char *scrape = relay_process_scrape(process), *at = scrape;
	char name[64];
	double last = 0;

	snprintf(name, sizeof(name), "\nboson_relay_%s_bucket{", histogram);
	while ((at = strstr(at, name)) != NULL) {
		double next = strtod(strstr(at, "} ") + 2, NULL);

		assert_true(next >= last);
		last = next;
		at++;
	}
	snprintf(name, sizeof(name), "%s_count", histogram);
	assert_true(relay_process_figure(scrape, name) == last);
	snprintf(name, sizeof(name), "%s_sum", histogram);
	assert_true(isfinite(relay_process_figure(scrape, name)));
	return last;
}

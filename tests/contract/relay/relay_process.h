/*
 * relay_process: boson-relay as it is run: a process of its own, UDP ingress and admin address on,
 * all of it on the loopback. Its fixture opens legs there, signs tickets and speaks the bus; there
 * is no actor in this process.
 */
#pragma once

#include "../../unit/service/child.h"
#include "relay_fixture.h"

struct relay_process {
	struct relay_fixture fixture;
	struct child child;
	uint16_t admin_port;
};

/* settings: lines of the section [relay]. */
void relay_process_start(struct relay_process *process, const char *settings);

/* For cmocka: SIGTERM for the one that *state is; it must end well. */
int relay_process_tear_down(void **state);

/* What /metrics says now: a static buffer. */
const char *relay_process_scrape(const struct relay_process *process);

/* A figure of a scrape by its name without the prefix and with its labels, such as
 * legs{role="node"}; fails the test when there is none. */
double relay_process_figure(const char *scrape, const char *name);

/* Scrapes until the figure is at least n, and returns it. */
double relay_process_await(const struct relay_process *process, const char *name, double n);

/* Scrapes until the figure is n. */
void relay_process_settle(const struct relay_process *process, const char *name, double n);

/* How many a histogram has; that its buckets, sum and count go together is checked. */
double relay_process_observations(const struct relay_process *process, const char *histogram);

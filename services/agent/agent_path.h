/*
 * agent_path: how good the way to the server's site is: ten STUN bindings, each sent once.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <netinet/in.h>
#include <stdbool.h>

struct path;

struct path_figures {
	bool has_latency;	      /* at least one came back */
	double latency_ms, jitter_ms; /* mean; mean of the differences from one to the next */
	double loss_percent;
};

typedef void (*path_fn)(const struct path_figures *figures, void *arg);

/* fn is called once, later; it is over by then. 0 or -errno. */
int path_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *server,
	       path_fn fn, void *arg, struct path **ret);
/* fn will not be called. Takes one that is over as NULL. */
void path_stop(struct path **path);

/*
 * service_health: what the admin address answers, from what the actors last said of themselves.
 */
#pragma once

#include "service/service_actor.h"

struct service_health {
	const struct service_actor *actors;
	size_t n;
	const char *product;
	int64_t started_at_ms;	 /* wall clock */
	const char *unready_all; /* "starting", "draining", or NULL: ask the actors */
};

/* Each gives the HTTP status; *ret_body is malloc'd, NULL when out of memory. */
int service_health_live(void *health, char **ret_body, size_t *ret_bytes);
int service_health_ready(void *health, char **ret_body, size_t *ret_bytes);
int service_health_metrics(void *health, char **ret_body, size_t *ret_bytes);

/*
 * service_admin: the admin address: a small HTTP server (libmicrohttpd) on the main thread's loop.
 * GET and HEAD only, one request a connection, few connections, short deadlines: a probe or a
 * scraper needs no more, and nothing here changes anything.
 */
#pragma once

#include "loop/loop.h"

#include <stddef.h>
#include <stdint.h>

struct service_admin;

enum { SERVICE_ADMIN_DEADLINE_MS = 10 * 1000 };

struct service_admin_route {
	const char *path;
	const char *content_type;
	/* Gives the HTTP status; *ret_body is malloc'd and freed by the caller. */
	int (*answer)(void *arg, char **ret_body, size_t *ret_bytes);
};

/* routes end in {0} and outlive the admin. deadline_ms: from accept to the end of the answer. 0, or
 * 71 with a reason that names the address. */
int service_admin_new(struct loop *loop, const char *host, uint16_t port,
		      const struct service_admin_route *routes, int64_t deadline_ms, void *arg,
		      struct service_admin **ret, char *ret_error, size_t error_bytes);

/* The port it listens on: port 0 has become a number. */
uint16_t service_admin_port(const struct service_admin *admin);
void service_admin_free(struct service_admin **admin);

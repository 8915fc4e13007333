/*
 * http_client: HTTPS requests for agent and client: libcurl's multi interface on our loop.
 * HTTP/1.1, no redirects, certificate always checked (system store or `ca_file`), answers up to 1
 * MiB. Plain http:// only to this very machine. Never blocks, name lookups included.
 */
#pragma once

#include "loop/loop.h"

#include <stddef.h>
#include <stdint.h>

struct http_client;

struct http_request {
	const char *method;
	const char *url;
	const char *bearer; /* token, or NULL */
	const char *header; /* one further "Name: value", or NULL */
	const char *body;   /* JSON, or NULL; copied */
	size_t body_bytes;
	uint32_t timeout_ms;
};

struct http_answer {
	int status;	  /* HTTP status; 0 when there was no answer, and then error says why */
	const char *body; /* NUL-terminated */
	size_t body_bytes;
	int retry_after_sec; /* 0: nothing said */
	const char *error;   /* "" or a sentence for people */
};

typedef void (*http_answer_fn)(const struct http_answer *answer, void *arg);

/* ca_file: NULL for the system's certificates. */
int http_client_new(struct loop *loop, const char *ca_file, struct http_client **ret);
void http_client_free(
	struct http_client **client); /* pending requests are dropped, their fn not called */

/* From then on host:port is reached at this address and nothing is resolved for it; SNI, Host and
 * the certificate's check keep the name. A second pin of the same host:port replaces the first.
 * -EINVAL: no address, or no host; -ENOSPC: more than 8 pins. */
int http_client_pin(struct http_client *client, const char *host, uint16_t port,
		    const char *address);

/* fn is called exactly once, later, unless the client is freed first. -EINVAL: no http(s) URL, or a
 * line break in a header; -EAGAIN: 64 are pending; -ENOMEM. fn is not called then. */
int http_client_send(struct http_client *client, const struct http_request *request,
		     http_answer_fn fn, void *arg);

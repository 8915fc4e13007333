/*
 * http_inside: what the files of the HTTP client share: the client, one request, and the sentence
 * that says what went wrong. Inside shared/net only.
 */
#pragma once

#include "net/http_client.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/queue.h>

enum {
	HTTP_ANSWER_MAX_BYTES = 1024 * 1024,
	HTTP_PENDING_MAX = 64,
	HTTP_CONNECT_TIMEOUT_MS = 10 * 1000,
	HTTP_RETRY_AFTER_MAX_SEC = 24 * 3600,
	HTTP_ERROR_BYTES = 512,
	HTTP_PINS_MAX = 8,
	HTTP_PIN_BYTES = 320, /* "host:port:[address]" */
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	LIST_HEAD(, http_exchange) exchanges; /* pending */
	LIST_HEAD(, http_watch) watches;      /* sockets of curl's */
	char *ca_file;
	char pins[HTTP_PINS_MAX][HTTP_PIN_BYTES]; /* as CURLOPT_RESOLVE takes them */
	size_t pins_count;
	unsigned pending;
	unsigned busy;	 /* calls of ours on the stack that still need the client */
	bool is_dropped; /* freed by a callback while busy */
};

struct http_exchange {
	struct http_client *client;
	LIST_ENTRY(http_exchange) of_client;
	CURL *easy;
	struct curl_slist *headers, *pins;
	char *body; /* sent */
	char *received;
	size_t received_bytes;
	bool is_plain; /* http:// */
	bool is_too_large;
	bool is_refused_plain; /* http:// to another machine */
	uint32_t timeout_ms;
	char detail[CURL_ERROR_SIZE];
	http_answer_fn fn;
	void *arg;
};

/* Makes the easy handle of a request. 0, -EINVAL (no URL of ours), -ENOMEM. */
int http_exchange_new(struct http_client *client, const struct http_request *request,
		      http_answer_fn fn, void *arg, struct http_exchange **ret);
void http_exchange_free(struct http_exchange *exchange);

/* A sentence for people: what failed and what to do. */
void http_error_write(const struct http_exchange *exchange, CURLcode code, long status,
		      char ret_text[HTTP_ERROR_BYTES]);

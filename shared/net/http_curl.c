/*
 * http_curl: one request as a curl handle, and all that we allow and forbid it: https, or http to
 * this very machine; HTTP/1.1; no redirects, cookies, netrc or compression; TLS 1.2 at least with
 * the certificate checked; close-on-exec sockets; answers up to a cap.
 */
#include "net/address.h"
#include "net/http_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
take_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	size_t more = size * n;
	char *grown;

	if (more > HTTP_ANSWER_MAX_BYTES - x->received_bytes) {
		x->is_too_large = true;
		return 0;
	}
	grown = realloc(x->received, x->received_bytes + more + 1);
	if (!grown)
		return 0;
	memcpy(grown + x->received_bytes, bytes, more);
	x->received = grown;
	x->received_bytes += more;
	x->received[x->received_bytes] = '\0';
	return more;
}

static bool
is_loopback(const struct sockaddr *address)
{
	struct in6_addr mapped = { 0 };

	if (address->sa_family == AF_INET6)
		mapped = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	else if (address->sa_family == AF_INET) {
		mapped.s6_addr[10] = 0xff;
		mapped.s6_addr[11] = 0xff;
		memcpy(mapped.s6_addr + 12,
		       &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	} else
		return false;
	return address_classify(&mapped) == ADDRESS_LOOPBACK;
}

/* Checked here, after the name was resolved and for exactly the address that is dialled (T27). */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_exchange *x = arg;

	(void)purpose;
	if (x->is_plain && !is_loopback(&address->addr)) {
		x->is_refused_plain = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* "https" or "http" with a host, and no user:password@. */
static int
check_url(const char *url, bool *ret_is_plain)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	int r = -EINVAL;

	if (!parts)
		return -ENOMEM;
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
	    curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
		*ret_is_plain = strcmp(scheme, "http") == 0;
		r = *ret_is_plain || strcmp(scheme, "https") == 0 ? 0 : -EINVAL;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parts);
	return r;
}

static int
add_header(struct http_exchange *x, const char *text)
{
	struct curl_slist *longer;

	if (strpbrk(text, "\r\n"))
		return -EINVAL;
	longer = curl_slist_append(x->headers, text);
	if (!longer)
		return -ENOMEM;
	x->headers = longer;
	return 0;
}

static int
add_bearer(struct http_exchange *x, const char *token)
{
	size_t n = strlen(token) + sizeof("Authorization: Bearer ");
	char *text = malloc(n);
	int r;

	if (!text)
		return -ENOMEM;
	snprintf(text, n, "Authorization: Bearer %s", token);
	r = add_header(x, text);
	explicit_bzero(text, n);
	free(text);
	return r;
}

static int
add_headers(struct http_exchange *x, const struct http_request *request)
{
	/* "Expect:" without a value: no waiting for 100-continue. */
	int r = add_header(x, "Expect:");

	if (r == 0)
		r = add_header(x, "Accept: application/json");
	if (r == 0 && request->body)
		r = add_header(x, "Content-Type: application/json");
	if (r == 0 && request->bearer)
		r = add_bearer(x, request->bearer);
	if (r == 0 && request->header)
		r = add_header(x, request->header);
	return r;
}

/* Each request has a list of its own, because curl reads it until the request is over. */
static int
copy_pins(struct http_exchange *x)
{
	for (size_t i = 0; i < x->client->pins_count; i++) {
		struct curl_slist *longer = curl_slist_append(x->pins, x->client->pins[i]);

		if (!longer)
			return -ENOMEM;
		x->pins = longer;
	}
	return 0;
}

static int
copy_body(struct http_exchange *x, const struct http_request *request)
{
	if (!request->body)
		return 0;
	x->body = malloc(request->body_bytes + 1);
	if (!x->body)
		return -ENOMEM;
	memcpy(x->body, request->body, request->body_bytes);
	x->body[request->body_bytes] = '\0';
	return 0;
}

/* Collects whether every option was taken: a curl without one of these is not to be used. */
#define SET(option, value) (all |= (int)curl_easy_setopt(x->easy, option, value))

static int
set_limits(struct http_exchange *x, const struct http_request *request)
{
	long timeout_ms = request->timeout_ms ? (long)request->timeout_ms : 30 * 1000L;
	int all = 0;

	x->timeout_ms = (uint32_t)timeout_ms;
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    timeout_ms < HTTP_CONNECT_TIMEOUT_MS ? timeout_ms : (long)HTTP_CONNECT_TIMEOUT_MS);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* Without it curl joins the thread of a name lookup that it gives up, and stands still for
	 * as long as the resolver does. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROTOCOLS_STR, x->is_plain ? "http" : "https");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_MAXFILESIZE, (long)HTTP_ANSWER_MAX_BYTES);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	/* A token must not leave in the clear towards a proxy. */
	if (x->is_plain)
		SET(CURLOPT_NOPROXY, "*");
	return all;
}

static int
set_tls(struct http_exchange *x)
{
	int all = 0;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_ENABLE_ALPN, 1L);
	if (x->client->ca_file) {
		SET(CURLOPT_CAINFO, x->client->ca_file);
		/* This authority instead of the system's, not beside them. */
		SET(CURLOPT_CAPATH, NULL);
	}
	return all;
}

static int
set_request(struct http_exchange *x, const struct http_request *request)
{
	int all = 0;

	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_CUSTOMREQUEST, request->method);
	SET(CURLOPT_HTTPHEADER, x->headers);
	SET(CURLOPT_RESOLVE, x->pins);
	SET(CURLOPT_USERAGENT, "higgs/" BOSON_VERSION);
	if (x->body) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
		SET(CURLOPT_POSTFIELDS, x->body);
	}
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, x);
	SET(CURLOPT_ERRORBUFFER, x->detail);
	SET(CURLOPT_PRIVATE, x);
	return all;
}

int
http_exchange_new(struct http_client *client, const struct http_request *request, http_answer_fn fn,
		  void *arg, struct http_exchange **ret)
{
	struct http_exchange *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->client = client;
	x->fn = fn;
	x->arg = arg;
	r = check_url(request->url, &x->is_plain);
	if (r == 0)
		r = copy_body(x, request);
	if (r == 0)
		r = add_headers(x, request);
	if (r == 0)
		r = copy_pins(x);
	if (r == 0 && !(x->easy = curl_easy_init()))
		r = -ENOMEM;
	if (r == 0 && (set_limits(x, request) | set_tls(x) | set_request(x, request)) != 0)
		r = -EINVAL;
	if (r < 0)
		http_exchange_free(x);
	else
		*ret = x;
	return r;
}

void
http_exchange_free(struct http_exchange *exchange)
{
	if (!exchange)
		return;
	curl_easy_cleanup(exchange->easy);
	curl_slist_free_all(exchange->headers);
	curl_slist_free_all(exchange->pins);
	free(exchange->body);
	free(exchange->received);
	free(exchange);
}

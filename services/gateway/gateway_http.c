/*
 * gateway_http: HTTP/1.1 by libmicrohttpd; see the header.
 */
#include "gateway/gateway_http.h"

#include "gateway/gateway_listener.h"
#include "gateway/gateway_request.h"
#include "gateway/gateway_response.h"
#include "log/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	/* A head of 16 KiB, and libmicrohttpd's own needs. */
	CONNECTION_MEMORY_BYTES = 48 * 1024,
	FORWARDED_MAX_BYTES = 1024,
	/* Of a body that is refused already; beyond it the connection just ends. */
	WASTE_MAX_BYTES = 1024 * 1024,
};

struct gateway_http {
	struct gateway *gateway;
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_fd *watch;
	struct loop_timer *timer;
	struct gateway_listener *listener;
	struct gateway_connection *adding;
	bool is_tls, is_closing;
};

enum exchange_state { EXCHANGE_NEW, EXCHANGE_BODY, EXCHANGE_WAITING, EXCHANGE_QUEUED };

/* One request as libmicrohttpd sees it. */
struct exchange {
	struct gateway_http *http;
	struct MHD_Connection *mhd;
	struct gateway_request request;
	enum exchange_state state;
	size_t wasted_bytes;
	bool is_forwarded_bad;
	char forwarded[FORWARDED_MAX_BYTES];
};

static void http_run(struct gateway_http *http);

static void
http_on_timer(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_http *http = arg;
	http->timer = NULL; /* it has fired and frees itself */
	http_run(http);
}

static void
http_on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	(void)events;
	http_run(arg);
}

/* A turn of libmicrohttpd, and a timer for when it wants the next one. */
static void
http_run(struct gateway_http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	MHD_run(http->daemon);
	loop_timer_stop(&http->timer);
	if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES)
		loop_timer_start(http->loop, (int64_t)wait_ms, 0, http_on_timer, http,
				 &http->timer);
}

static void
http_run_soon(struct gateway_http *http)
{
	if (http->is_closing)
		return;
	loop_timer_stop(&http->timer);
	loop_timer_start(http->loop, 0, 0, http_on_timer, http, &http->timer);
}

static struct gateway_connection *
connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **socket_context,
	      enum MHD_ConnectionNotificationCode code)
{
	(void)mhd;
	struct gateway_http *http = arg;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = http->adding;
		http->adding = NULL;
	} else if (*socket_context != NULL) {
		gateway_connection_closed(*socket_context);
		*socket_context = NULL;
	}
}

/* From the listener: libmicrohttpd closes the descriptor, in case of failure as well. */
static void
http_take(struct gateway_connection *connection, void *arg)
{
	struct gateway_http *http = arg;
	struct sockaddr_in6 from = { .sin6_family = AF_INET6,
				     .sin6_addr = connection->address,
				     .sin6_port = connection->port };
	/* What was peeked at was a whole head. */
	gateway_connection_enter(connection, http->is_tls ? PHASE_HEAD : PHASE_BODY);
	http->adding = connection;
	MHD_add_connection(http->daemon, connection->fd, (const struct sockaddr *)&from,
			   sizeof(from));
	if (http->adding != NULL) {
		http->adding = NULL;
		gateway_connection_closed(connection);
	}
	http_run_soon(http);
}

static void *
on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
	struct gateway_http *http = arg;
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange == NULL)
		return NULL;
	exchange->http = http;
	exchange->mhd = mhd;
	gateway_request_init(&exchange->request, http->gateway, target);
	return exchange;
}

static void
on_completed(void *arg, struct MHD_Connection *mhd, void **context,
	     enum MHD_RequestTerminationCode code)
{
	(void)arg;
	struct exchange *exchange = *context;
	if (exchange == NULL)
		return;
	*context = NULL;
	gateway_request_done(&exchange->request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	struct gateway_connection *connection = connection_of(mhd);
	if (connection != NULL && !connection->is_doomed)
		gateway_connection_enter(connection, PHASE_HEAD);
	gateway_request_fini(&exchange->request);
	free(exchange);
}

static enum MHD_Result
queue_answer(struct exchange *exchange)
{
	struct gateway_connection *connection = connection_of(exchange->mhd);
	/* What was not peeked at is not to be served: see gateway_listener. */
	bool close = exchange->request.answer.closes || !exchange->http->is_tls;
	if (connection != NULL && !connection->is_doomed)
		gateway_connection_enter(connection, PHASE_ANSWER);
	exchange->state = EXCHANGE_QUEUED;
	return gateway_response_queue(exchange->mhd, &exchange->request, close) == 0 ? MHD_YES
										     : MHD_NO;
}

/* The bus answered: libmicrohttpd calls on_request again. */
static void
on_answer(struct gateway_request *request, void *arg)
{
	(void)request;
	struct exchange *exchange = arg;
	MHD_resume_connection(exchange->mhd);
	http_run_soon(exchange->http);
}

static void
add_forwarded(struct exchange *exchange, const char *value, size_t n)
{
	size_t at = strlen(exchange->forwarded);
	if (at + n + 2 > sizeof(exchange->forwarded)) {
		exchange->is_forwarded_bad = true;
		return;
	}
	if (at > 0)
		exchange->forwarded[at++] = ',';
	memcpy(exchange->forwarded + at, value, n);
	exchange->forwarded[at + n] = '\0';
	exchange->request.head.forwarded_for = exchange->forwarded;
}

static enum MHD_Result
on_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
	  const char *value, size_t value_bytes)
{
	(void)kind;
	struct exchange *exchange = arg;
	struct gateway_head *head = &exchange->request.head;
	if (value == NULL) {
		value = "";
		value_bytes = 0;
	}
	gateway_gate_count(&head->tally, name, name_bytes, value, value_bytes);
	if (strcasecmp(name, "Authorization") == 0)
		head->authorization = value;
	else if (strcasecmp(name, "Content-Type") == 0)
		head->content_type = value;
	else if (strcasecmp(name, "Origin") == 0)
		head->origin = value;
	else if (strcasecmp(name, "Higgs-Proof") == 0)
		head->proof = value;
	else if (strcasecmp(name, "X-Forwarded-For") == 0)
		add_forwarded(exchange, value, value_bytes);
	return MHD_YES;
}

static enum MHD_Result
begin(struct exchange *exchange, const char *method)
{
	struct gateway_request *request = &exchange->request;
	struct gateway_connection *connection = connection_of(exchange->mhd);
	if (connection == NULL)
		return MHD_NO;
	exchange->state = EXCHANGE_BODY;
	if (exchange->http->is_tls)
		gateway_connection_enter(connection, PHASE_BODY);
	request->head.method = method;
	request->head.peer = connection->address;
	request->on_answer = on_answer;
	request->on_answer_arg = exchange;
	MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, on_header, exchange);
	if (exchange->is_forwarded_bad)
		request->head.forwarded_for = "";
	gateway_request_begin(request);

	/* Who waits for 100-continue has sent no body that would have to be read first. */
	if (request->answer.status != 0 &&
	    (request->answer.closes || request->head.tally.expects > 0)) {
		request->answer.closes = true;
		return queue_answer(exchange);
	}
	return MHD_YES;
}

/* A refused request's body is read all the same: closing on unread bytes would reset the
 * connection, and the answer might be lost with it. */
static enum MHD_Result
add_body(struct exchange *exchange, const char *bytes, size_t n)
{
	struct gateway_request *request = &exchange->request;
	if (request->answer.status == 0) {
		gateway_request_add_body(request, bytes, n);
		return MHD_YES;
	}
	request->answer.closes = true;
	exchange->wasted_bytes += n;
	return exchange->wasted_bytes > WASTE_MAX_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
	   const char *version, const char *upload, size_t *upload_bytes, void **context)
{
	(void)arg;
	(void)mhd;
	(void)url; /* decoded, and cut at a NUL: gateway_path has it from on_target */
	(void)version;
	struct exchange *exchange = *context;
	if (exchange == NULL)
		return MHD_NO;
	if (exchange->state == EXCHANGE_NEW)
		return begin(exchange, method);
	if (*upload_bytes > 0) {
		enum MHD_Result r = add_body(exchange, upload, *upload_bytes);
		*upload_bytes = 0;
		return r;
	}
	if (exchange->state == EXCHANGE_BODY && exchange->request.answer.status == 0) {
		exchange->state = EXCHANGE_WAITING;
		gateway_request_run(&exchange->request);
		if (exchange->request.answer.status == 0) {
			MHD_suspend_connection(exchange->mhd);
			return MHD_YES;
		}
	}
	return exchange->request.answer.status != 0 ? queue_answer(exchange) : MHD_YES;
}

__attribute__((format(printf, 2, 0))) static void
on_log(void *arg, const char *format, va_list args)
{
	(void)arg;
	char text[256];
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("microhttpd", "said=%s", text);
}

static int
daemon_start(struct gateway_http *http, const struct gateway_http_options *options)
{
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
			     MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_END, 0, NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL },
	};
	if (options->tls != NULL) {
		flags |= MHD_USE_TLS;
		tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
						  options->tls->certificate };
		tls[1].ptr_value = options->tls->private_key;
	}
	http->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER,
				 on_log, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_CONNECTION_LIMIT,
				 options->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				 (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
				 MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_URI_LOG_CALLBACK,
				 on_target, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
				 MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
	if (http->daemon == NULL)
		return -EPROTO;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || info->epoll_fd < 0)
		return -EPROTO;
	return loop_fd_add(http->loop, info->epoll_fd, EPOLLIN, http_on_ready, http, &http->watch);
}

static int
listener_start(struct gateway_http *http, const struct gateway_http_options *options)
{
	struct gateway_listener_options of = {
		.host = options->host,
		.port = options->port,
		.peeks = options->tls == NULL,
		.body_max_bytes = GATEWAY_BODY_MAX_BYTES,
		.connections_max = options->connections_max,
		.connections_per_address = options->connections_per_address,
		.head_ms = options->head_ms,
		.body_ms = options->body_ms,
		.answer_ms = options->answer_ms,
		.limits = &http->gateway->limits,
		.metrics = http->gateway->context->metrics,
		.take = http_take,
		.arg = http,
	};
	return gateway_listener_open(http->loop, &of, &http->listener);
}

int
gateway_http_open(struct gateway *gateway, const struct gateway_http_options *options,
		  struct gateway_http **ret)
{
	struct gateway_http *http = calloc(1, sizeof(*http));
	if (http == NULL)
		return -ENOMEM;
	http->gateway = gateway;
	http->loop = gateway->context->loop;
	http->is_tls = options->tls != NULL;
	int r = daemon_start(http, options);
	if (r == 0)
		r = listener_start(http, options);
	if (r < 0)
		gateway_http_close(&http);
	*ret = http;
	return r;
}

void
gateway_http_close(struct gateway_http **http)
{
	struct gateway_http *h = *http;
	if (h == NULL)
		return;
	h->is_closing = true;
	loop_fd_remove(&h->watch);
	loop_timer_stop(&h->timer);
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon);
	gateway_listener_close(&h->listener);
	free(h);
	*http = NULL;
}

uint16_t
gateway_http_port(const struct gateway_http *http)
{
	return gateway_listener_port(http->listener);
}

void
gateway_http_drain(struct gateway_http *http, loop_fn fn, void *arg)
{
	gateway_listener_drain(http->listener, fn, arg);
}

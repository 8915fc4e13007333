/*
 * gateway_http: libmicrohttpd on our loop; see the header.
 */
#include "gateway/gateway_http_inside.h"

#include "gateway/gateway_listener.h"
#include "gateway/gateway_stream.h"
#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
	/* A head of 16 KiB, and libmicrohttpd's own needs. */
	CONNECTION_MEMORY_BYTES = 48 * 1024,
};

static void http_run(struct gateway_http *http);

static void
http_on_deferred(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_http *http = arg;
	http->is_running = false;
	if (!http->is_closing)
		http_run(http);
}

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

void
gateway_http_run_soon(struct gateway_http *http)
{
	/* One turn for all that was fed in one turn of the loop. */
	if (!http->is_running && loop_defer(http->loop, http_on_deferred, http) == 0)
		http->is_running = true;
}

static void
http_on_fed(void *arg)
{
	gateway_http_run_soon(arg);
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
		gateway_connection_released(*socket_context);
		*socket_context = NULL;
	}
}

/* libmicrohttpd closes the socket, in case of failure as well. It is told the peer's address for
 * its own sake only: the connection has it. */
static bool
http_serve(struct gateway_connection *connection, int socket, void *arg)
{
	struct gateway_http *http = arg;
	struct sockaddr_un from = { .sun_family = AF_UNIX };
	http->adding = connection;
	enum MHD_Result r = MHD_add_connection(http->daemon, socket, (const struct sockaddr *)&from,
					       sizeof(from));
	bool added = http->adding == NULL && r == MHD_YES;
	http->adding = NULL;
	return added;
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
			     MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
	http->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, gateway_exchange_step, http, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_CONNECTION_LIMIT, options->connections_max,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 0,
		MHD_OPTION_URI_LOG_CALLBACK, gateway_exchange_new, http,
		MHD_OPTION_NOTIFY_COMPLETED, gateway_exchange_done, http,
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
		.body_max_bytes = GATEWAY_BODY_MAX_BYTES,
		.connections_max = options->connections_max,
		.connections_per_address = options->connections_per_address,
		.head_ms = options->head_ms,
		.body_ms = options->body_ms,
		.answer_ms = options->answer_ms,
		.limits = &http->gateway->limits,
		.traces = &http->gateway->traces,
		.metrics = http->gateway->context->metrics,
		.serve = http_serve,
		.fed = http_on_fed,
		.arg = http,
	};
	return gateway_listener_open(http->loop, &of, &http->listener);
}

int
gateway_http_set_tls(struct gateway_http *http, const struct gateway_tls *tls)
{
	SSL_CTX *context = NULL;
	if (!http->is_tls)
		return -EINVAL;
	int r = gateway_stream_context_new(tls, &context);
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r;
	gateway_listener_set_tls(http->listener, &context);
	return 0;
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
	if (r == 0 && http->is_tls)
		r = gateway_http_set_tls(http, options->tls);
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

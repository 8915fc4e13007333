/*
 * gateway_exchange: one request as libmicrohttpd shows it, piece by piece: head, body, end; then
 * the answer, at once or after the bus has answered.
 */
#include "gateway/gateway_http_inside.h"

#include "gateway/gateway_events.h"
#include "gateway/gateway_listener.h"
#include "gateway/gateway_request.h"
#include "gateway/gateway_response.h"
#include "gateway/gateway_upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	FORWARDED_MAX_BYTES = 1024,
	/* Of a body that is refused already; beyond it the connection just ends. */
	WASTE_MAX_BYTES = 1024 * 1024,
};

enum exchange_state { EXCHANGE_NEW, EXCHANGE_BODY, EXCHANGE_WAITING, EXCHANGE_QUEUED };

/* One request as libmicrohttpd sees it. */
struct exchange {
	struct gateway_http *http;
	struct MHD_Connection *mhd;
	enum exchange_state state;
	struct MHD_UpgradeResponseHandle *upgraded;
	size_t wasted_bytes;
	bool is_forwarded_bad;
	char forwarded[FORWARDED_MAX_BYTES]; /* text: this and the next are not cleared */
	struct gateway_request request;
};

static struct gateway_connection *
connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

void *
gateway_exchange_new(void *arg, const char *target, struct MHD_Connection *mhd)
{
	struct gateway_http *http = arg;
	struct exchange *exchange = malloc(sizeof(*exchange));
	if (exchange == NULL)
		return NULL;
	memset(exchange, 0, offsetof(struct exchange, forwarded));
	exchange->forwarded[0] = '\0';
	exchange->http = http;
	exchange->mhd = mhd;
	gateway_request_init(&exchange->request, http->gateway, target);
	return exchange;
}

void
gateway_exchange_done(void *arg, struct MHD_Connection *mhd, void **context,
		      enum MHD_RequestTerminationCode code)
{
	(void)arg;
	struct exchange *exchange = *context;
	if (exchange == NULL)
		return;
	*context = NULL;
	gateway_request_done(&exchange->request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	struct gateway_connection *connection = connection_of(mhd);
	bool closes =
		code != MHD_REQUEST_TERMINATED_COMPLETED_OK || exchange->request.answer.closes;
	gateway_request_fini(&exchange->request);
	free(exchange);
	if (connection != NULL)
		gateway_connection_answered(connection, closes);
}

/* The watcher is over: libmicrohttpd closes the socket, and the exchange is done. */
static void
on_watched(void *arg)
{
	struct exchange *exchange = arg;
	struct gateway_http *http = exchange->http;
	MHD_upgrade_action(exchange->upgraded, MHD_UPGRADE_ACTION_CLOSE);
	gateway_http_run_soon(http);
}

static void
on_upgraded(void *arg, struct MHD_Connection *mhd, void *context, const char *extra,
	    size_t extra_bytes, MHD_socket socket, struct MHD_UpgradeResponseHandle *handle)
{
	(void)arg;
	(void)mhd;
	(void)extra;
	struct exchange *exchange = context;
	struct gateway *gateway = exchange->http->gateway;
	exchange->upgraded = handle;
	/* Nobody may speak the new protocol before it was agreed on. */
	if (extra_bytes > 0 || gateway_events_watch(gateway->events, socket,
						    gateway_upgrade_expiry(&exchange->request),
						    on_watched, exchange) < 0)
		on_watched(exchange);
}

static enum MHD_Result
queue_upgrade(struct exchange *exchange)
{
	struct gateway_connection *connection = connection_of(exchange->mhd);
	char accept[WS_ACCEPT_TEXT_BYTES];
	struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, exchange);
	if (connection == NULL || response == NULL ||
	    gateway_upgrade_accept(&exchange->request.head, accept) < 0) {
		MHD_destroy_response(response);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Upgrade", "websocket");
	MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
	gateway_connection_enter(connection, PHASE_TUNNEL);
	enum MHD_Result r = MHD_queue_response(exchange->mhd, 101, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result
queue_answer(struct exchange *exchange)
{
	struct gateway_connection *connection = connection_of(exchange->mhd);
	exchange->state = EXCHANGE_QUEUED;
	if (exchange->request.answer.status == 101)
		return queue_upgrade(exchange);
	if (connection != NULL)
		gateway_connection_enter(connection, PHASE_ANSWER);
	return gateway_response_queue(exchange->mhd, &exchange->request,
				      exchange->request.answer.closes) == 0
		       ? MHD_YES
		       : MHD_NO;
}

/* The bus answered: libmicrohttpd calls gateway_exchange_step again. */
static void
on_answer(struct gateway_request *request, void *arg)
{
	(void)request;
	struct exchange *exchange = arg;
	MHD_resume_connection(exchange->mhd);
	gateway_http_run_soon(exchange->http);
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
	else if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
		head->websocket_key = value;
	else if (strcasecmp(name, "Sec-WebSocket-Version") == 0)
		head->websocket_version = value;
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
	request->head.method = method;
	request->head.peer = *gateway_connection_peer(connection);
	request->on_answer = on_answer;
	request->on_answer_arg = exchange;
	MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, on_header, exchange);
	/* An entry that cannot be read: the list's end, which alone counts, is not known. */
	if (exchange->is_forwarded_bad)
		request->head.forwarded_for = "?";
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

enum MHD_Result
gateway_exchange_step(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
		      const char *version, const char *upload, size_t *upload_bytes, void **context)
{
	(void)arg;
	(void)mhd;
	(void)url; /* decoded, and cut at a NUL: gateway_path has it from gateway_exchange_new */
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

/*
 * leg_socket: what libwebsockets calls on the leg's thread: the handshake's checks, whole messages
 * in, and why the connection ended. What goes out is leg_send.c's.
 */
#include "leg/leg_thread.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum {
	USER_TIMEOUT_MS = 30 * 1000,
	FRAGMENTS_MAX = 8,
	CODE_WRONG_DATA = 1003,
	CODE_PROTOCOL = 1002,
	CODE_TOO_LARGE = 1009,
	CODE_DRAINING = 1012,
	CODE_OVERLOADED = 1013,
};

static const struct leg_url *
url_of(const struct leg_thread *thread)
{
	return &thread->used.url;
}

/* The ticket, in a header. in: char **, where to write; n: room there. */
static int
append_headers(struct leg_thread *thread, struct lws *wsi, void *in, size_t n)
{
	unsigned char **at = in;
	char value[sizeof "Bearer " + LEG_TICKET_MAX_BYTES];
	int value_n = snprintf(value, sizeof value, "Bearer %s", thread->order->ticket);

	int r = lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
					     (const unsigned char *)value, value_n, at, *at + n);
	explicit_bzero(value, sizeof value);
	return r;
}

/* libwebsockets lets a server choose no subprotocol at all. */
static int
check_subprotocol(struct leg_thread *thread, struct lws *wsi)
{
	char name[16];

	if (lws_hdr_copy(wsi, name, sizeof name, WSI_TOKEN_PROTOCOL) > 0 &&
	    strcmp(name, "higgs.v1") == 0)
		return 0;
	leg_tell_reason(thread, 0, "not a relay: no subprotocol higgs.v1");
	return -1;
}

/* user: X509_STORE_CTX. 0 accepts. */
static int
check_certificate(struct leg_thread *thread, X509_STORE_CTX *store, bool is_ok)
{
	const struct leg_url *url = url_of(thread);
	char text[LEG_REASON_BYTES];

	if (is_ok && url->is_v6 && X509_STORE_CTX_get_error_depth(store) == 0 &&
	    X509_check_ip_asc(X509_STORE_CTX_get_current_cert(store), url->host, 0) != 1) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_IP_ADDRESS_MISMATCH);
		is_ok = false;
	}
	if (is_ok)
		return 0;
	snprintf(text, sizeof text, "certificate refused: %s",
		 X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	leg_tell_reason(thread, 0, text);
	return 1;
}

static const char *
status_meaning(unsigned status)
{
	switch (status) {
	case 401:
		return "the ticket is not accepted";
	case 403:
		return "not allowed";
	case 404:
		return "no such session or node";
	case 429:
		return "too many attempts";
	case 503:
		return "busy or draining";
	default:
		return "no leg here";
	}
}

static void
connection_error(struct leg_thread *thread, struct lws *wsi, const char *text, size_t n)
{
	unsigned status = lws_http_client_http_response(wsi);
	char line[LEG_REASON_BYTES];

	if (status >= 100 && status < 600 && status != 101) {
		snprintf(line, sizeof line, "refused with HTTP %u: %s", status,
			 status_meaning(status));
		leg_tell_reason(thread, (int)status, line);
	} else if (text != NULL) {
		leg_tell_foreign_reason(thread, 0, text, n);
	}
	leg_attempt_ended(thread);
}

static void
established(struct leg_thread *thread, struct lws *wsi)
{
	int fd = lws_get_socket_fd(wsi);
	const int timeout_ms = USER_TIMEOUT_MS, one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
	if (url_of(thread)->is_tls && SSL_session_reused(lws_get_ssl(wsi)))
		metric_add(thread->line->resumed, 1);
	leg_send_begin(thread);
	leg_attempt_established(thread);
}

static int
refuse(struct leg_thread *thread, struct lws *wsi, int code, const char *reason)
{
	leg_tell_reason(thread, code, reason);
	lws_close_reason(wsi, (enum lws_close_status)code, (unsigned char *)(uintptr_t)reason,
			 strlen(reason));
	return -1;
}

static int
writable(struct leg_thread *thread, struct lws *wsi)
{
	if (thread->phase == LEG_PHASE_CLOSING) {
		lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}
	return leg_send_writable(thread);
}

static void
message_complete(struct leg_thread *thread)
{
	struct leg_message *message = thread->assembly;

	thread->assembly = NULL;
	if (message->n > 0 && message->payload[0] == LEG_KIND_CONTROL)
		message->kind = LEG_MESSAGE_CONTROL;
	else if (message->n == 0 || message->payload[0] != LEG_KIND_DATA) {
		metric_add(thread->line->invalid, 1);
		free(message);
		return;
	}
	metric_add(thread->line->received, 1);
	leg_thread_tell(thread, message);
}

/* A piece of a frame: libwebsockets hands out what one read brought. */
static int
receive(struct leg_thread *thread, struct lws *wsi, const void *in, size_t n)
{
	size_t rest = lws_remaining_packet_payload(wsi);

	if (!lws_frame_is_binary(wsi))
		return refuse(thread, wsi, CODE_WRONG_DATA, "binary messages only");
	if (lws_is_first_fragment(wsi)) {
		free(thread->assembly);
		thread->assembly = NULL;
		thread->fragments = 0;
	}
	size_t before = thread->assembly != NULL ? thread->assembly->n : 0;
	if (n > LEG_MESSAGE_MAX_BYTES - before || rest > LEG_MESSAGE_MAX_BYTES - before - n)
		return refuse(thread, wsi, CODE_TOO_LARGE, "message too large");
	if (rest == 0 && ++thread->fragments > FRAGMENTS_MAX)
		return refuse(thread, wsi, CODE_PROTOCOL, "too many fragments");
	if (thread->assembly == NULL)
		thread->assembly = leg_message_new(LEG_MESSAGE_DATA, n + rest);
	else if (leg_message_grow(&thread->assembly, n + rest) < 0)
		return -1;
	if (thread->assembly == NULL)
		return -1;
	if (n > 0)
		memcpy(thread->assembly->payload + before, in, n);
	thread->assembly->n += n;
	if (lws_is_final_fragment(wsi))
		message_complete(thread);
	return 0;
}

/* libwebsockets makes 1002 of the codes it does not know, 1012 and 1013 among them; the reasons
 * that docs/protocol.md fixes for these two tell them apart again. */
static int
code_meant(int code, const char *reason, size_t n)
{
	if (code == CODE_PROTOCOL && n >= 8 && memcmp(reason, "draining", 8) == 0)
		return CODE_DRAINING;
	if (code == CODE_PROTOCOL && n >= 10 && memcmp(reason, "overloaded", 10) == 0)
		return CODE_OVERLOADED;
	return code;
}

/* in: code, big-endian, then a reason; perhaps neither. */
static void
peer_closes(struct leg_thread *thread, const uint8_t *in, size_t n)
{
	const char *reason = "closed by the relay";
	size_t reason_n = strlen(reason);
	int code = LWS_CLOSE_STATUS_NO_STATUS;

	if (n > 2) {
		reason = (const char *)in + 2;
		reason_n = n - 2;
	}
	if (n >= 2)
		code = code_meant(in[0] << 8 | in[1], reason, reason_n);
	leg_tell_foreign_reason(thread, code, reason, reason_n);
}

static void
woken(struct leg_thread *thread)
{
	if (atomic_load(&thread->stop)) {
		if (thread->phase >= LEG_PHASE_CONNECTING)
			leg_attempt_close(thread);
		else
			thread->is_done = true;
		return;
	}
	leg_attempt_take_order(thread);
	if (atomic_exchange(&thread->line->is_address_in_doubt, false))
		leg_attempt_on_addresses(thread);
	if (thread->phase == LEG_PHASE_UP)
		lws_callback_on_writable(thread->wsi);
}

/* The events of a connection of ours. */
static int
on_connection_event(struct leg_thread *thread, struct lws *wsi, enum lws_callback_reasons reason,
		    void *in, size_t n)
{
	switch ((int)reason) { /* most reasons are not for us */
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(thread, wsi, in, n);
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		return check_subprotocol(thread, wsi);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		established(thread, wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return receive(thread, wsi, in, n);
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		thread->ponged_ms = clock_monotonic_ms();
		leg_send_on_pong(thread, in, n);
		return 0;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return writable(thread, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		peer_closes(thread, in, n);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		connection_error(thread, wsi, in, n);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY:
		leg_attempt_ended(thread);
		return 0;
	default:
		return 0;
	}
}

int
leg_socket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t n)
{
	struct lws_context *context = wsi != NULL ? lws_get_context(wsi) : NULL;
	struct leg_thread *thread = context != NULL ? lws_context_user(context) : NULL;

	if (thread == NULL)
		return 0;
	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
		woken(thread);
		return 0;
	}
	if (reason == LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION)
		return check_certificate(thread, user, n != 0);
	if (wsi != thread->wsi || thread->phase < LEG_PHASE_CONNECTING)
		return reason == LWS_CALLBACK_CLIENT_WRITEABLE ? -1 : 0;
	return on_connection_event(thread, wsi, reason, in, n);
}

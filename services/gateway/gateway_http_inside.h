/*
 * gateway_http_inside: what gateway_http.c (the daemon on our loop) and gateway_exchange.c (its
 * requests) share. For them alone.
 */
#pragma once

#include "gateway/gateway_http.h"

#include <microhttpd.h>

struct gateway_http {
	struct gateway *gateway;
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_fd *watch;
	struct loop_timer *timer;
	struct gateway_listener *listener;
	struct gateway_connection *adding;
	bool is_tls, is_closing;
	bool is_running; /* or about to, in this turn */
};

/* libmicrohttpd gets a turn before long. */
void gateway_http_run_soon(struct gateway_http *http);

/* What libmicrohttpd calls; arg is the gateway_http. */
void *gateway_exchange_new(void *arg, const char *target, struct MHD_Connection *mhd);
enum MHD_Result gateway_exchange_step(void *arg, struct MHD_Connection *mhd, const char *url,
				      const char *method, const char *version, const char *upload,
				      size_t *upload_bytes, void **context);
void gateway_exchange_done(void *arg, struct MHD_Connection *mhd, void **context,
			   enum MHD_RequestTerminationCode code);

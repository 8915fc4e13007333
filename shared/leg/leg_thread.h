/*
 * leg_thread: the state of the leg's own thread, between leg_thread.c (context and life),
 * leg_attempt.c (when and where to connect) and leg_socket.c (what libwebsockets calls). Inside
 * shared/leg only.
 */
#pragma once

#include "leg/leg_inside.h"
#include "leg/leg_resume.h"

#include "queue/leg_window.h"
#include "ws/ws_frame.h"

#include <libwebsockets.h>
#include <stdatomic.h>

enum leg_phase {
	LEG_PHASE_IDLE,	      /* no order */
	LEG_PHASE_WAITING,    /* for the retry timer */
	LEG_PHASE_CONNECTING, /* a wsi that is not yet up */
	LEG_PHASE_UP,
	LEG_PHASE_CLOSING, /* we asked for the close */
};

enum { LEG_SPARES = 3, LEG_REASON_BYTES = 160, LEG_MASK_KEYS = 256 };

struct leg_thread {
	struct leg_line *line;
	pthread_t id;
	struct lws_context *context;
	struct lws_vhost *vhost;
	SSL_CTX *tls;
	atomic_bool stop;

	/* the thread's own from here on */
	bool is_done;
	enum leg_phase phase;
	struct leg_order *order;  /* never NULL once ordered; n == 0: stay down */
	size_t index;		  /* of the endpoint tried last, or to be tried */
	struct leg_endpoint used; /* that of wsi, which may have left the order since */
	struct leg_sessions sessions;
	bool is_retargeted; /* closing makes place for a new order */
	unsigned failures;  /* in a row */
	struct lws *wsi;
	uint32_t generation;
	int64_t up_since_ms, ponged_ms;
	int64_t hastened_ms; /* when it last went on before its time */
	int code;	     /* why it went down */
	char reason[LEG_REASON_BYTES];
	struct leg_message *assembly; /* of the message being received */
	unsigned fragments;
	uint8_t mask_keys[LEG_MASK_KEYS][WS_MASK_BYTES]; /* random, each used once */
	size_t mask_keys_left;
	struct leg_window window;
	bool is_held; /* something may wait, but for the window */
	int64_t held_us, look_ms;
	int64_t age_ms; /* how long a message may wait on a leg of no length */
	lws_sorted_usec_list_t window_timer;
	struct leg_message *spares[LEG_SPARES]; /* so that telling a state cannot fail */
	struct lookup *lookup;			/* while it connects and has no wsi; NULL: none */
	lws_sorted_usec_list_t retry, deadline, look;
};

/* leg_attempt.c */
void leg_attempt_take_order(struct leg_thread *thread);
void leg_attempt_established(struct leg_thread *thread);

/* Addresses of this machine came or went. */
void leg_attempt_on_addresses(struct leg_thread *thread);

/* The connection is gone, or never came to be. Says so once, and arranges the next attempt. */
void leg_attempt_ended(struct leg_thread *thread);

/* Closes a leg that is up with 1000, or kills an attempt. */
void leg_attempt_close(struct leg_thread *thread);

/* The address is known: connects there. */
void leg_attempt_connect(struct leg_thread *thread);

/* leg_tell.c */

/* Memory for all states of one attempt. */
bool leg_tell_prepare(struct leg_thread *thread);
void leg_tell_state(struct leg_thread *thread, enum leg_state state);

/* The first reason given stays: it is the cause. Foreign: n bytes of any kind. */
void leg_tell_reason(struct leg_thread *thread, int code, const char *text);
void leg_tell_foreign_reason(struct leg_thread *thread, int code, const char *text, size_t n);

/* leg_lookup.c */

/* Finds the address of the endpoint in use, and goes on: with leg_attempt_connect, now or later, or
 * with leg_attempt_ended. */
void leg_lookup_begin(struct leg_thread *thread);
void leg_lookup_stop(struct leg_thread *thread);

/* leg_tls.c: NULL: out of memory, or the file holds no certificates. */
SSL_CTX *leg_tls_new(const char *ca_file);

/* leg_socket.c */
int leg_socket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
			size_t n);

/* leg_send.c */

/* A new connection: nothing is known of how fast it is. */
void leg_send_begin(struct leg_thread *thread);

/* What waits goes, as much of it as socket and window take. -1: the connection is lost. */
int leg_send_writable(struct leg_thread *thread);

/* The window may be open again. */
void leg_send_on_pong(struct leg_thread *thread, const uint8_t *payload, size_t n);

/* To the owner, in order; takes the message. */
void leg_thread_tell(struct leg_thread *thread, struct leg_message *message);

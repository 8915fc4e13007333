/*
 * client_session: the state of a session, between client_connect.c (start, signals, end),
 * client_ask.c (route requests), client_find.c (names), client_carry.c (leg, interface, handshake),
 * client_path.c (leg or UDP), client_narrow.c (what UDP loses), client_watch.c (a silent node) and
 * client_report.c (status). One loop, one thread.
 */
#pragma once

#include "client/client_claim.h"
#include "client/client_connect.h"
#include "client/client_control.h"
#include "client/client_echo.h"
#include "client/client_pause.h"
#include "client/client_pins.h"
#include "client/client_route.h"
#include "client/client_tunnel.h"
#include "client/client_width.h"
#include "leg/leg_client.h"
#include "link.pb-c.h"
#include "loop/lookup.h"
#include "net/http_client.h"
#include "net/reach.h"

enum session_phase {
	SESSION_ASKING,	   /* for a route, the first one */
	SESSION_ATTACHING, /* blocked; interface up, waiting for the leg */
	SESSION_SHAKING,   /* leg up, waiting for WireGuard's handshake */
	SESSION_CONNECTED,
	SESSION_STOPPING,
};

struct session {
	const struct client_options *options;
	const char *access_key, *client_id;
	struct client_voice *voice;
	struct loop *loop;
	struct metrics *metrics;
	struct http_client *http;
	struct leg_client *leg;
	struct client_udp *udp;
	struct client_tunnel *tunnel;
	struct client_control *control;
	struct lookup *resolve;
	struct reach *reach;
	lookup_fn on_found; /* while either of these is */
	uint16_t find_port;
	struct key private_key, public_key;
	enum session_phase phase;
	int exit_status;
	int64_t connected_wall_ms; /* since when; 0: not yet */
	bool is_interrupted;

	struct client_route route, next; /* in use; answered, its names being resolved */
	bool has_route, has_peer, is_asking;
	struct client_claim claim; /* while it asks */
	struct client_pins pins, next_pins;
	struct client_pause pause;
	char leg_reason[160]; /* why the leg is down */
	char relay[LEG_URL_HOST_BYTES];
	char country[3]; /* of the node; empty: not known */
	unsigned ask_failures;
	struct loop_timer *deadline, *handshake, *renewal, *farewell, *alone, *stranded;
	struct loop_fd *signals;
	int signal_fd;

	/* client_watch.c */
	struct loop_timer *watch;
	char silent_node[UUID_TEXT_BYTES]; /* until it, or another, answers; empty: none */
	unsigned tries;			   /* that were met by silence, in a row */
	char tried[3][UUID_TEXT_BYTES];
	int64_t handshake_before_sec; /* the silence: a later one ends it */

	/* client_narrow.c, while packets go by UDP */
	struct client_width width;
	struct client_echo echo;
	struct loop_timer *echo_due;
	struct loop_fd *echo_watch;
	char echo_node[UUID_TEXT_BYTES]; /* of width */
	uint64_t echo_sent;		 /* datagrams by UDP up to the last echoes, and these */
	bool is_narrow;			 /* the way by UDP, when it was used last */
};

/* client_connect.c */
void session_fail(struct session *session, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* client_ask.c */
/* path: "/api/v1/...". -ENAMETOOLONG. */
int session_url(const struct session *session, const char *path, char *ret_url, size_t capacity);
void session_ask(struct session *session);
/* Asks again after a pause that grows with the failures, at least at_least_ms. */
void session_ask_later(struct session *session, int64_t at_least_ms);
/* Where the node is, for the person; nothing waits for it. */
void session_ask_country(struct session *session);
void session_say_goodbye(struct session *session);

/* client_find.c */
/* The addresses of a pin's host: those that the name has, the one that can be reached first. fn as
 * for lookup_start, arg: the session. */
int session_find(struct session *session, const struct client_pin *pin, lookup_fn fn);
void session_find_stop(struct session *session);

/* client_carry.c */
int session_carry_init(struct session *session);
void session_carry_route(struct session *session); /* next and next_pins are ready */

/* The node as WireGuard's peer, which makes it shake hands. */
void session_set_peer(struct session *session);

/* client_watch.c */
int session_watch_init(struct session *session);
void session_watch_fini(struct session *session);
/* Nothing has answered since the node was found silent. */
bool session_is_silent(const struct session *session);
void session_watch_answered(struct session *session);
int64_t session_last_handshake_sec(struct session *session); /* 0: none */
/* word: "connected", "connected again". */
void session_say_connected(struct session *session, const char *word);

/* client_path.c */
int session_path_init(struct session *session);
void session_path_fini(struct session *session);
void session_path_route(struct session *session); /* a route is in use */
void session_path_leg(struct session *session, bool is_up);
void session_path_drain(struct session *session, const Boson__Link__Drain *drain);

/* client_narrow.c */
void session_narrow_init(struct session *session);
void session_narrow_fini(struct session *session);
void session_narrow_udp(struct session *session, bool is_up);
void session_narrow_leg(struct session *session); /* is up */

/* client_report.c */
size_t session_report(struct session *session, char *ret_json, size_t capacity);

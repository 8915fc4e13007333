/*
 * relay_leg: one connection, from accept to close. Belongs to one shard at a time; all functions
 * are for that shard's thread.
 *
 *	UPGRADING	TLS handshake and HTTP request; see relay_upgrade
 *	OPEN		admitted: a node leg (with node) or a client leg (with channel)
 *	DOOMED		to be closed at the end of this round; nothing more is read or forwarded
 *	LINGERING	has been told why; input is thrown away until the peer closes too
 *
 * Nothing is freed in the middle of a round: relay_leg_doom marks, relay_leg_reap frees.
 */
#pragma once

#include "queue/fair_queue.h"
#include "queue/leg_window.h"
#include "relay/relay_channel.h"
#include "relay/relay_counters.h"
#include "relay/relay_request.h"
#include "relay/relay_stall.h"
#include "relay/relay_wheel.h"
#include "relay/tls_channel.h"
#include "ws/ws_frame.h"

#include <sys/queue.h>

struct relay_pending_address;
struct relay_places;
struct relay_shard;

enum relay_leg_state {
	RELAY_LEG_UPGRADING,
	RELAY_LEG_OPEN,
	RELAY_LEG_DOOMED,
	RELAY_LEG_LINGERING,
};

enum { RELAY_TIMER_LEG = 1, RELAY_TIMER_NODE = 2, RELAY_TIMER_UDP = 3 };
#define RELAY_NO_PIECE UINT32_MAX

enum {
	RELAY_READ_BYTES = 256 * 1024,	 /* of one leg and turn */
	RELAY_CIPHER_BYTES = 128 * 1024, /* likewise, before decryption */
	RELAY_LINGER_MS = 2000,
	/* Twice the marks of a window on a fast way: one each half of its least target. */
	RELAY_PINGS_PER_SECOND = 2 * (1000 * 1000 / (LEG_WINDOW_TARGET_LEAST_US / 2)),
	RELAY_LINGER_BYTES = 4 * 1024 * 1024, /* thrown away at most */
};

/* How the frames of a leg go that is no WebSocket of ours: it has no socket (fd is -1), is in no
 * epoll, has no timer, and is OPEN from the start. What comes from its other end is handed to
 * relay_data_on_message, with mask 0. */
struct relay_carrier {
	enum relay_counter gauge; /* of attached legs of this kind */
	/* End of round: takes what waits in outbox.control, and this round's pieces (whole frames,
	 * unmasked, each [ws header][1][channel, to a node][batch]), or drops them and counts. */
	void (*flush)(struct relay_shard *shard, struct relay_leg *leg);
	/* The leg was doomed, has left its node or channel, and is about to be freed. */
	void (*end)(struct relay_shard *shard, struct relay_leg *leg);
};

/* While UPGRADING only. Travels with the leg when it moves. */
struct relay_upgrade {
	struct relay_places *places; /* that it has one of, at the door that accepted it, or NULL */
	struct relay_leg *leg;
	TAILQ_ENTRY(relay_upgrade) by_age; /* of those who have one */
	int64_t deadline_ms;
	struct relay_pending_address *address; /* that it is counted for, or NULL */
	struct relay_request request;
	struct ticket ticket;
	bool has_early_bytes; /* frames before our 101 */
	size_t n, scanned, capacity;
	uint8_t *bytes; /* of the request, up to WS_REQUEST_MAX_BYTES + 1 */
};

struct relay_leg {
	int fd;
	uint32_t watched; /* epoll events asked for */
	uint8_t state;
	bool has_answered; /* UPGRADING: was told a status */
	bool lingers;	   /* DOOMED: the peer is given time to hear why */
	bool is_blocked;   /* the socket is full: EPOLLOUT is awaited */
	bool is_held;	   /* something waits, but for the window */
	bool is_rtt_due;   /* the next pong says what is told */
	bool is_dirty;	   /* on the round's list */
	bool is_raw;	   /* a client leg without subprotocol: a message is a datagram */
	bool is_paused;	   /* on the shard's list of those */
	bool is_paced;	   /* likewise; see relay_window */
	uint16_t close_code;
	const char *close_reason;

	const struct relay_carrier *carrier; /* NULL: a WebSocket */
	void *carried;			     /* the carrier's */

	struct tls_channel *tls; /* NULL: plain */
	struct relay_upgrade *upgrade;
	struct relay_node *node;       /* of a node leg */
	struct relay_channel *channel; /* of a client leg */
	struct ws_reader reader;
	uint8_t *tail; /* the beginning of a frame; NULL: none */
	uint32_t tail_n, tail_capacity;

	struct fair_outbox outbox;
	uint32_t accounted;		  /* of the outbox, in the shard's sum */
	struct leg_window *window;	  /* NULL: nothing holds it up */
	uint32_t held;			  /* likewise: what is not whole yet */
	uint32_t first_piece, last_piece; /* of this round, or RELAY_NO_PIECE */
	struct relay_leg *next_dirty, *next_doomed;
	LIST_ENTRY(relay_leg) of_shard, paused, paced;

	struct relay_timer timer;
	struct relay_stall stall;
	int64_t heard_ms; /* last bytes from the peer */
	int64_t half_ms;  /* since when a message is incomplete; 0: none is */
	int64_t ping_ms;  /* next ping; LINGERING: the end */
	int64_t resume_ms;
	int64_t look_ms;    /* when the way is next looked at */
	int64_t window_us;  /* no window before */
	uint64_t ping_us;   /* without a window: when the ping under way was sent; 0: none is */
	int64_t expires_ms; /* its ticket does; 0: never */
	uint32_t rtt_us;    /* 0: not known */
	uint32_t way_us;    /* the least that TCP saw; 0: not known */
	uint32_t thrown_bytes;
	uint32_t control_tokens; /* of a node's control messages */
	int64_t control_ms;
};

/* Takes the descriptor. NULL (and the descriptor closed) when out of memory. */
struct relay_leg *relay_leg_new(struct relay_shard *shard, int fd);

/* A leg by way of a carrier, to be attached by relay_attach_carried_*. NULL: out of memory. */
struct relay_leg *relay_leg_new_carried(const struct relay_carrier *carrier, void *carried);

/* Enters and leaves a shard: epoll, timer, list. */
int relay_leg_enter(struct relay_shard *shard, struct relay_leg *leg);
void relay_leg_leave(struct relay_shard *shard, struct relay_leg *leg);

/* Frees at once a leg that has left its shard and has neither node nor channel. */
void relay_leg_free(struct relay_leg **leg);

/* Epoll says. */
void relay_leg_on_event(struct relay_shard *shard, struct relay_leg *leg, uint32_t events);

/* The leg's timer says. */
void relay_leg_on_timer(struct relay_shard *shard, struct relay_leg *leg);

/* Puts the timer where the leg's next deadline is. */
void relay_leg_arm(struct relay_shard *shard, struct relay_leg *leg);

/* Over its rate: not read until leg->resume_ms. */
void relay_leg_pause(struct relay_shard *shard, struct relay_leg *leg);

/* Paused legs whose time has come are read again. */
void relay_leg_resume(struct relay_shard *shard);

/* Asks epoll for what the leg's state needs. */
void relay_leg_watch(struct relay_shard *shard, struct relay_leg *leg);

/* To be closed at the end of the round; code 0: without a word. reason: static. */
void relay_leg_doom(struct relay_shard *shard, struct relay_leg *leg, uint16_t code,
		    const char *reason);

/* End of round: closes what was doomed. Returns whether there was any. */
bool relay_leg_reap(struct relay_shard *shard);

static inline bool
relay_leg_is_open(const struct relay_leg *leg)
{
	return leg->state == RELAY_LEG_OPEN;
}

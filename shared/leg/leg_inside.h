/*
 * leg_inside: what leg_line.c (the owner's thread) and leg_thread.c (libwebsockets' thread) share.
 *
 *	owner's loop                       the leg's thread
 *	leg_line_send ------- tx --------> lws_write
 *	on_message <------- eventfd -------- rx <------------------- receive
 *	leg_line_target ------ order ----> connects, retries
 *
 * Everything under `lock` is held for a few list operations, never around a system call.
 */
#pragma once

#include "leg/leg_line.h"
#include "leg/leg_outbox.h"
#include "leg/leg_queue.h"
#include "leg/leg_url.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	LEG_URLS_MAX = 16,
	LEG_TICKET_MAX_BYTES = 1024,
	LEG_PINS_MAX = 32,
};

struct leg_endpoint {
	struct leg_url url;
	char address[INET6_ADDRSTRLEN];	 /* where to connect; empty: resolve the name */
	char proxy[LEG_URL_PROXY_BYTES]; /* empty: none */
};

/* Where to connect, with what. Made by the owner, then the thread's. No endpoints: stay down. */
struct leg_order {
	size_t n;
	char ticket[LEG_TICKET_MAX_BYTES];
	struct leg_endpoint endpoints[];
};

struct leg_pin {
	char host[LEG_URL_HOST_BYTES], address[INET6_ADDRSTRLEN];
};

struct leg_thread;

struct leg_line {
	/* the owner's */
	struct loop *loop;
	struct leg_client_events events;
	struct loop_fd *watch, *addresses_watch;
	enum leg_state state;
	uint32_t generation; /* of the connection that is up */
	char url[LEG_URL_TEXT_BYTES];
	bool is_delivering, is_freed;
	struct leg_pin pins[LEG_PINS_MAX];
	size_t pin_n;

	/* set once */
	int event_fd, addresses_fd; /* -1: not watched */
	uint32_t queue_bytes;
	struct leg_thread *thread;
	struct metric *sent, *received, *dropped_rx, *waited, *invalid, *attempts, *resumed, *up;

	/* both */
	pthread_mutex_t lock;
	struct leg_outbox tx;
	uint32_t tx_generation; /* of the connection that takes it; 0: none does */
	struct leg_queue rx;
	struct leg_order *order; /* a new one, not yet taken */
	bool is_tx_awake;	 /* the thread knows that there is something to write */
	/* Data goes in messages of about so much: on a slow leg little, so that what is behind one
	 * does not wait for all of it. Without the lock. */
	atomic_uint piece_bytes;
	atomic_bool is_address_in_doubt; /* addresses of the machine came or went */
};

/* leg_order.c: -EINVAL: it is none. */
int leg_ticket_check(const char *ticket);

/* The context and its thread. -ENOMEM, -EIO. */
int leg_thread_start(struct leg_line *line, const char *ca_file, struct leg_thread **ret);

/* Says 1000 to the relay when there is a leg, and joins. */
void leg_thread_stop(struct leg_thread **thread);

/* Owner's thread: look at order and queues. */
void leg_thread_wake(struct leg_thread *thread);

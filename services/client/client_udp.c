/*
 * client_udp: see the header. What UDP is asked and answers is seen here, WireGuard's own datagrams
 * are the questions: nothing is sent for the sake of finding out.
 */
#include "client/client_udp.h"

#include "client/client_udp_socket.h"
#include "loop/backoff.h"
#include "loop/clock.h"
#include "net/udp_bundle.h"
#include "wg/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 250,
	UNANSWERED_MS = 2000, /* then it does not work any more */
	UNANSWERED_MIN = 3,   /* of so many datagrams: one alone may have no answer */
	TRY_FIRST_MS = 500,
	TRY_MAX_MS = 15 * 1000,
	/* WireGuard answers where it heard a datagram first, so the leg's copy must come second. */
	HOLD_MS = 100,
};

enum state { OFF, TRYING, UP };

struct client_udp {
	struct loop *loop;
	struct loop_timer *look;
	struct client_udp_socket *socket;
	struct client_shim *shim;
	struct client_udp_events events;
	enum state state;
	bool is_alone;
	int64_t waiting_ms; /* since when something is unanswered; 0: nothing is */
	unsigned unanswered;
	unsigned tries; /* since something was heard, or changed */
	int64_t try_at_ms, shunned_until_ms;
	struct loop_timer *holding; /* NULL: nothing is held */
	size_t held_n;
	uint8_t held[UDP_BUNDLE_READ_BYTES];
	uint64_t data_sent;
};

static void
change(struct client_udp *udp, enum state state)
{
	bool was_up = udp->state == UP, is_up = state == UP;

	udp->state = state;
	udp->waiting_ms = 0;
	udp->unanswered = 0;
	if (was_up != is_up)
		udp->events.on_change(is_up, udp->events.arg);
}

/* ---- from the relay ---- */

static void
on_heard(const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	struct client_udp *udp = arg;

	if (udp->state == OFF)
		return;
	client_shim_deliver_bundle(udp->shim, bytes, n, segment);
	udp->waiting_ms = 0;
	udp->unanswered = 0;
	udp->tries = 0;
	if (udp->state == TRYING && clock_monotonic_ms() >= udp->shunned_until_ms)
		change(udp, UP);
}

/* ---- to the relay ---- */

static void
send_all(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment)
{
	size_t count = (n + segment - 1) / segment;
	size_t sent = client_udp_socket_send(udp->socket, bytes, n, segment);

	client_shim_lose(udp->shim, count - sent);
	if (segment <= DATAGRAM_MIN_BYTES)
		return; /* an empty packet wants no answer */
	udp->data_sent += sent;
	if (udp->waiting_ms == 0)
		udp->waiting_ms = clock_monotonic_ms();
	udp->unanswered += (unsigned)count;
}

static void
on_held_long(struct loop *loop, void *arg)
{
	struct client_udp *udp = arg;

	(void)loop;
	udp->holding = NULL;
	if (udp->state != UP)
		udp->events.send_by_leg(udp->held, udp->held_n, udp->events.arg);
}

/* False: its copy goes by the leg at once. */
static bool
hold(struct client_udp *udp, const uint8_t *bytes, size_t n)
{
	if (udp->holding != NULL || n > sizeof udp->held ||
	    loop_timer_start(udp->loop, HOLD_MS, 0, on_held_long, udp, &udp->holding) < 0)
		return false;
	memcpy(udp->held, bytes, n);
	udp->held_n = n;
	return true;
}

bool
client_udp_carry(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment)
{
	int64_t now_ms;

	if (udp->state == OFF)
		return false;
	if (udp->state == UP) {
		send_all(udp, bytes, n, segment);
		return true;
	}
	if (udp->is_alone) {
		send_all(udp, bytes, n, segment);
		return false;
	}
	now_ms = clock_monotonic_ms();
	if (now_ms < udp->try_at_ms)
		return false;
	udp->try_at_ms = now_ms + backoff_ms(TRY_FIRST_MS, TRY_MAX_MS, udp->tries++);
	size_t first = n < segment ? n : segment;
	bool is_sent = client_udp_socket_send(udp->socket, bytes, first, segment) == 1;
	return is_sent && n <= segment && hold(udp, bytes, n);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct client_udp *udp = arg;

	(void)loop;
	if (udp->state != UP || udp->unanswered < UNANSWERED_MIN || udp->waiting_ms == 0 ||
	    clock_monotonic_ms() - udp->waiting_ms < UNANSWERED_MS)
		return;
	client_udp_doubt(udp);
}

/* ---- life ---- */

int
client_udp_target(struct client_udp *udp, const char *address, uint16_t port)
{
	int r;

	if (address == NULL) {
		client_udp_socket_close(udp->socket);
		change(udp, OFF);
		return 0;
	}
	r = client_udp_socket_aim(udp->socket, address, port);
	if (r < 0) {
		change(udp, OFF);
	} else if (r == 1) {
		change(udp, TRYING);
		client_udp_retry(udp);
	}
	return r < 0 ? r : 0;
}

void
client_udp_retry(struct client_udp *udp)
{
	udp->try_at_ms = 0;
	udp->tries = 0;
	udp->shunned_until_ms = 0;
}

void
client_udp_doubt(struct client_udp *udp)
{
	if (udp->state != UP)
		return;
	udp->try_at_ms = clock_monotonic_ms() + backoff_ms(TRY_FIRST_MS, TRY_MAX_MS, udp->tries);
	change(udp, TRYING);
}

void
client_udp_shun(struct client_udp *udp, int64_t for_ms)
{
	udp->shunned_until_ms = clock_monotonic_ms() + for_ms;
	client_udp_doubt(udp);
	udp->try_at_ms = udp->shunned_until_ms;
}

uint64_t
client_udp_data_sent(const struct client_udp *udp)
{
	return udp->data_sent;
}

bool
client_udp_is_up(const struct client_udp *udp)
{
	return udp->state == UP;
}

void
client_udp_set_alone(struct client_udp *udp, bool is_alone)
{
	udp->is_alone = is_alone;
	if (is_alone)
		udp->shunned_until_ms = 0;
}

int
client_udp_new(struct loop *loop, struct client_shim *shim, const struct client_udp_events *events,
	       struct client_udp **ret)
{
	struct client_udp *udp = calloc(1, sizeof *udp);

	if (udp == NULL)
		return -ENOMEM;
	udp->loop = loop;
	udp->shim = shim;
	udp->events = *events;
	int r = client_udp_socket_new(loop, on_heard, udp, &udp->socket);
	if (r == 0)
		r = loop_timer_start(loop, LOOK_MS, LOOK_MS, on_look, udp, &udp->look);
	if (r < 0)
		client_udp_free(&udp);
	else
		*ret = udp;
	return r;
}

void
client_udp_free(struct client_udp **udp_pointer)
{
	struct client_udp *udp = *udp_pointer;

	if (udp == NULL)
		return;
	*udp_pointer = NULL;
	loop_timer_stop(&udp->look);
	loop_timer_stop(&udp->holding);
	client_udp_socket_free(&udp->socket);
	free(udp);
}

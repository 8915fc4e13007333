/*
 * leg_move: from one line to the next without a gap: who moves connects first and lets go
 * afterwards.
 *
 *	none -> waiting (until it is our turn) -> trying (a second line connects)
 *		-> leaving (it is up and used; the first is still listened to) -> none
 */
#include "leg/leg_client_inside.h"

#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"

#include <errno.h>
#include <string.h>

enum {
	LEAVE_MS = 500,
	TRY_FOR_MS = 60 * 1000,
	HOP_MS = 10 * 1000, /* who is told to move on so soon may be led in a circle: */
	HOP_PAUSE_MS = 200, /* it goes more and more slowly */
	HOP_PAUSE_MAX_MS = 30 * 1000,
};

static void begin_wish(struct leg_client *client);

static void
move_ends(struct leg_client *client)
{
	loop_timer_stop(&client->timer);
	client->phase = MOVE_NONE;
	if (client->has_wish)
		begin_wish(client);
}

/* The line is not used, and not missed. */
static void
drop_line(struct leg_client *client, struct leg_slot *slot)
{
	uint32_t number = slot->number;

	leg_line_free(&slot->line);
	if (client->events.on_left != NULL)
		client->events.on_left(number, client->events.arg);
}

static void
on_leave_time(struct loop *loop, void *arg)
{
	struct leg_client *client = arg;

	(void)loop;
	client->timer = NULL;
	/* It says goodbye on its own thread, and is freed when it is down. */
	leg_line_disconnect(leg_client_other(client)->line);
}

static void
on_try_end(struct loop *loop, void *arg)
{
	struct leg_client *client = arg;

	(void)loop;
	client->timer = NULL;
	log_warn("leg_move_failed", "to=%s", client->moving_to);
	client->moving_to[0] = '\0';
	leg_client_enter(client);
	drop_line(client, leg_client_other(client));
	if (!client->is_freed)
		move_ends(client);
	leg_client_leave(client);
}

static void
successor_is_up(struct leg_client *client)
{
	loop_timer_stop(&client->timer);
	client->active = 1 - client->active;
	client->phase = MOVE_LEAVING;
	client->moved_ms = clock_monotonic_ms();
	if (loop_timer_start(client->loop, LEAVE_MS, 0, on_leave_time, client, &client->timer) < 0)
		leg_line_disconnect(leg_client_other(client)->line);
	log_info("leg_moved", "to=%s", leg_line_url(leg_client_active(client)->line));
	client->events.on_state(LEG_UP, 0, "moved", client->events.arg);
}

/* The relay went before we were at the other one: what is being tried is all there is. */
static void
active_is_down(struct leg_client *client, int code, const char *reason)
{
	struct leg_slot *old = leg_client_active(client);

	client->active = 1 - client->active;
	client->events.on_state(LEG_DOWN, code, reason, client->events.arg);
	if (client->is_freed)
		return;
	drop_line(client, old);
	if (!client->is_freed)
		move_ends(client);
}

void
leg_move_on_state(struct leg_client *client, struct leg_slot *slot, enum leg_state state, int code,
		  const char *reason)
{
	bool is_active = slot == leg_client_active(client);

	if (is_active && client->phase == MOVE_TRYING && state == LEG_DOWN) {
		active_is_down(client, code, reason);
	} else if (is_active) {
		client->events.on_state(state, code, reason, client->events.arg);
	} else if (client->phase == MOVE_TRYING && state == LEG_UP) {
		successor_is_up(client);
	} else if (client->phase == MOVE_LEAVING && state == LEG_DOWN) {
		drop_line(client, slot);
		if (!client->is_freed)
			move_ends(client);
	}
}

static void
on_turn(struct loop *loop, void *arg)
{
	struct leg_client *client = arg;
	struct leg_slot *slot = leg_client_other(client);
	char current[LEG_URL_TEXT_BYTES];

	client->timer = NULL;
	client->phase = MOVE_NONE;
	snprintf(current, sizeof current, "%s", leg_line_url(leg_client_active(client)->line));
	int r = leg_client_state(client) == LEG_UP ? 0 : -ENOTCONN;
	if (strcmp(client->moving_to, current) == 0)
		r = -EALREADY; /* it was lost meanwhile, and came up there */
	if (r == 0)
		r = leg_client_open(client, slot);
	if (r == 0) {
		leg_line_pin_as(slot->line, leg_client_active(client)->line);
		r = leg_client_aim(client, slot->line, current);
	}
	if (r == 0)
		r = loop_timer_start(loop, client->try_for_ms, 0, on_try_end, client,
				     &client->timer);
	if (r == 0) {
		client->phase = MOVE_TRYING;
		return;
	}
	log_warn("leg_move", "error=%s", strerror(-r));
	client->moving_to[0] = '\0';
	leg_line_free(&slot->line);
	move_ends(client);
}

/* The same leg at another relay: its URL with the path of the one that is up. */
static int
url_at(const struct leg_client *client, const char *relay, char ret[LEG_URL_TEXT_BYTES])
{
	struct leg_url there, here;
	int r = leg_url_parse(leg_line_url(leg_client_active(client)->line), &here);

	if (r == 0)
		r = leg_url_parse(relay, &there);
	if (r < 0)
		return r;
	if (here.is_tls && !there.is_tls)
		return -EPERM;
	strcpy(there.path, here.path);
	leg_url_format(&there, ret);
	return 0;
}

static const char *
next_url(const struct leg_client *client)
{
	const char *current = leg_line_url(leg_client_active(client)->line);
	size_t at = 0;

	while (at < client->url_n && strcmp(client->urls[at], current) != 0)
		at++;
	for (size_t i = 1; i <= client->url_n; i++) {
		const char *url = client->urls[(at + i) % client->url_n];

		if (strcmp(url, current) != 0)
			return url;
	}
	return NULL;
}

/* 0 for who has been here for long; else at least half of what doubles with each hop. */
static int64_t
hop_pause_ms(struct leg_client *client)
{
	int64_t pause_ms;

	if (client->moved_ms == 0 || clock_monotonic_ms() - client->moved_ms >= HOP_MS) {
		client->hops = 0;
		return 0;
	}
	pause_ms = backoff_ms(HOP_PAUSE_MS, HOP_PAUSE_MAX_MS, client->hops++);
	return pause_ms / 2 + backoff_share_ms(pause_ms / 2, backoff_random());
}

static void
begin_wish(struct leg_client *client)
{
	int64_t pause_ms, in_ms = client->wish_in_ms;

	client->has_wish = false;
	if (leg_client_state(client) != LEG_UP ||
	    strcmp(client->wish, leg_line_url(leg_client_active(client)->line)) == 0)
		return;
	strcpy(client->moving_to, client->wish);
	client->try_for_ms = client->wish_try_for_ms;
	pause_ms = hop_pause_ms(client);
	if (in_ms < pause_ms)
		in_ms = pause_ms;
	if (loop_timer_start(client->loop, in_ms, 0, on_turn, client, &client->timer) == 0)
		client->phase = MOVE_WAITING;
}

int
leg_client_move(struct leg_client *client, const char *relay, uint32_t in_ms, uint32_t try_for_ms)
{
	char url[LEG_URL_TEXT_BYTES];
	const char *next;
	int r = 0;

	if (leg_client_state(client) != LEG_UP)
		return -ENOTCONN;
	if (relay != NULL) {
		r = url_at(client, relay, url);
	} else {
		next = next_url(client);
		if (next == NULL)
			return -ENOENT;
		snprintf(url, sizeof url, "%s", next);
	}
	if (r < 0)
		return r;
	if (strcmp(url, leg_client_url(client)) == 0)
		return -ENOENT;
	strcpy(client->wish, url);
	client->wish_in_ms = in_ms;
	client->wish_try_for_ms = try_for_ms > 0 ? try_for_ms : TRY_FOR_MS;
	client->has_wish = true;
	if (client->phase == MOVE_NONE)
		begin_wish(client);
	return 0;
}

void
leg_move_stop(struct leg_client *client)
{
	loop_timer_stop(&client->timer);
	client->has_wish = false;
	client->moving_to[0] = '\0';
	if (client->phase == MOVE_LEAVING) {
		leg_line_disconnect(leg_client_other(client)->line);
		return;
	}
	bool is_trying = client->phase == MOVE_TRYING;
	client->phase = MOVE_NONE;
	if (is_trying)
		drop_line(client, leg_client_other(client));
}

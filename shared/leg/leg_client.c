/*
 * leg_client: one connection to a relay, or two for a moment: who moves connects first and lets go
 * afterwards. Talks to leg_line, which is one connection.
 *
 *	move	none -> waiting (until it is our turn) -> trying (a second line connects)
 *		-> leaving (it is up and used; the first is still listened to) -> none
 */
#include "leg/leg_client.h"

#include "leg/leg_inside.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEAVE_MS = 500, TRY_FOR_MS = 60 * 1000 };

enum move_phase { MOVE_NONE, MOVE_WAITING, MOVE_TRYING, MOVE_LEAVING };

struct leg_slot {
	struct leg_client *client;
	struct leg_line *line;
	uint32_t number;
};

struct leg_client {
	struct loop *loop;
	struct metrics *metrics;
	char *ca_file;
	size_t queue_bytes;
	struct leg_client_events events;
	struct leg_slot slots[2];
	unsigned active;
	uint32_t last_number;
	const struct leg_slot *speaking; /* whose message is being delivered */
	unsigned busy;
	bool is_freed;

	/* what was ordered */
	char *urls[LEG_URLS_MAX];
	size_t url_n;
	char ticket[LEG_TICKET_MAX_BYTES];

	enum move_phase phase;
	struct loop_timer *timer;
	char moving_to[LEG_URL_TEXT_BYTES]; /* a target beside the ordered ones, since we were told
					     */
	uint32_t try_for_ms;
	bool has_wish; /* another move, after this one */
	char wish[LEG_URL_TEXT_BYTES];
	uint32_t wish_in_ms, wish_try_for_ms;
};

static void
forget_order(struct leg_client *client)
{
	for (size_t i = 0; i < client->url_n; i++)
		free(client->urls[i]);
	client->url_n = 0;
	explicit_bzero(client->ticket, sizeof client->ticket);
}

static void
client_destroy(struct leg_client *client)
{
	forget_order(client);
	free(client->ca_file);
	free(client);
}

static void
enter(struct leg_client *client)
{
	client->busy++;
}

static void
leave(struct leg_client *client)
{
	if (--client->busy == 0 && client->is_freed)
		client_destroy(client);
}

static struct leg_slot *
active_slot(struct leg_client *client)
{
	return &client->slots[client->active];
}

static struct leg_slot *
other_slot(struct leg_client *client)
{
	return &client->slots[1 - client->active];
}

static void
stop_timer(struct leg_client *client)
{
	if (client->timer != NULL)
		loop_timer_stop(&client->timer);
}

/* ---- moving ---- */

static void begin_wish(struct leg_client *client);

static void
move_ends(struct leg_client *client)
{
	stop_timer(client);
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
	leg_line_disconnect(other_slot(client)->line);
}

static void
on_try_end(struct loop *loop, void *arg)
{
	struct leg_client *client = arg;

	(void)loop;
	client->timer = NULL;
	log_warn("leg_move_failed", "to=%s", client->moving_to);
	client->moving_to[0] = '\0';
	enter(client);
	drop_line(client, other_slot(client));
	if (!client->is_freed)
		move_ends(client);
	leave(client);
}

static void
successor_is_up(struct leg_client *client)
{
	stop_timer(client);
	client->active = 1 - client->active;
	client->phase = MOVE_LEAVING;
	if (loop_timer_start(client->loop, LEAVE_MS, 0, on_leave_time, client, &client->timer) < 0)
		leg_line_disconnect(other_slot(client)->line);
	log_info("leg_moved", "to=%s", leg_line_url(active_slot(client)->line));
	client->events.on_state(LEG_UP, 0, "moved", client->events.arg);
}

/* The relay went before we were at the other one: what is being tried is all there is. */
static void
active_is_down(struct leg_client *client, int code, const char *reason)
{
	struct leg_slot *old = active_slot(client);

	client->active = 1 - client->active;
	client->events.on_state(LEG_DOWN, code, reason, client->events.arg);
	if (client->is_freed)
		return;
	drop_line(client, old);
	if (!client->is_freed)
		move_ends(client);
}

static void
on_slot_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;
	bool is_active = slot == active_slot(client);

	enter(client);
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
	leave(client);
}

static void
on_slot_message(const uint8_t *message, size_t n, void *arg)
{
	const struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;

	enter(client);
	client->speaking = slot;
	client->events.on_message(message, n, client->events.arg);
	client->speaking = NULL;
	leave(client);
}

static void
on_slot_batch_end(void *arg)
{
	const struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;

	enter(client);
	if (!client->is_freed && client->events.on_batch_end != NULL)
		client->events.on_batch_end(client->events.arg);
	leave(client);
}

static int
open_slot(struct leg_client *client, struct leg_slot *slot)
{
	const struct leg_client_options options = { .ca_file = client->ca_file,
						    .queue_bytes = client->queue_bytes };
	const struct leg_client_events events = { .on_state = on_slot_state,
						  .on_message = on_slot_message,
						  .on_batch_end = on_slot_batch_end,
						  .arg = slot };

	slot->client = client;
	slot->number = ++client->last_number;
	return leg_line_new(client->loop, client->metrics, &options, &events, &slot->line);
}

/* Which of the ordered targets come after the one we were told of, if any, and are not `except`. */
static int
aim(struct leg_client *client, struct leg_line *line, const char *except)
{
	const char *urls[LEG_URLS_MAX + 2];
	size_t n = 0;

	/* Until it is our turn, what is up stays. */
	if (client->moving_to[0] != '\0' && client->phase != MOVE_WAITING)
		urls[n++] = client->moving_to;
	for (size_t i = 0; i < client->url_n && n < LEG_URLS_MAX; i++)
		if ((n == 0 || strcmp(client->urls[i], client->moving_to) != 0) &&
		    (except == NULL || strcmp(client->urls[i], except) != 0))
			urls[n++] = client->urls[i];
	urls[n] = NULL;
	return n == 0 ? -ENOENT : leg_line_target(line, urls, client->ticket);
}

static void
on_turn(struct loop *loop, void *arg)
{
	struct leg_client *client = arg;
	struct leg_slot *slot = other_slot(client);
	char current[LEG_URL_TEXT_BYTES];

	client->timer = NULL;
	client->phase = MOVE_NONE;
	snprintf(current, sizeof current, "%s", leg_line_url(active_slot(client)->line));
	int r = leg_client_state(client) == LEG_UP ? open_slot(client, slot) : -ENOTCONN;
	if (r == 0) {
		leg_line_pin_as(slot->line, active_slot(client)->line);
		r = aim(client, slot->line, current);
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
	int r = leg_url_parse(leg_line_url(client->slots[client->active].line), &here);

	if (r == 0)
		r = leg_url_parse(relay, &there);
	if (r < 0)
		return r;
	strcpy(there.path, here.path);
	leg_url_format(&there, ret);
	return 0;
}

static const char *
next_url(const struct leg_client *client)
{
	const char *current = leg_line_url(client->slots[client->active].line);
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

static void
begin_wish(struct leg_client *client)
{
	client->has_wish = false;
	if (leg_client_state(client) != LEG_UP ||
	    strcmp(client->wish, leg_line_url(active_slot(client)->line)) == 0)
		return;
	strcpy(client->moving_to, client->wish);
	client->try_for_ms = client->wish_try_for_ms;
	if (loop_timer_start(client->loop, client->wish_in_ms, 0, on_turn, client,
			     &client->timer) == 0)
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

/* ---- for the owner ---- */

int
leg_client_new(struct loop *loop, struct metrics *metrics, const struct leg_client_options *options,
	       const struct leg_client_events *events, struct leg_client **ret)
{
	struct leg_client *client = calloc(1, sizeof *client);

	if (client == NULL)
		return -ENOMEM;
	client->loop = loop;
	client->metrics = metrics;
	client->events = *events;
	client->queue_bytes = options->queue_bytes;
	if (options->ca_file != NULL) {
		client->ca_file = strdup(options->ca_file);
		if (client->ca_file == NULL) {
			free(client);
			return -ENOMEM;
		}
	}
	int r = open_slot(client, active_slot(client));
	if (r < 0) {
		client_destroy(client);
		return r;
	}
	*ret = client;
	return 0;
}

void
leg_client_free(struct leg_client **client_pointer)
{
	struct leg_client *client = *client_pointer;

	if (client == NULL)
		return;
	*client_pointer = NULL;
	stop_timer(client);
	client->is_freed = true;
	for (size_t i = 0; i < 2; i++)
		leg_line_free(&client->slots[i].line);
	if (client->busy == 0)
		client_destroy(client);
}

int
leg_client_pin(struct leg_client *client, const char *host, const char *address)
{
	int r = leg_line_pin(active_slot(client)->line, host, address);

	if (r == 0 && other_slot(client)->line != NULL)
		r = leg_line_pin(other_slot(client)->line, host, address);
	return r;
}

/* As leg_line_url has them, so that they can be compared. */
static int
keep_order(struct leg_client *client, const char *const *urls, const char *ticket)
{
	char text[LEG_URL_TEXT_BYTES];
	struct leg_url url;
	int r = 0;

	if (urls[0] == NULL || strlen(ticket) >= sizeof client->ticket)
		return -EINVAL;
	forget_order(client);
	for (size_t i = 0; r == 0 && urls[i] != NULL; i++) {
		r = i < LEG_URLS_MAX ? leg_url_parse(urls[i], &url) : -EINVAL;
		if (r < 0)
			break;
		leg_url_format(&url, text);
		client->urls[i] = strdup(text);
		if (client->urls[i] == NULL)
			return -ENOMEM;
		client->url_n++;
	}
	strcpy(client->ticket, ticket);
	return r;
}

static bool
is_ordered(const struct leg_client *client, const char *url)
{
	for (size_t i = 0; i < client->url_n; i++)
		if (strcmp(client->urls[i], url) == 0)
			return true;
	return false;
}

int
leg_client_target(struct leg_client *client, const char *const *urls, const char *ticket)
{
	int r = keep_order(client, urls, ticket);

	if (r < 0)
		return r;
	if (client->phase == MOVE_TRYING)
		return leg_line_target(active_slot(client)->line, urls, ticket);
	/* A relay that we were told to go to stays a target: the list may be older than that. */
	if (client->phase == MOVE_NONE && is_ordered(client, client->moving_to))
		client->moving_to[0] = '\0';
	return aim(client, active_slot(client)->line, NULL);
}

void
leg_client_disconnect(struct leg_client *client)
{
	stop_timer(client);
	client->has_wish = false;
	client->moving_to[0] = '\0';
	if (client->phase == MOVE_TRYING)
		drop_line(client, other_slot(client));
	if (client->phase == MOVE_LEAVING)
		leg_line_disconnect(other_slot(client)->line);
	else
		client->phase = MOVE_NONE;
	leg_line_disconnect(active_slot(client)->line);
}

enum leg_state
leg_client_state(const struct leg_client *client)
{
	return leg_line_state(client->slots[client->active].line);
}

const char *
leg_client_url(const struct leg_client *client)
{
	return leg_line_url(client->slots[client->active].line);
}

uint32_t
leg_client_line(const struct leg_client *client)
{
	return client->speaking != NULL ? client->speaking->number
					: client->slots[client->active].number;
}

int
leg_client_send(struct leg_client *client, const uint8_t *message, size_t n, bool is_control)
{
	return leg_line_send(active_slot(client)->line, message, n, is_control);
}

int
leg_client_send_on(struct leg_client *client, uint32_t line, const uint8_t *message, size_t n,
		   bool is_control)
{
	for (size_t i = 0; i < 2; i++)
		if (client->slots[i].line != NULL && client->slots[i].number == line)
			return leg_line_send(client->slots[i].line, message, n, is_control);
	return -ENOTCONN;
}

void
leg_client_flush(struct leg_client *client)
{
	for (size_t i = 0; i < 2; i++)
		if (client->slots[i].line != NULL)
			leg_line_flush(client->slots[i].line);
}

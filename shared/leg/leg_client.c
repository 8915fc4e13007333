/*
 * leg_client: one connection to a relay, or two for a moment, while it moves (leg_move.c). Talks to
 * leg_line, which is one connection.
 */
#include "leg/leg_client_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void
leg_client_enter(struct leg_client *client)
{
	client->busy++;
}

void
leg_client_leave(struct leg_client *client)
{
	if (--client->busy == 0 && client->is_freed)
		client_destroy(client);
}

static void
on_slot_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;

	leg_client_enter(client);
	leg_move_on_state(client, slot, state, code, reason);
	leg_client_leave(client);
}

static void
on_slot_message(const uint8_t *message, size_t n, void *arg)
{
	const struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;

	leg_client_enter(client);
	client->speaking = slot;
	client->events.on_message(message, n, client->events.arg);
	client->speaking = NULL;
	leg_client_leave(client);
}

static void
on_slot_batch_end(void *arg)
{
	const struct leg_slot *slot = arg;
	struct leg_client *client = slot->client;

	leg_client_enter(client);
	if (!client->is_freed && client->events.on_batch_end != NULL)
		client->events.on_batch_end(client->events.arg);
	leg_client_leave(client);
}

int
leg_client_open(struct leg_client *client, struct leg_slot *slot)
{
	const struct leg_client_events events = { .on_state = on_slot_state,
						  .on_message = on_slot_message,
						  .on_batch_end = on_slot_batch_end,
						  .arg = slot };

	slot->client = client;
	slot->number = ++client->last_number;
	return leg_line_new(client->loop, client->metrics, &client->options, &events, &slot->line);
}

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
	client->options = *options;
	if (options->ca_file != NULL) {
		client->ca_file = strdup(options->ca_file);
		if (client->ca_file == NULL) {
			free(client);
			return -ENOMEM;
		}
		client->options.ca_file = client->ca_file;
	}
	int r = leg_client_open(client, leg_client_active(client));
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
	loop_timer_stop(&client->timer);
	client->is_freed = true;
	for (size_t i = 0; i < 2; i++)
		leg_line_free(&client->slots[i].line);
	if (client->busy == 0)
		client_destroy(client);
}

int
leg_client_pin(struct leg_client *client, const char *host, const char *address)
{
	int r = leg_line_pin(leg_client_active(client)->line, host, address);

	if (r == 0 && leg_client_other(client)->line != NULL)
		r = leg_line_pin(leg_client_other(client)->line, host, address);
	return r;
}

/* As leg_line_url has them, so that they can be compared; *ret_n of them, on failure, too. */
static int
copy_urls(const char *const *urls, char *ret[LEG_URLS_MAX], size_t *ret_n)
{
	char text[LEG_URL_TEXT_BYTES];
	struct leg_url url;

	for (*ret_n = 0; urls[*ret_n] != NULL; ++*ret_n) {
		if (*ret_n == LEG_URLS_MAX || leg_url_parse(urls[*ret_n], &url) < 0)
			return -EINVAL;
		leg_url_format(&url, text);
		ret[*ret_n] = strdup(text);
		if (ret[*ret_n] == NULL)
			return -ENOMEM;
	}
	return *ret_n > 0 ? 0 : -EINVAL;
}

/* One that cannot be leaves the last one as it was. */
static int
keep_order(struct leg_client *client, const char *const *urls, const char *ticket)
{
	char *copies[LEG_URLS_MAX];
	size_t n;
	int r = copy_urls(urls, copies, &n);

	if (r == 0)
		r = leg_ticket_check(ticket);
	if (r < 0) {
		while (n > 0)
			free(copies[--n]);
		return r;
	}
	forget_order(client);
	memcpy(client->urls, copies, n * sizeof *copies);
	client->url_n = n;
	strcpy(client->ticket, ticket);
	return 0;
}

int
leg_client_aim(struct leg_client *client, struct leg_line *line, const char *except)
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
		return leg_line_target(leg_client_active(client)->line, urls, ticket);
	/* A relay that we were told to go to stays a target: the list may be older than that. */
	if (client->phase == MOVE_NONE && is_ordered(client, client->moving_to))
		client->moving_to[0] = '\0';
	return leg_client_aim(client, leg_client_active(client)->line, NULL);
}

void
leg_client_disconnect(struct leg_client *client)
{
	leg_client_enter(client);
	leg_move_stop(client);
	if (!client->is_freed)
		leg_line_disconnect(leg_client_active(client)->line);
	leg_client_leave(client);
}

enum leg_state
leg_client_state(const struct leg_client *client)
{
	return leg_line_state(leg_client_active(client)->line);
}

const char *
leg_client_url(const struct leg_client *client)
{
	return leg_line_url(leg_client_active(client)->line);
}

struct leg_client_figures
leg_client_figures(const struct leg_client *client)
{
	return leg_line_figures(leg_client_active(client)->line);
}

uint32_t
leg_client_line(const struct leg_client *client)
{
	return client->speaking != NULL ? client->speaking->number
					: leg_client_active(client)->number;
}

int
leg_client_send(struct leg_client *client, const uint8_t *message, size_t n, bool is_control)
{
	return leg_line_send(leg_client_active(client)->line, message, n, is_control);
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

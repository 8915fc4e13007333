/*
 * leg_order: where a line is to connect: URLs, a proxy for each, and addresses that were pinned;
 * all looked up on the owner's thread and handed to the leg's as one order.
 */
#include "leg/leg_inside.h"
#include "log/log.h"
#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int
leg_line_pin(struct leg_line *line, const char *host, const char *address)
{
	struct in6_addr ignored;
	size_t i;

	if (strlen(host) >= LEG_URL_HOST_BYTES || address_parse(address, &ignored) < 0)
		return -EINVAL;
	for (i = 0; i < line->pin_n; i++)
		if (strcasecmp(line->pins[i].host, host) == 0)
			break;
	if (i == LEG_PINS_MAX)
		return -ENOSPC;
	strcpy(line->pins[i].host, host);
	strcpy(line->pins[i].address, address);
	if (i == line->pin_n)
		line->pin_n++;
	return 0;
}

void
leg_line_pin_as(struct leg_line *line, const struct leg_line *other)
{
	memcpy(line->pins, other->pins, sizeof line->pins);
	line->pin_n = other->pin_n;
}

static const char *
pinned(const struct leg_line *line, const char *host)
{
	for (size_t i = 0; i < line->pin_n; i++)
		if (strcasecmp(line->pins[i].host, host) == 0)
			return line->pins[i].address;
	return NULL;
}

/* A proxy resolves the relay's name; what is pinned then is the proxy's own. */
static int
endpoint_init(const struct leg_line *line, const char *text, struct leg_endpoint *endpoint)
{
	int r = leg_url_parse(text, &endpoint->url);
	if (r < 0)
		return r;
	const char *address = pinned(line, endpoint->url.host);
	if (leg_url_proxy(&endpoint->url, endpoint->proxy)) {
		char host[LEG_URL_HOST_BYTES];
		uint16_t port;
		r = leg_proxy_address(endpoint->proxy, host, &port);
		if (r < 0)
			return r;
		address = NULL;
		const char *proxy_address = pinned(line, host);
		if (proxy_address != NULL)
			r = leg_proxy_set_address(endpoint->proxy, proxy_address);
		if (r < 0)
			return r;
	}
	if (address != NULL)
		strcpy(endpoint->address, address);
	return 0;
}

static void
give_order(struct leg_line *line, struct leg_order *order)
{
	pthread_mutex_lock(&line->lock);
	struct leg_order *old = line->order;
	line->order = order;
	pthread_mutex_unlock(&line->lock);
	if (old != NULL)
		explicit_bzero(old->ticket, sizeof old->ticket);
	free(old);
	leg_thread_wake(line->thread);
}

int
leg_ticket_check(const char *ticket)
{
	if (strlen(ticket) >= LEG_TICKET_MAX_BYTES)
		return -EINVAL;
	for (const char *c = ticket; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return -EINVAL;
	return 0;
}

int
leg_line_target(struct leg_line *line, const char *const *urls, const char *ticket)
{
	size_t n = 0;

	while (urls[n] != NULL)
		n++;
	if (n == 0 || n > LEG_URLS_MAX || leg_ticket_check(ticket) < 0)
		return -EINVAL;
	struct leg_order *order = calloc(1, sizeof *order + n * sizeof order->endpoints[0]);
	if (order == NULL)
		return -ENOMEM;
	order->n = n;
	strcpy(order->ticket, ticket);
	for (size_t i = 0; i < n; i++) {
		int r = endpoint_init(line, urls[i], &order->endpoints[i]);
		if (r < 0) {
			free(order);
			return r;
		}
	}
	give_order(line, order);
	return 0;
}

void
leg_line_disconnect(struct leg_line *line)
{
	struct leg_order *order = calloc(1, sizeof *order);

	if (order == NULL)
		log_error("leg_disconnect", "error=%s", strerror(ENOMEM));
	else
		give_order(line, order);
}

/*
 * relay_request: a path of /relay/<id> and no query, no browser, our subprotocol or none, a ticket.
 */
#include "relay/relay_request.h"

#include <string.h>
#include <strings.h>

static const char leg_path[] = "/relay/";

/* The path names the leg; a query is refused, for a ticket in it would end up in logs. */
static int
read_target(const struct ws_request *request, uint8_t ret_id[UUID_BYTES])
{
	size_t prefix = sizeof(leg_path) - 1;
	char id[UUID_TEXT_BYTES];

	if (request->path.n != prefix + UUID_TEXT_BYTES - 1 ||
	    memcmp(request->path.at, leg_path, prefix) != 0)
		return 404;
	memcpy(id, request->path.at + prefix, UUID_TEXT_BYTES - 1);
	id[UUID_TEXT_BYTES - 1] = '\0';
	if (uuid_parse(id, ret_id) < 0)
		return 404;
	return request->query.at != NULL ? 400 : 0;
}

static int
read_ticket(struct ws_text value, struct relay_request *ret)
{
	static const char scheme[] = "Bearer ";
	size_t n = sizeof(scheme) - 1;

	if (value.n <= n || strncasecmp(value.at, scheme, n) != 0)
		return 401;
	for (; n < value.n && value.at[n] == ' '; n++)
		;
	ret->ticket_n = value.n - n;
	if (ret->ticket_n == 0 || ret->ticket_n >= sizeof(ret->ticket))
		return 401;
	memcpy(ret->ticket, value.at + n, ret->ticket_n);
	ret->ticket[ret->ticket_n] = '\0';
	return 0;
}

int
relay_request_parse(const uint8_t *bytes, size_t n, size_t *scanned, struct relay_request *ret)
{
	struct ws_request request;
	int status = ws_handshake_parse(bytes, n, scanned, &request);

	if (status != 0)
		return status;
	memset(ret, 0, sizeof(*ret));
	ret->consumed = request.consumed;
	memcpy(ret->key, request.key, sizeof(ret->key));
	if ((status = read_target(&request, ret->id)) != 0)
		return status;
	if (request.origin.at != NULL)
		return 403; /* no browser has business here */
	ret->is_raw = request.protocols.at == NULL;
	if (!ret->is_raw && !ws_list_has(request.protocols, RELAY_SUBPROTOCOL))
		return 400;
	return read_ticket(request.authorization, ret);
}

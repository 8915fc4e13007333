/*
 * gateway_upgrade: requests for a WebSocket; see the header.
 */
#include "gateway/gateway_upgrade.h"

#include "loop/clock.h"

#include <string.h>

enum { LIFETIME_MAX_MS = 60 * 60 * 1000 };

static int
key_read(const struct gateway_head *head, char ret[WS_KEY_TEXT_BYTES])
{
	struct ws_text key = { head->websocket_key, strlen(head->websocket_key) };
	return ws_key_read(key, ret);
}

bool
gateway_upgrade_is_good(const struct gateway_head *head)
{
	char key[WS_KEY_TEXT_BYTES];
	return strcmp(head->method, "GET") == 0 && head->tally.is_websocket &&
	       head->tally.names_upgrade && !head->tally.is_1_0 &&
	       head->websocket_version != NULL && strcmp(head->websocket_version, "13") == 0 &&
	       head->websocket_key != NULL && key_read(head, key) == 0;
}

int
gateway_upgrade_accept(const struct gateway_head *head, char ret[WS_ACCEPT_TEXT_BYTES])
{
	char key[WS_KEY_TEXT_BYTES];
	int r = key_read(head, key);
	return r < 0 ? r : ws_accept_write(key, ret);
}

int64_t
gateway_upgrade_expiry(const struct gateway_request *request)
{
	int64_t left_ms = LIFETIME_MAX_MS, expires_at_ms = request->caller.expires_at_ms;
	if (expires_at_ms > 0 && expires_at_ms - clock_wall_ms() < left_ms)
		left_ms = expires_at_ms - clock_wall_ms();
	return clock_monotonic_ms() + left_ms;
}

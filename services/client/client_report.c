/*
 * client_report: what `higgs status` is told, as JSON.
 */
#include "client/client_session.h"
#include "client/client_udp.h"
#include "json/json_text.h"

#include <string.h>
#include <unistd.h>

static const char *
state_name(const struct session *session)
{
	switch (session->phase) {
	case SESSION_CONNECTED:
		return !session_is_silent(session) && (leg_client_state(session->leg) == LEG_UP ||
						       client_udp_is_up(session->udp))
			       ? "connected"
			       : "reconnecting";
	case SESSION_STOPPING:
		return "disconnecting";
	case SESSION_ASKING:
	case SESSION_ATTACHING:
	case SESSION_SHAKING:
		break;
	}
	return "connecting";
}

static void
put_or_leave(struct json_text *text, const char *name, const char *value)
{
	if (value[0] != '\0')
		json_text_member(text, name, value);
}

/* Which tunnel it is, and by which way. */
static void
write_tunnel(struct json_text *text, const struct session *session)
{
	const struct client_route *route = &session->route;
	const char *relay = leg_client_url(session->leg);

	if (relay[0] == '\0' && session->has_route)
		relay = route->relays[0];
	put_or_leave(text, "sessionId", route->session_id);
	put_or_leave(text, "nodeId", route->node_id);
	put_or_leave(text, "country", session->country);
	put_or_leave(text, "address4", route->address4);
	put_or_leave(text, "address6", route->address6);
	put_or_leave(text, "relayEndpoint", relay);
	json_text_member(text, "carriedBy", client_udp_is_up(session->udp) ? "udp" : "leg");
	json_text_member_bool(text, "udpLosesLongPackets", session->is_narrow);
	json_text_member(text, "interface", session->options->interface);
	if (route->dns_n > 0)
		json_text_member(text, "dns", route->dns[0]);
	json_text_member_uint(text, "mtu", route->mtu);
	json_text_member_int(text, "pid", getpid());
	json_text_member_bool(text, "killSwitch", session->options->kill_switch);
}

/* What was lost here: on the way, nobody knows. */
static void
write_losses(struct json_text *text, const struct session *session)
{
	struct leg_client_figures leg = leg_client_figures(session->leg);
	uint64_t up, down;

	client_shim_lost(client_tunnel_shim(session->tunnel), &up, &down);
	json_text_member_uint(text, "lostUp", up + leg.lost_out);
	json_text_member_uint(text, "lostDown", down + leg.lost_in);
	json_text_member_uint(text, "legAttempts", leg.attempts);
}

/* How it goes: what has passed, since when, and until when. */
static void
write_usage(struct json_text *text, struct session *session)
{
	struct device *device = client_tunnel_device(session->tunnel);
	struct device_usage usage = { 0 };
	uint64_t rx_bytes = 0, tx_bytes = 0;

	if (device != NULL) {
		device_counters(device, &rx_bytes, &tx_bytes);
		device_peer_usage(device, &session->route.node_key, &usage);
	}
	json_text_member_uint(text, "rxBytes", rx_bytes);
	json_text_member_uint(text, "txBytes", tx_bytes);
	json_text_member_int(text, "lastHandshakeSec", usage.last_handshake_sec);
	json_text_member_int(text, "connectedAt", session->connected_wall_ms);
	json_text_member_int(text, "expiresAt", session->route.expires_at_ms);
}

size_t
session_report(struct session *session, char *ret_json, size_t capacity)
{
	struct json_text text = { .max_bytes = capacity - 2 };
	size_t n = 0;

	json_text_open(&text, '{');
	json_text_member(&text, "state", state_name(session));
	write_tunnel(&text, session);
	write_usage(&text, session);
	write_losses(&text, session);
	put_or_leave(&text, "reason", session->leg_reason);
	json_text_close(&text, '}');
	if (!json_text_failed(&text)) {
		memcpy(ret_json, text.bytes, text.n);
		ret_json[text.n] = '\n';
		n = text.n + 1;
	}
	json_text_fini(&text);
	return n;
}

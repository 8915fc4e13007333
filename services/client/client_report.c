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

size_t
session_report(struct session *session, char *ret_json, size_t capacity)
{
	struct json_text text = { .max_bytes = capacity - 2 };
	struct device *device = client_tunnel_device(session->tunnel);
	struct device_usage usage = { 0 };
	uint64_t rx_bytes = 0, tx_bytes = 0;
	size_t n = 0;

	if (device != NULL) {
		device_counters(device, &rx_bytes, &tx_bytes);
		device_peer_usage(device, &session->route.node_key, &usage);
	}
	json_text_open(&text, '{');
	json_text_member(&text, "state", state_name(session));
	put_or_leave(&text, "sessionId", session->route.session_id);
	put_or_leave(&text, "nodeId", session->route.node_id);
	put_or_leave(&text, "country", session->country);
	put_or_leave(&text, "address4", session->route.address4);
	put_or_leave(&text, "address6", session->route.address6);
	const char *relay = leg_client_url(session->leg);
	if (relay[0] == '\0' && session->has_route)
		relay = session->route.relays[0];
	put_or_leave(&text, "relayEndpoint", relay);
	json_text_member(&text, "carriedBy", client_udp_is_up(session->udp) ? "udp" : "leg");
	json_text_key(&text, "udpLosesLongPackets");
	json_text_bool(&text, session->is_narrow);
	json_text_member(&text, "interface", session->options->interface);
	if (session->route.dns_n > 0)
		json_text_member(&text, "dns", session->route.dns[0]);
	json_text_key(&text, "mtu");
	json_text_uint(&text, session->route.mtu);
	json_text_key(&text, "pid");
	json_text_int(&text, getpid());
	json_text_key(&text, "killSwitch");
	json_text_bool(&text, session->options->kill_switch);
	json_text_key(&text, "rxBytes");
	json_text_uint(&text, rx_bytes);
	json_text_key(&text, "txBytes");
	json_text_uint(&text, tx_bytes);
	json_text_key(&text, "lastHandshakeSec");
	json_text_int(&text, usage.last_handshake_sec);
	json_text_key(&text, "connectedAt");
	json_text_int(&text, session->connected_wall_ms);
	json_text_key(&text, "expiresAt");
	json_text_int(&text, session->route.expires_at_ms);
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

/*
 * relay_udp_control: see the header.
 */
#include "relay/relay_udp_control.h"

#include "log/log.h"
#include "loop/clock.h"
#include "net/address.h"
#include "relay/relay_control.h"
#include "relay/relay_udp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* ---- where ---- */

static void
name_endpoint(struct relay_control *control, uint16_t port)
{
	const struct relay_settings *settings = &control->settings;
	bool is_v6 = strchr(settings->udp_host, ':') != NULL;

	if (*settings->udp_public != '\0')
		snprintf(control->udp_endpoint, sizeof(control->udp_endpoint), "%s",
			 settings->udp_public);
	else
		snprintf(control->udp_endpoint, sizeof(control->udp_endpoint), "%s%s%s:%u",
			 is_v6 ? "[" : "", settings->udp_host, is_v6 ? "]" : "", port);
}

int
relay_udp_control_start(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
	unsigned count = control->shard_count;
	uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES];
	uint16_t port = settings->udp_port;
	int fd = -1, r = 0;

	if (*settings->udp_host == '\0')
		return 0;
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return -EIO;
	for (unsigned i = 0; r == 0 && i < count; i++) {
		r = relay_udp_socket_open(settings->udp_host, count > 1, &port, &fd);
		if (r == 0)
			r = relay_udp_new(control->shards[i], fd, secret);
	}
	explicit_bzero(secret, sizeof(secret));
	if (r == 0) {
		name_endpoint(control, port);
		relay_udp_sources_find(fd, control->udp_endpoint, &control->udp_sources);
	} else {
		log_error("relay_udp_listen", "host=%s port=%u reason=\"%s\"", settings->udp_host,
			  port, strerror(-r));
	}
	return r;
}

/* ---- sessions ---- */

static bool
parse_id(const char *text, const char *field, void *call, uint8_t ret[UUID_BYTES])
{
	if (text != NULL && uuid_parse(text, ret) == 0)
		return true;
	bus_call_fail(call, BUS_INVALID, "field", field);
	return false;
}

static bool
parse_key(const char *text, const char *field, void *call, struct key *ret)
{
	if (text != NULL && key_parse(text, ret) == 0)
		return true;
	bus_call_fail(call, BUS_INVALID, "field", field);
	return false;
}

static bool
parse(const Boson__Relay__BindUdpRequest *input, void *call, struct relay_udp_binding *ret)
{
	int64_t now_ms = clock_wall_ms();

	if (!parse_id(input->session_id, "sessionId", call, ret->session_id) ||
	    !parse_id(input->node_id, "nodeId", call, ret->node_id) ||
	    !parse_key(input->node_public_key, "nodePublicKey", call, &ret->node_key) ||
	    !parse_key(input->client_public_key, "clientPublicKey", call, &ret->client_key))
		return false;
	if (!input->has_expires_at || input->expires_at <= now_ms) {
		bus_call_fail(call, BUS_INVALID, "field", "expiresAt");
		return false;
	}
	ret->ends_ms = clock_monotonic_ms() + (input->expires_at - now_ms);
	ret->rate_kbytes = input->rate_kbytes;
	/* A hint: one that cannot be read is none. */
	ret->has_address = input->client_address != NULL &&
			   address_parse(input->client_address, &ret->address) == 0;
	return true;
}

static bool
has_udp(const struct relay_control *control, void *call)
{
	if (*control->udp_endpoint != '\0')
		return true;
	bus_call_fail(call, BUS_UNAVAILABLE, "no_udp", "");
	return false;
}

void
relay_udp_control_bind(struct relay_control *control, const Boson__Relay__BindUdpRequest *input,
		       Boson__Common__Empty_Closure closure, void *closure_data)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct relay_udp_binding binding = { .ends_ms = 0 };

	if (!has_udp(control, closure_data) || !parse(input, closure_data, &binding))
		return;
	if (relay_control_command_all(control, RELAY_UDP_BIND, binding.session_id, &binding,
				      sizeof(binding)) < 0) {
		bus_call_fail_retry(closure_data, BUS_UNAVAILABLE, "relay_busy", 1);
		return;
	}
	relay_flows_bind(&control->flows, binding.session_id, binding.node_id);
	closure(&reply, closure_data);
}

void
relay_udp_control_unbind(struct relay_control *control, const Boson__Relay__UnbindUdpRequest *input,
			 Boson__Common__Empty_Closure closure, void *closure_data)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	uint8_t session_id[UUID_BYTES];

	if (!has_udp(control, closure_data) ||
	    !parse_id(input->session_id, "sessionId", closure_data, session_id))
		return;
	if (relay_control_command_all(control, RELAY_UDP_UNBIND, session_id, NULL, 0) < 0)
		bus_call_fail_retry(closure_data, BUS_UNAVAILABLE, "relay_busy", 1);
	else
		closure(&reply, closure_data);
}

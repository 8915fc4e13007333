/*
 * forwarder_tunnel: the tunnel comes up guard first, then interface, then rules, then the kernel's
 * forwarding, and goes down the other way round: at no moment does the kernel forward without
 * rules.
 */
#include "forwarder/forwarder.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int
apply(struct forwarder *forwarder)
{
	const struct exit_surroundings *surroundings = uplinks_surroundings(forwarder->uplinks);
	int r = exit_policy_apply(forwarder->policy, &forwarder->rules, surroundings);
	if (r == 0)
		r = forwarding_apply(forwarder->forwarding, surroundings);
	forwarder->rules_are_stale = r < 0;
	return r;
}

void
forwarder_tunnel_refresh(struct forwarder *forwarder)
{
	int r = forwarder->is_up ? apply(forwarder) : 0;
	if (r < 0)
		log_error("rules_not_loaded", "error=%s", strerror(-r));
}

static void
on_uplinks(const struct exit_surroundings *surroundings, void *arg)
{
	(void)surroundings;
	forwarder_tunnel_refresh(arg);
}

int
forwarder_tunnel_guard(struct forwarder *forwarder)
{
	const struct actor_context *context = forwarder->context;
	int r = exit_policy_new(context->loop, forwarder->rules.interface, &forwarder->policy);
	if (r == 0)
		r = forwarding_new(context->state_dir, forwarder->rules.interface,
				   &forwarder->forwarding);
	if (r == 0)
		r = uplinks_new(context->loop, forwarder->rules.interface, on_uplinks, forwarder,
				&forwarder->uplinks);
	return r;
}

/* The userspace WireGuard died and is back: with its key and addresses, without peers, and its
 * interface with settings as on the first day. */
static void
on_device_restart(bool alive, void *arg)
{
	struct forwarder *forwarder = arg;
	forwarder->wireguard_is_down = !alive;
	if (!alive || !forwarder->is_up)
		return;
	forwarder_tunnel_refresh(forwarder);
	int r = forwarder_peers_set_all(forwarder);
	if (r < 0)
		log_error("peers_not_set", "error=%s", strerror(-r));
	forwarder_peers_wake(forwarder);
}

/* The agent makes the key; until it has, there is nothing to do. */
static int
device_up(struct forwarder *forwarder)
{
	const struct config *config = forwarder->context->config;
	const char *addresses[] = { forwarder->address4, forwarder->address6, NULL };
	struct key private_key;
	if (access(forwarder->identity_key, R_OK) < 0) {
		forwarder->not_ready = "waiting for the agent's key";
		return -errno;
	}
	struct key public_key;
	int r = key_file_load_or_create(forwarder->identity_key, &private_key);
	if (r == 0)
		r = key_public(&private_key, &public_key);
	if (r < 0)
		return r;
	key_format(&public_key, forwarder->public_text);
	const struct device_options options = {
		.name = forwarder->rules.interface,
		.command = config_string(config, "forwarder", "wireguard_command"),
		.force_userspace =
			strcmp(config_string(config, "forwarder", "wireguard"), "userspace") == 0,
		.private_key = &private_key,
		.listen_port = (uint16_t)config_int(config, "forwarder", "listen_port"),
		.mtu = forwarder->rules.mtu,
		.addresses = addresses,
		.on_restart = on_device_restart,
		.arg = forwarder,
	};
	r = device_open(forwarder->context->loop, &options, &forwarder->device);
	key_wipe(&private_key, sizeof private_key);
	return r;
}

static bool
is_client(const struct in6_addr *source, void *arg)
{
	const struct forwarder *forwarder = arg;
	return forwarder_sessions_has_address(forwarder->sessions, source);
}

static int
dns_up(struct forwarder *forwarder)
{
	const struct actor_context *context = forwarder->context;
	const struct dns_forwarder_options options = {
		.address4 = forwarder->rules.address4,
		.address6 = forwarder->rules.address6,
		.upstreams = config_list(context->config, "forwarder", "dns_upstreams"),
		.resolv_conf = "/etc/resolv.conf",
		.is_client = is_client,
		.arg = forwarder,
	};
	int r = dns_forwarder_new(context->loop, context->metrics, &options, &forwarder->dns);
	if (r == 0)
		forwarder->rules.dns_port = dns_forwarder_port(forwarder->dns);
	return r;
}

static void
on_dump(void *arg)
{
	forwarder_report_flows(arg);
}

static int
flows_up(struct forwarder *forwarder)
{
	const struct actor_context *context = forwarder->context;
	const struct session *session = NULL;
	struct in6_addr address4, address6;
	int r = flow_table_new(forwarder->rules.mtu, (uint64_t)clock_wall_ms() * 1000,
			       &forwarder->flows);
	while (r == 0 && (session = forwarder_sessions_next(forwarder->sessions, session))) {
		session_mapped_addresses(session, &address4, &address6);
		r = flow_table_session_add(forwarder->flows, session->id, &address4, &address6);
	}
	if (r == 0)
		r = flow_events_new(context->loop, context->metrics, forwarder->flows, on_dump,
				    forwarder, &forwarder->events);
	return r;
}

static int
legs_up(struct forwarder *forwarder)
{
	const struct actor_context *context = forwarder->context;
	const struct config *config = context->config;
	const char *ca_file = config_string(config, "forwarder", "ca_file");
	const struct leg_client_options leg = {
		.ca_file = *ca_file ? ca_file : NULL,
		.is_node = true,
		.queue_bytes = (uint32_t)config_int(config, "forwarder", "queue_bytes"),
		.queue_age_ms = (uint32_t)config_int(config, "forwarder", "queue_age"),
	};
	struct forwarder_legs_events events = forwarder_admission_events;
	events.arg = forwarder;
	return forwarder_legs_new(context->loop, context->metrics, &leg,
				  device_listen_port(forwarder->device), &events, &forwarder->legs);
}

int
forwarder_tunnel_up(struct forwarder *forwarder)
{
	int r = 0;
	forwarder->not_ready = "the tunnel is not up";
	if (!forwarder->device)
		r = device_up(forwarder);
	if (r == 0 && !forwarder->dns)
		r = dns_up(forwarder);
	if (r == 0)
		r = apply(forwarder);
	if (r == 0)
		r = forwarder_peers_set_all(forwarder);
	if (r == 0 && !forwarder->events) {
		flow_table_free(&forwarder->flows);
		r = flows_up(forwarder);
	}
	if (r == 0 && !forwarder->legs)
		r = legs_up(forwarder);
	if (r < 0)
		return r;
	forwarder->is_up = true;
	log_info("tunnel_up", "interface=%s sessions=%zu policy=%s", forwarder->rules.interface,
		 forwarder_sessions_count(forwarder->sessions),
		 forwarder->rules.policy_on ? "on" : "off");
	return 0;
}

void
forwarder_tunnel_down(struct forwarder *forwarder)
{
	forwarder->is_up = false;
	loop_timer_stop(&forwarder->wake);
	forwarder_legs_free(&forwarder->legs);
	flow_events_free(&forwarder->events);
	flow_table_free(&forwarder->flows);
	dns_forwarder_free(&forwarder->dns);
	device_close(&forwarder->device);
	uplinks_free(&forwarder->uplinks);
	forwarding_free(&forwarder->forwarding);
	exit_policy_close(&forwarder->policy);
}

/*
 * forwarder_actor: the forwarder's start and end.
 *
 * Hears: agent (SetRelays, CloseSession, GetStatus), the relay over the leg (SessionOpen,
 * SessionClose, ChannelOpen, ChannelClose, packets), WireGuard, conntrack, rtnetlink.
 * Tells: agent (Snapshot, AdmitSession, EndSession, Report), the relay (SessionOpened, FlowReport).
 *
 * The guard is up when start returns. Then it asks the agent for a snapshot until it gets one, and
 * brings the tunnel up with the sessions in it.
 */
#include "forwarder/forwarder_actor.h"

#include "forwarder/dns_upstreams.h"
#include "forwarder/forwarder.h"
#include "forwarder/privileges.h"
#include "log/log.h"
#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	TICK_MS = 250,
	TICKS_EXPIRY = 4,
	TICKS_REPORT = 20,
	TICKS_RETRY = 2,
	SNAPSHOT_TIMEOUT_MS = 1000,
};

static const char *const policies[] = { "on", "off", NULL };
static const char *const implementations[] = { "auto", "userspace", NULL };

static const struct config_key keys[] = {
	{ "forwarder", "interface", CONFIG_IFNAME, "higgs0", 0, 0, NULL,
	  "the WireGuard interface that it makes" },
	{ "forwarder", "wireguard", CONFIG_ENUM, "auto", 0, 0, implementations,
	  "auto: the kernel's where it has one" },
	{ "forwarder", "wireguard_command", CONFIG_STRING, "wireguard-go", 0, 0, NULL,
	  "the userspace implementation, by path or name; called with -f INTERFACE" },
	{ "forwarder", "listen_port", CONFIG_INT, "0", 0, 65535, NULL,
	  "WireGuard's UDP port; 0: any" },
	{ "forwarder", "mtu", CONFIG_INT, "1280", 1280, 9000, NULL, "of the tunnel" },
	{ "forwarder", "address4", CONFIG_STRING, "10.90.0.1/16", 0, 0, NULL,
	  "the node in the tunnel; the first of the agent's pool4" },
	{ "forwarder", "address6", CONFIG_STRING, "fd48:6967:6773::1/64", 0, 0, NULL,
	  "likewise, of pool6" },
	{ "forwarder", "identity_key", CONFIG_PATH, "", 0, 0, NULL,
	  "the node's private key; empty: agent/identity.key in the state folder" },
	{ "forwarder", "ca_file", CONFIG_PATH, "", 0, 0, NULL,
	  "certificates to trust relays by; empty: the system's" },
	{ "forwarder", "queue_bytes", CONFIG_BYTES, "1MiB", 64 * 1024, 64 * 1024 * 1024, NULL,
	  "what may wait of one session for a slow uplink; the oldest is dropped" },
	{ "forwarder", "queue_age", CONFIG_DURATION, "80ms", 1, 10 * 1000, NULL,
	  "how long it may wait" },
	{ "forwarder", "policy", CONFIG_ENUM, "on", 0, 0, policies,
	  "off: sessions reach whatever this host reaches, its home network too" },
	{ "forwarder", "exit_allow", CONFIG_CIDRS, "", 1, 128, NULL,
	  "networks that sessions may reach although the policy denies them" },
	{ "forwarder", "new_flows", CONFIG_INT, "100", 1, 100000, NULL,
	  "new flows a second of one session" },
	{ "forwarder", "flows", CONFIG_INT, "2000", 1, 60000, NULL,
	  "flows of one session at once" },
	{ "forwarder", "udp_packets", CONFIG_INT, "20000", 0, 1000000, NULL,
	  "UDP packets a second that one session may send; 0: any number" },
	{ "forwarder", "limit_up", CONFIG_INT, "0", 0, 100000, NULL,
	  "Mbit/s that all sessions together may send to the internet; 0: what the line takes" },
	{ "forwarder", "limit_down", CONFIG_INT, "0", 0, 100000, NULL,
	  "Mbit/s that all sessions together may get from it; what comes goes on to the relay, "
	  "too" },
	{ "forwarder", "flow_destinations", CONFIG_BOOL, "no", 0, 0, NULL,
	  "tell the relay where flows go" },
	{ "forwarder", "dns_upstreams", CONFIG_LIST, "", 0, 0, NULL,
	  "resolvers, ADDRESS or ADDRESS:PORT; empty: resolv.conf's" },
	{ 0 },
};

/* ---- configuration ---- */

/* "10.90.0.1/16": an address with the length of its network. */
static bool
tunnel_address_parse(const char *text, int family, void *ret_address)
{
	bool is_v4 = family == AF_INET;
	struct in6_addr address;
	unsigned bits;
	if (address_parse_network(text, &address, &bits) < 0 ||
	    (strchr(text, ':') == NULL) != is_v4 || bits < 8 || bits > (is_v4 ? 30 : 126))
		return false;
	memcpy(ret_address, address.s6_addr + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
	return true;
}

static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	struct in_addr v4;
	struct in6_addr v6;
	struct dns_upstreams upstreams;
	const char *ca_file = config_string(config, "forwarder", "ca_file");
	if (!tunnel_address_parse(config_string(config, "forwarder", "address4"), AF_INET, &v4)) {
		snprintf(ret_error, error_bytes, "forwarder.address4: not ADDRESS/LENGTH");
		return EX_CONFIG;
	}
	if (!tunnel_address_parse(config_string(config, "forwarder", "address6"), AF_INET6, &v6)) {
		snprintf(ret_error, error_bytes, "forwarder.address6: not ADDRESS/LENGTH");
		return EX_CONFIG;
	}
	if (dns_upstreams_init(&upstreams, config_list(config, "forwarder", "dns_upstreams"),
			       "/etc/resolv.conf") < 0) {
		snprintf(ret_error, error_bytes,
			 "forwarder.dns_upstreams: not a list of at most %d addresses",
			 DNS_UPSTREAMS_MAX);
		return EX_CONFIG;
	}
	if (*ca_file && access(ca_file, R_OK) < 0) {
		snprintf(ret_error, error_bytes, "forwarder.ca_file: %s: %s", ca_file,
			 strerror(errno));
		return EX_NOINPUT;
	}
	return 0;
}

static void
configure(struct forwarder *forwarder)
{
	const struct config *config = forwarder->context->config;
	struct exit_rules *rules = &forwarder->rules;
	const char *identity_key = config_string(config, "forwarder", "identity_key");
	snprintf(rules->interface, sizeof rules->interface, "%s",
		 config_string(config, "forwarder", "interface"));
	rules->policy_on = strcmp(config_string(config, "forwarder", "policy"), "on") == 0;
	rules->allow = config_list(config, "forwarder", "exit_allow");
	rules->deny = forwarder->own_address_list;
	rules->mtu = (uint32_t)config_int(config, "forwarder", "mtu");
	rules->new_flows_per_second = (uint32_t)config_int(config, "forwarder", "new_flows");
	rules->udp_packets_per_second = (uint32_t)config_int(config, "forwarder", "udp_packets");
	rules->up_mbits = (uint32_t)config_int(config, "forwarder", "limit_up");
	rules->down_mbits = (uint32_t)config_int(config, "forwarder", "limit_down");
	rules->flows_max = (uint32_t)config_int(config, "forwarder", "flows");
	snprintf(forwarder->address4, sizeof forwarder->address4, "%s",
		 config_string(config, "forwarder", "address4"));
	snprintf(forwarder->address6, sizeof forwarder->address6, "%s",
		 config_string(config, "forwarder", "address6"));
	tunnel_address_parse(forwarder->address4, AF_INET, &rules->address4);
	tunnel_address_parse(forwarder->address6, AF_INET6, &rules->address6);
	forwarder->report_destinations = config_bool(config, "forwarder", "flow_destinations");
	if (*identity_key)
		snprintf(forwarder->identity_key, sizeof forwarder->identity_key, "%s",
			 identity_key);
	else
		snprintf(forwarder->identity_key, sizeof forwarder->identity_key,
			 "%s/../agent/identity.key", forwarder->context->state_dir);
}

/* ---- coming up ---- */

static void
on_snapshot(const Boson__Node__SnapshotReply *reply, void *closure)
{
	struct forwarder *forwarder = closure;
	forwarder->is_asking = false;
	if (!reply)
		return;
	forwarder->has_snapshot = true;
	forwarder_sessions_load(forwarder, reply);
	if (reply->attachment && forwarder_attach(forwarder, reply->attachment) < 0)
		log_warn("attachment_refused", "node=%s",
			 reply->attachment->node_id ? reply->attachment->node_id : "");
}

static void
ask_snapshot(struct forwarder *forwarder)
{
	Boson__Common__Empty request = BOSON__COMMON__EMPTY__INIT;
	if (forwarder->is_asking)
		return;
	forwarder->is_asking = true;
	forwarder->not_ready = "waiting for the agent";
	bus_peer_next(forwarder->agent, SNAPSHOT_TIMEOUT_MS, NULL);
	boson__node__agent__snapshot(bus_peer_service(forwarder->agent), &request, on_snapshot,
				     forwarder);
}

static void
bring_up(struct forwarder *forwarder)
{
	if (!forwarder->has_snapshot) {
		ask_snapshot(forwarder);
		return;
	}
	int r = forwarder_tunnel_up(forwarder);
	if (r < 0) {
		log_warn("tunnel_not_up", "reason=%s error=%s", forwarder->not_ready, strerror(-r));
		return;
	}
	forwarder_attach(forwarder, NULL);
	forwarder_report_to_agent(forwarder);
}

static void
on_tick(struct loop *loop, void *arg)
{
	(void)loop;
	struct forwarder *forwarder = arg;
	unsigned tick = forwarder->ticks++;
	if (!forwarder->is_up && tick % TICKS_RETRY == 0)
		bring_up(forwarder);
	if (forwarder->is_up && forwarder->rules_are_stale)
		forwarder_tunnel_refresh(forwarder);
	if (tick % TICKS_EXPIRY == 0)
		forwarder_sessions_expire(forwarder);
	if (tick % TICKS_REPORT == 0 && forwarder->has_snapshot)
		forwarder_report_to_agent(forwarder);
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct forwarder *forwarder = state;
	if (forwarder->is_up && forwarder->wireguard_is_down) {
		*ret_reason = "WireGuard cannot be started";
		return false;
	}
	if (forwarder->is_up && !forwarder->rules_are_stale &&
	    exit_policy_is_in_force(forwarder->policy))
		return true;
	*ret_reason = forwarder->is_up	     ? "the rules are not in force"
		      : forwarder->not_ready ? forwarder->not_ready
					     : "starting";
	return false;
}

/* ---- life ---- */

static void
stop(void *state)
{
	struct forwarder *forwarder = state;
	loop_timer_stop(&forwarder->tick);
	forwarder->is_up = false;
	bus_peer_free(&forwarder->agent); /* what is pending ends in its closures */
	forwarder_tunnel_down(forwarder);
	forwarder_sessions_free(&forwarder->sessions);
	if (forwarder->attachment)
		boson__node__attachment__free_unpacked(forwarder->attachment, NULL);
	free(forwarder);
}

static void
count_by(struct forwarder *forwarder)
{
	struct metrics *metrics = forwarder->context->metrics;
	forwarder->sessions_gauge = metrics_gauge(metrics, "sessions", NULL, "Sessions carried");
	forwarder->admitted = metrics_counter(metrics, "admissions_total", "result=\"ok\"",
					      "Sessions that the relay asked for");
	forwarder->refused = metrics_counter(metrics, "admissions_total", "result=\"refused\"",
					     "Sessions that the relay asked for");
}

static int
open_bus(struct forwarder *forwarder)
{
	const struct actor_context *context = forwarder->context;
	int r = bus_peer_new(context->bus, actor_endpoint(context, "agent"),
			     actor_server_key(context, "agent"), &boson__node__agent__descriptor,
			     &forwarder->agent);
	if (r == 0)
		r = bus_serve(context->bus, actor_endpoint(context, "forwarder"),
			      &forwarder->mailbox.base, NULL);
	return r;
}

static int
start(const struct actor_context *context, void **ret_state)
{
	if (!privileges_has_net_admin()) {
		log_error("not_permitted", "missing=CAP_NET_ADMIN");
		return EX_NOPERM;
	}
	struct forwarder *forwarder = calloc(1, sizeof *forwarder);
	if (!forwarder)
		return -ENOMEM;
	forwarder->mailbox = forwarder_mailbox;
	forwarder->context = context;
	configure(forwarder);
	count_by(forwarder);
	int r = forwarder_sessions_new(&forwarder->sessions);
	if (r == 0)
		r = forwarder_tunnel_guard(forwarder);
	if (r == 0)
		r = open_bus(forwarder);
	if (r == 0)
		r = loop_timer_start(context->loop, 0, TICK_MS, on_tick, forwarder,
				     &forwarder->tick);
	if (r < 0) {
		log_error("not_started", "error=%s", strerror(-r));
		stop(forwarder);
		return r;
	}
	*ret_state = forwarder;
	return 0;
}

const struct actor forwarder_actor = {
	.name = "forwarder",
	.product = "higgs",
	.keys = keys,
	.start = start,
	.is_ready = is_ready,
	.stop = stop,
	.check = check,
};

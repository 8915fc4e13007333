/*
 * client_tunnel: see the header.
 */
#include "client/client_tunnel.h"

#include "client/client_dns.h"
#include "client/client_exit.h"
#include "client/client_killswitch.h"
#include "client/client_routes.h"
#include "client/client_state.h"
#include "log/log.h"
#include "wg/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client_tunnel {
	struct loop *loop;
	struct client_tunnel_options options;
	struct client_shim *shim;
	struct device *device;
	bool is_blocked;
	struct client_pins pins; /* of the rules */
	/* of the device */
	char address4[INET_ADDRSTRLEN], address6[INET6_ADDRSTRLEN];
	struct key node_key;
};

int
client_tunnel_new(struct loop *loop, struct metrics *metrics,
		  const struct client_tunnel_options *options, struct client_tunnel **ret)
{
	struct client_tunnel *tunnel = calloc(1, sizeof *tunnel);

	if (tunnel == NULL)
		return -ENOMEM;
	tunnel->loop = loop;
	tunnel->options = *options;
	int r = client_shim_new(loop, metrics, &tunnel->shim);
	if (r < 0) {
		free(tunnel);
		return r;
	}
	*ret = tunnel;
	return 0;
}

static int
remove_interface(const char *folder)
{
	char name[LINK_NAME_BYTES];
	struct link link;
	int removed = 0;

	client_state_noted_interface(folder, name);
	/* Only one that carries our alias is ours. */
	if (name[0] != '\0' && link_find(name, &link) == 0 && strcmp(link.alias, LINK_ALIAS) == 0 &&
	    link_delete(link.index) == 0)
		removed = 1;
	client_state_forget_interface(folder);
	return removed;
}

int
client_tunnel_remove_leftovers(const char *folder, const char *resolv_conf)
{
	int removed = remove_interface(folder);
	int dns = client_dns_restore(resolv_conf, folder);
	int routes = client_routes_remove();
	/* Last: until here nothing could leave. */
	int table = client_killswitch_remove();

	if (dns < 0 || routes < 0 || table < 0)
		log_error("not_put_back", "dns=%s routes=%s nft=%s", strerror(dns < 0 ? -dns : 0),
			  strerror(routes < 0 ? -routes : 0), strerror(table < 0 ? -table : 0));
	return removed + (dns > 0 ? dns : 0) + (routes > 0 ? routes : 0) + (table > 0 ? table : 0);
}

void
client_tunnel_free(struct client_tunnel **tunnel_pointer)
{
	struct client_tunnel *tunnel = *tunnel_pointer;

	if (tunnel == NULL)
		return;
	*tunnel_pointer = NULL;
	client_shim_free(&tunnel->shim);
	device_close(&tunnel->device);
	client_tunnel_remove_leftovers(tunnel->options.folder, tunnel->options.resolv_conf);
	free(tunnel);
}

/* What a refusal of the system means. */
static int
explain(int r, const char *what, int *ret_status, char *ret_text, size_t capacity)
{
	switch (-r) {
	case EPERM:
	case EACCES:
		*ret_status = EXIT_NOT_PERMITTED;
		snprintf(ret_text, capacity,
			 "%s: not permitted; higgs needs CAP_NET_ADMIN: run it "
			 "with sudo",
			 what);
		break;
	case ENOENT:
	case EOPNOTSUPP:
		*ret_status = EXIT_NOT_AVAILABLE;
		snprintf(ret_text, capacity, "%s: this system lacks what it takes (%s)", what,
			 strerror(-r));
		break;
	case ENOSPC:
	case EDQUOT:
		*ret_status = EXIT_IO;
		snprintf(ret_text, capacity, "%s: %s; make room for the state folder", what,
			 strerror(-r));
		break;
	case EEXIST:
		*ret_status = EXIT_CANNOT_CREATE;
		snprintf(ret_text, capacity,
			 "%s: there is one of that name which is not ours; choose another with "
			 "--interface",
			 what);
		break;
	default:
		*ret_status = EXIT_SYSTEM;
		snprintf(ret_text, capacity, "%s: %s", what, strerror(-r));
		break;
	}
	return r;
}

int
client_tunnel_block(struct client_tunnel *tunnel, const struct client_pins *pins, int *ret_status,
		    char *ret_text, size_t capacity)
{
	int r = 0;

	if (tunnel->is_blocked && client_pins_are_equal(&tunnel->pins, pins))
		return 0;
	if (tunnel->options.kill_switch)
		r = client_killswitch_set(pins, tunnel->options.interface, geteuid());
	if (r < 0)
		return explain(r, "kill switch (nftables)", ret_status, ret_text, capacity);
	r = tunnel->is_blocked ? client_routes_set_pins(pins, geteuid())
			       : client_routes_block(pins, geteuid());
	if (r < 0)
		return explain(r, "policy rules", ret_status, ret_text, capacity);
	tunnel->is_blocked = true;
	tunnel->pins = *pins;
	return 0;
}

static bool
is_same(const struct client_tunnel *tunnel, const struct client_route *route)
{
	return tunnel->device != NULL && strcmp(tunnel->address4, route->address4) == 0 &&
	       strcmp(tunnel->address6, route->address6) == 0 &&
	       key_is_equal(&tunnel->node_key, &route->node_key);
}

static int
open_device(struct client_tunnel *tunnel, const struct client_route *route)
{
	char four[INET_ADDRSTRLEN + 8], six[INET6_ADDRSTRLEN + 8];
	const char *addresses[3];
	size_t n = 0;
	struct device_options options = {
		.name = tunnel->options.interface,
		.command = "wireguard-go",
		.private_key = tunnel->options.private_key,
		.mtu = route->mtu,
		.addresses = addresses,
		.on_restart = tunnel->options.on_restart,
		.arg = tunnel->options.arg,
	};

	snprintf(four, sizeof four, "%s/32", route->address4);
	snprintf(six, sizeof six, "%s/128", route->address6);
	if (route->address4[0] != '\0')
		addresses[n++] = four;
	if (route->address6[0] != '\0')
		addresses[n++] = six;
	addresses[n] = NULL;
	device_close(&tunnel->device);
	int r = client_state_note_interface(tunnel->options.folder, tunnel->options.interface);
	return r < 0 ? r : device_open(tunnel->loop, &options, &tunnel->device);
}

int
client_tunnel_reopen_routes(struct client_tunnel *tunnel, const struct client_route *route)
{
	uint32_t index = device_index(tunnel->device);
	int r = 0;

	if (route->address4[0] != '\0')
		r = client_routes_open(AF_INET, index);
	if (r == 0 && route->address6[0] != '\0')
		r = client_routes_open(AF_INET6, index);
	return r;
}

static void
set_dns(struct client_tunnel *tunnel, const struct client_route *route, char *ret_text,
	size_t capacity)
{
	const char *servers[ROUTE_DNS_MAX + 1];

	for (size_t i = 0; i < route->dns_n; i++)
		servers[i] = route->dns[i];
	servers[route->dns_n] = NULL;
	if (route->dns_n == 0) {
		snprintf(ret_text, capacity,
			 "the node offers no name server; yours cannot be "
			 "reached while the tunnel is up");
		return;
	}
	int r = client_dns_set(tunnel->options.resolv_conf, tunnel->options.folder,
			       tunnel->options.interface, servers, ret_text, capacity);
	if (r < 0)
		snprintf(ret_text, capacity, "%s could not be changed: %s",
			 tunnel->options.resolv_conf, strerror(-r));
}

int
client_tunnel_open(struct client_tunnel *tunnel, const struct client_route *route,
		   struct leg_client *leg, int *ret_status, char *ret_text, size_t capacity)
{
	ret_text[0] = '\0';
	if (is_same(tunnel, route))
		return 0;
	int r = open_device(tunnel, route);
	if (r < 0 && r != -EPERM && r != -EEXIST && access("/dev/net/tun", F_OK) < 0)
		return explain(-ENOENT, "interface: no WireGuard in the kernel, no /dev/net/tun",
			       ret_status, ret_text, capacity);
	if (r < 0)
		return explain(r, "interface", ret_status, ret_text, capacity);
	snprintf(tunnel->address4, sizeof tunnel->address4, "%s", route->address4);
	snprintf(tunnel->address6, sizeof tunnel->address6, "%s", route->address6);
	tunnel->node_key = route->node_key;
	r = client_shim_join(tunnel->shim, device_listen_port(tunnel->device), leg);
	if (r == 0)
		r = client_tunnel_reopen_routes(tunnel, route);
	if (r < 0)
		return explain(r, "routes", ret_status, ret_text, capacity);
	if (tunnel->options.dns)
		set_dns(tunnel, route, ret_text, capacity);
	return 0;
}

int
client_tunnel_set_peer(struct client_tunnel *tunnel, const struct client_route *route)
{
	char endpoint[32];
	const struct device_peer peer = {
		.public_key = route->node_key,
		.endpoint = endpoint,
		.allowed_ips = "0.0.0.0/0,::/0",
		.keepalive_sec = route->keepalive_sec,
	};

	snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", client_shim_port(tunnel->shim));
	return device_peer_set(tunnel->device, &peer, 1);
}

struct client_shim *
client_tunnel_shim(struct client_tunnel *tunnel)
{
	return tunnel->shim;
}

struct device *
client_tunnel_device(struct client_tunnel *tunnel)
{
	return tunnel->device;
}

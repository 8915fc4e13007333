/* exit_rules_sets: see the header. */
#include "forwarder/exit_rules_sets.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>

/* The IANA special-purpose registries: nothing in them is the internet. */
static const char deny4[] =
	"0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, "
	"192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, "
	"198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/4, 240.0.0.0/4";
static const char deny6[] =
	"::/127, ::ffff:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48, 100::/64, 2001::/23, 2001:db8::/32, "
	"2002::/16, 3fff::/20, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8";

/* Mail relaying, NetBIOS, SMB, and what reflects or speaks to the local link only. */
static const char deny_ports[] =
	"tcp . 25, tcp . 135-139, tcp . 445, udp . 135-139, udp . 445, udp . 1900, udp . 5353, "
	"udp . 5355, tcp . 11211, udp . 11211";

/* A set that is being written; one without elements has no list of them. */
struct element_set {
	FILE *file;
	const char *separator;
};

static struct element_set
set_begin(FILE *file, const char *name, const char *type)
{
	fprintf(file, "set %s { type %s;", name, type);
	return (struct element_set){ file, " elements = { " };
}

__attribute__((format(printf, 2, 3))) static void
set_add(struct element_set *set, const char *format, ...)
{
	va_list arguments;
	fputs(set->separator, set->file);
	va_start(arguments, format);
	vfprintf(set->file, format, arguments);
	va_end(arguments);
	set->separator = ", ";
}

static void
set_end(struct element_set *set)
{
	fputs(*set->separator == ',' ? " }\n}\n" : "\n}\n", set->file);
}

static const char *
networks_of(int family)
{
	return family == AF_INET ? "ipv4_addr; flags interval; auto-merge"
				 : "ipv6_addr; flags interval; auto-merge";
}

static void
write_fixed_set(FILE *file, const char *name, int family, const char *elements)
{
	struct element_set set = set_begin(file, name, networks_of(family));
	set_add(&set, "%s", elements);
	set_end(&set);
}

/* Elements of one family out of a mixed list of CIDRs. */
static void
write_cidr_set(FILE *file, const char *name, int family, const char *const *cidrs)
{
	struct element_set set = set_begin(file, name, networks_of(family));
	for (size_t i = 0; cidrs && cidrs[i]; i++)
		if ((strchr(cidrs[i], ':') != NULL) == (family == AF_INET6))
			set_add(&set, "%s", cidrs[i]);
	set_end(&set);
}

static void
write_connected_set(FILE *file, const char *name, int family,
		    const struct exit_surroundings *surroundings)
{
	struct element_set set = set_begin(file, name, networks_of(family));
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < surroundings->connected_count; i++) {
		const struct exit_network *network = &surroundings->connected[i];
		if (network->family == family &&
		    inet_ntop(family, &network->address, text, sizeof text))
			set_add(&set, "%s/%u", text, network->prefix);
	}
	set_end(&set);
}

static void
write_uplink_set(FILE *file, const char *name, const char (*uplinks)[EXIT_INTERFACE_BYTES],
		 size_t n)
{
	struct element_set set = set_begin(file, name, "ifname");
	for (size_t i = 0; i < n; i++)
		set_add(&set, "\"%s\"", uplinks[i]);
	set_end(&set);
}

static void
write_client_sets(FILE *file, const struct exit_client *clients, size_t n)
{
	struct element_set set = set_begin(file, "clients4", "ipv4_addr");
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < n; i++)
		if (clients[i].address4.s_addr != 0)
			set_add(&set, "%s",
				inet_ntop(AF_INET, &clients[i].address4, text, sizeof text));
	set_end(&set);
	set = set_begin(file, "clients6", "ipv6_addr");
	for (size_t i = 0; i < n; i++)
		if (!IN6_IS_ADDR_UNSPECIFIED(&clients[i].address6))
			set_add(&set, "%s",
				inet_ntop(AF_INET6, &clients[i].address6, text, sizeof text));
	set_end(&set);
}

void
exit_rules_write_sets(const struct exit_rules *rules, const struct exit_surroundings *surroundings,
		      const struct exit_client *clients, size_t n, FILE *file)
{
	write_client_sets(file, clients, n);
	write_uplink_set(file, "uplinks4", surroundings->uplinks4, surroundings->uplinks4_count);
	write_uplink_set(file, "uplinks6", surroundings->uplinks6, surroundings->uplinks6_count);
	write_cidr_set(file, "allow4", AF_INET, rules->allow);
	write_cidr_set(file, "allow6", AF_INET6, rules->allow);
	write_cidr_set(file, "own4", AF_INET, rules->deny);
	write_cidr_set(file, "own6", AF_INET6, rules->deny);
	write_fixed_set(file, "deny4", AF_INET, deny4);
	write_fixed_set(file, "deny6", AF_INET6, deny6);
	write_connected_set(file, "connected4", AF_INET, surroundings);
	write_connected_set(file, "connected6", AF_INET6, surroundings);
	fprintf(file,
		"set ports { type inet_proto . inet_service; flags interval; elements = { %s }\n}\n"
		"set starts4 { type ipv4_addr; size 4096; flags dynamic; timeout 1m; }\n"
		"set starts6 { type ipv6_addr; size 4096; flags dynamic; timeout 1m; }\n"
		"set udp4 { type ipv4_addr; size 4096; flags dynamic; timeout 1m; }\n"
		"set udp6 { type ipv6_addr; size 4096; flags dynamic; timeout 1m; }\n"
		"set flows4 { type ipv4_addr; size 4096; flags dynamic; }\n"
		"set flows6 { type ipv6_addr; size 4096; flags dynamic; }\n"
		"set echoes4 { type ipv4_addr; size 4096; flags dynamic; timeout 1m; }\n"
		"set echoes6 { type ipv6_addr; size 4096; flags dynamic; timeout 1m; }\n",
		deny_ports);
}

/* exit_rules: the chains. Threats T28 to T31 and T37. */
#include "forwarder/exit_rules.h"

#include "forwarder/exit_rules_sets.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

enum {
	EXIT_TCP4_HEADERS_BYTES = 40,
	EXIT_TCP6_HEADERS_BYTES = 60,
	EXIT_BURST_FACTOR = 4,
	EXIT_ECHOES_PER_SECOND = 30,
	EXIT_ECHOES_BURST_SEC = 2,
	EXIT_MBIT_BYTES = 125 * 1000,
	EXIT_BURST_DIVISOR = 4, /* of a second: less, and TCP would not reach the rate */
};

void
exit_rules_guard_name(const char *interface, char ret_name[EXIT_TABLE_BYTES])
{
	snprintf(ret_name, EXIT_TABLE_BYTES, "higgs_guard_%s", interface);
}

void
exit_rules_exit_name(const char *interface, char ret_name[EXIT_TABLE_BYTES])
{
	snprintf(ret_name, EXIT_TABLE_BYTES, "higgs_exit_%s", interface);
}

/* FNV-1a folded to 16 bits, below "HV". */
uint32_t
exit_rules_mark(const char *interface)
{
	uint32_t hash = 2166136261U;
	for (const char *at = interface; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619U;
	return 0x48560000U | ((hash >> 16 ^ hash) & 0xffffU);
}

/* The idiom by which nft replaces a table in one transaction, whether it was there or not. */
static void
write_replace(FILE *file, const char *name, const char *flags)
{
	fprintf(file, "add table inet %s %s\ndelete table inet %s\ntable inet %s {\n", name, flags,
		name, name);
}

void
exit_rules_write_guard(const struct exit_rules *rules, FILE *file)
{
	char name[EXIT_TABLE_BYTES];
	const char *tunnel = rules->interface;
	uint32_t mark = exit_rules_mark(tunnel);
	exit_rules_guard_name(tunnel, name);
	write_replace(file, name, "");
	fprintf(file,
		"chain passing { type filter hook forward priority 100; policy accept;\n"
		"iifname \"%s\" meta mark != 0x%08" PRIx32 " counter drop\n"
		"oifname \"%s\" meta mark != 0x%08" PRIx32 " counter drop\n}\n"
		"chain arriving { type filter hook input priority 100; policy accept;\n"
		"iifname \"%s\" meta mark != 0x%08" PRIx32 " counter drop\n}\n}\n",
		tunnel, mark, tunnel, mark, tunnel, mark);
}

/* So many packets a second of each client, of both families; as many at once as in `burst` seconds.
 * 0: as they come. */
static void
write_client_limit(FILE *file, const char *match, const char *set, uint32_t rate, uint32_t burst)
{
	if (rate == 0)
		return;
	fprintf(file,
		"meta nfproto ipv4 %supdate @%s4 { ip saddr limit rate over %" PRIu32
		"/second burst %" PRIu32 " packets } counter drop\n"
		"meta nfproto ipv6 %supdate @%s6 { ip6 saddr limit rate over %" PRIu32
		"/second burst %" PRIu32 " packets } counter drop\n",
		match, set, rate, rate * burst, match, set, rate, rate * burst);
}

/* Echoes at the node's own address, by which a client learns which packets get through. */
static void
write_echo_chain(uint32_t mark, FILE *file)
{
	fputs("chain echo {\n", file);
	write_client_limit(file, "", "echoes", EXIT_ECHOES_PER_SECOND, EXIT_ECHOES_BURST_SEC);
	fprintf(file, "meta mark set 0x%08" PRIx32 " accept\n}\n", mark);
}

/* What a client may do for itself at the node: ask for names, and for echoes. A packet for IPv6
 * without a way out is refused here, before routing would drop it in silence, so that clients turn
 * to IPv4 at once.
 */
static void
write_arrival_chains(const struct exit_rules *rules, const struct exit_surroundings *surroundings,
		     FILE *file)
{
	const char *tunnel = rules->interface;
	char own4[INET_ADDRSTRLEN], own6[INET6_ADDRSTRLEN];
	uint32_t mark = exit_rules_mark(tunnel);
	inet_ntop(AF_INET, &rules->address4, own4, sizeof own4);
	inet_ntop(AF_INET6, &rules->address6, own6, sizeof own6);
	fprintf(file,
		"chain entering { type filter hook prerouting priority 0; policy accept;\n"
		"iifname != \"%s\" accept\n"
		"ip saddr != @clients4 counter drop\n"
		"ip6 saddr != @clients6 counter drop\n",
		tunnel);
	if (surroundings->uplinks6_count == 0)
		fprintf(file, "ip6 daddr != %s counter reject with icmpv6 type no-route\n", own6);
	fputs("}\n", file);
	if (rules->dns_port)
		fprintf(file,
			"chain names { type nat hook prerouting priority -100; policy accept;\n"
			"iifname \"%s\" ip daddr %s meta l4proto { tcp, udp } th dport 53 "
			"redirect to :%u\n"
			"iifname \"%s\" ip6 daddr %s meta l4proto { tcp, udp } th dport 53 "
			"redirect to :%u\n}\n",
			tunnel, own4, rules->dns_port, tunnel, own6, rules->dns_port);
	write_echo_chain(mark, file);
	fprintf(file,
		"chain arriving { type filter hook input priority 0; policy accept;\n"
		"iifname != \"%s\" accept\n",
		tunnel);
	if (rules->dns_port)
		fprintf(file,
			"meta l4proto { tcp, udp } th dport %u ct original proto-dst 53 "
			"meta mark set 0x%08" PRIx32 " accept\n",
			rules->dns_port, mark);
	if (rules->policy_on)
		fprintf(file,
			"ip daddr %s icmp type echo-request goto echo\n"
			"ip6 daddr %s icmpv6 type echo-request goto echo\n"
			"counter drop\n}\n",
			own4, own6);
	else
		fprintf(file, "meta mark set 0x%08" PRIx32 " accept\n}\n", mark);
}

/* In the order of the verdicts: own addresses always lose, the owner's exceptions win over the
 * fixed lists, ports and limits hold for all. Destinations are judged on every packet, so that a
 * network that becomes ours cuts flows that were open. */
static void
write_judging_chains(const struct exit_rules *rules, FILE *file)
{
	fputs("chain outbound {\n", file);
	if (!rules->policy_on) {
		fputs("goto admit\n}\n", file);
		return;
	}
	fputs("ip daddr @own4 counter drop\n"
	      "ip6 daddr @own6 counter drop\n"
	      "ip daddr @allow4 goto limits\n"
	      "ip6 daddr @allow6 goto limits\n"
	      "ip daddr @deny4 counter drop\n"
	      "ip6 daddr @deny6 counter drop\n"
	      "ip daddr @connected4 counter drop\n"
	      "ip6 daddr @connected6 counter drop\n"
	      "meta nfproto ipv4 oifname != @uplinks4 counter drop\n"
	      "meta nfproto ipv6 oifname != @uplinks6 counter drop\n"
	      "goto limits\n}\n",
	      file);
	fputs("chain limits {\n"
	      "meta l4proto != { tcp, udp, icmp, ipv6-icmp } counter drop\n"
	      "meta l4proto { tcp, udp } meta l4proto . th dport @ports counter drop\n",
	      file);
	write_client_limit(file, "meta l4proto udp ", "udp", rules->udp_packets_per_second, 1);
	/* `new` alone would hold for every packet of a flow that is never answered. */
	fputs("ct state new ct status ! confirmed jump start\n"
	      "goto admit\n}\n"
	      "chain start {\n"
	      "fib daddr type { broadcast, anycast, multicast } counter drop\n",
	      file);
	write_client_limit(file, "", "starts", rules->new_flows_per_second, EXIT_BURST_FACTOR);
	fprintf(file,
		"meta nfproto ipv4 add @flows4 { ip saddr ct count over %" PRIu32
		" } counter drop\n"
		"meta nfproto ipv6 add @flows6 { ip6 saddr ct count over %" PRIu32
		" } counter drop\n}\n",
		rules->flows_max, rules->flows_max);
}

static void
write_limit(FILE *file, const char *side, const char *tunnel, uint32_t mbits)
{
	uint64_t bytes = (uint64_t)mbits * EXIT_MBIT_BYTES;
	if (bytes > 0)
		fprintf(file,
			"%s \"%s\" limit rate over %" PRIu64 " bytes/second burst %" PRIu64
			" bytes counter drop\n",
			side, tunnel, bytes, bytes / EXIT_BURST_DIVISOR);
}

/* Only the mark opens the guard. MSS is held to what the tunnel takes, both ways. The owner's line
 * is his, policy or not. */
static void
write_passing_chains(const struct exit_rules *rules, FILE *file)
{
	const char *tunnel = rules->interface;
	uint32_t mark = exit_rules_mark(tunnel);
	fputs("chain admit {\n", file);
	write_limit(file, "iifname", tunnel, rules->up_mbits);
	write_limit(file, "oifname", tunnel, rules->down_mbits);
	fprintf(file,
		"meta nfproto ipv4 tcp flags syn / syn,rst tcp option maxseg size set %" PRIu32 "\n"
		"meta nfproto ipv6 tcp flags syn / syn,rst tcp option maxseg size set %" PRIu32 "\n"
		"meta mark set 0x%08" PRIx32 " accept\n}\n"
		"chain passing { type filter hook forward priority 0; policy accept;\n"
		"iifname != \"%s\" oifname != \"%s\" accept\n"
		"ct state invalid counter drop\n"
		"iifname \"%s\" oifname \"%s\" counter drop\n"
		"iifname \"%s\" goto outbound\n"
		"ip daddr != @clients4 counter drop\n"
		"ip6 daddr != @clients6 counter drop\n"
		"ct state established,related goto admit\n"
		"counter drop\n}\n",
		rules->mtu - EXIT_TCP4_HEADERS_BYTES, rules->mtu - EXIT_TCP6_HEADERS_BYTES, mark,
		tunnel, tunnel, tunnel, tunnel, tunnel);
	fprintf(file,
		"chain leaving { type nat hook postrouting priority 100; policy accept;\n"
		"oifname \"%s\" accept\n"
		"meta mark 0x%08" PRIx32 " meta l4proto { tcp, udp } masquerade to :%d-%d "
		"fully-random\n"
		"meta mark 0x%08" PRIx32 " masquerade\n}\n",
		tunnel, mark, EXIT_NAT_PORT_MIN, EXIT_NAT_PORT_MAX, mark);
}

void
exit_rules_write_exit(const struct exit_rules *rules, const struct exit_surroundings *surroundings,
		      const struct exit_client *clients, size_t n, FILE *file)
{
	char name[EXIT_TABLE_BYTES];
	exit_rules_exit_name(rules->interface, name);
	write_replace(file, name, "{ flags owner; }");
	fputs("flags owner\n", file);
	exit_rules_write_sets(rules, surroundings, clients, n, file);
	write_passing_chains(rules, file);
	write_judging_chains(rules, file);
	write_arrival_chains(rules, surroundings, file);
	fputs("}\n", file);
}

void
exit_rules_write_client(const struct exit_rules *rules, const char *verb,
			const struct exit_client *client, FILE *file)
{
	char name[EXIT_TABLE_BYTES], text[INET6_ADDRSTRLEN];
	exit_rules_exit_name(rules->interface, name);
	if (client->address4.s_addr) {
		inet_ntop(AF_INET, &client->address4, text, sizeof text);
		fprintf(file, "%s element inet %s clients4 { %s }\n", verb, name, text);
	}
	if (!IN6_IS_ADDR_UNSPECIFIED(&client->address6)) {
		inet_ntop(AF_INET6, &client->address6, text, sizeof text);
		fprintf(file, "%s element inet %s clients6 { %s }\n", verb, name, text);
	}
}

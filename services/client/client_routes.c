/*
 * client_routes: see the header. Rules and routes are found by a dump and sent back to the kernel
 * as they came, with the order to delete them.
 */
#include "client/client_routes.h"

#include "wg/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND_MAX = 256, UNREACHABLE_METRIC = 0x7fffffff };

static const int families[] = { AF_INET, AF_INET6 };

/* A host with IPv6 compiled out or off has neither rules nor routes to leak by. */
static int
forgive_v6(int family, int r)
{
	bool is_absent = r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EACCES || r == -ENODEV ||
			 r == -EPROTONOSUPPORT;

	return family == AF_INET6 && is_absent ? 0 : r;
}

static struct nlmsghdr *
rule_init(union netlink_request *request, uint16_t type, uint16_t flags, int family,
	  uint32_t priority, uint32_t table)
{
	struct fib_rule_hdr *rule;
	struct nlmsghdr *header = netlink_request_init(request, type, flags, sizeof *rule, &rule);

	rule->family = (uint8_t)family;
	rule->action = FR_ACT_TO_TBL;
	rule->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(header, FRA_PRIORITY, priority);
	mnl_attr_put_u32(header, FRA_TABLE, table);
	mnl_attr_put_u8(header, FRA_PROTOCOL, CLIENT_ROUTE_PROTOCOL);
	return header;
}

static int
add_pin(const struct client_pin *pin, uid_t uid)
{
	union netlink_request request;
	int family = pin->is_v6 ? AF_INET6 : AF_INET;
	uint8_t address[sizeof(struct in6_addr)];
	const struct fib_rule_port_range port = { .start = pin->port, .end = pin->port };
	const struct fib_rule_uid_range who = { .start = uid, .end = uid };

	if (inet_pton(family, pin->address, address) != 1)
		return -EINVAL;
	struct nlmsghdr *header = rule_init(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL,
					    family, CLIENT_PRIORITY_PINNED, RT_TABLE_MAIN);
	struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(header);
	size_t n = pin->is_v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	rule->dst_len = (uint8_t)(n * 8);
	mnl_attr_put(header, FRA_DST, n, address);
	mnl_attr_put_u8(header, FRA_IP_PROTO, pin->is_udp ? IPPROTO_UDP : IPPROTO_TCP);
	mnl_attr_put(header, FRA_DPORT_RANGE, sizeof port, &port);
	mnl_attr_put(header, FRA_UID_RANGE, sizeof who, &who);
	int r = netlink_request_send(header, NULL, NULL);
	return r == -EEXIST ? 0 : forgive_v6(family, r);
}

static int
add_tunnel_rule(int family)
{
	union netlink_request request;
	struct nlmsghdr *header = rule_init(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL,
					    family, CLIENT_PRIORITY_TUNNEL, CLIENT_ROUTE_TABLE);
	int r = netlink_request_send(header, NULL, NULL);

	return r == -EEXIST ? 0 : forgive_v6(family, r);
}

/* interface_index 0: unreachable. */
static int
add_default(int family, uint32_t interface_index)
{
	union netlink_request request;
	struct rtmsg *route;
	bool is_open = interface_index != 0;
	struct nlmsghdr *header = netlink_request_init(
		&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *route, &route);

	route->rtm_family = (uint8_t)family;
	route->rtm_table = RT_TABLE_UNSPEC;
	route->rtm_protocol = CLIENT_ROUTE_PROTOCOL;
	route->rtm_type = is_open ? RTN_UNICAST : RTN_UNREACHABLE;
	route->rtm_scope = is_open ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	mnl_attr_put_u32(header, RTA_TABLE, CLIENT_ROUTE_TABLE);
	mnl_attr_put_u32(header, RTA_PRIORITY, is_open ? 1 : UNREACHABLE_METRIC);
	if (is_open)
		mnl_attr_put_u32(header, RTA_OIF, interface_index);
	return forgive_v6(family, netlink_request_send(header, NULL, NULL));
}

/* Messages of a dump that are ours, kept for deleting. */
struct found {
	union netlink_request *messages;
	size_t n;
	int error;
	/* of rules: only those for pinned places that are not in keep */
	bool is_pins_only;
	const struct client_pins *keep;
};

struct rule_facts {
	uint8_t protocol, ip_protocol;
	uint32_t priority;
	uint16_t port;
	char address[INET6_ADDRSTRLEN];
	int family;
};

static int
on_rule_attribute(const struct nlattr *attribute, void *arg)
{
	struct rule_facts *facts = arg;
	uint16_t type = mnl_attr_get_type(attribute), n = mnl_attr_get_payload_len(attribute);
	size_t address_n = facts->family == AF_INET6 ? 16 : 4;

	if (type == FRA_PROTOCOL && n == 1)
		facts->protocol = mnl_attr_get_u8(attribute);
	else if (type == FRA_IP_PROTO && n == 1)
		facts->ip_protocol = mnl_attr_get_u8(attribute);
	else if (type == FRA_PRIORITY && n == 4)
		facts->priority = mnl_attr_get_u32(attribute);
	else if (type == FRA_DPORT_RANGE && n >= 2)
		facts->port = mnl_attr_get_u16(attribute);
	else if (type == FRA_DST && n == address_n)
		inet_ntop(facts->family, mnl_attr_get_payload(attribute), facts->address,
			  sizeof facts->address);
	return MNL_CB_OK;
}

static void
keep_message(struct found *found, const struct nlmsghdr *header)
{
	if (found->n == FOUND_MAX || header->nlmsg_len > NETLINK_REQUEST_BYTES)
		found->error = -E2BIG;
	else
		memcpy(&found->messages[found->n++], header, header->nlmsg_len);
}

static bool
is_kept(const struct client_pins *keep, const struct rule_facts *facts)
{
	for (size_t i = 0; i < keep->n; i++) {
		const struct client_pin *pin = &keep->pins[i];
		char canonical[INET6_ADDRSTRLEN];
		uint8_t address[sizeof(struct in6_addr)];
		if (pin->is_v6 != (facts->family == AF_INET6) || pin->port != facts->port ||
		    facts->ip_protocol != (pin->is_udp ? IPPROTO_UDP : IPPROTO_TCP) ||
		    inet_pton(facts->family, pin->address, address) != 1 ||
		    inet_ntop(facts->family, address, canonical, sizeof canonical) == NULL)
			continue;
		if (strcmp(canonical, facts->address) == 0)
			return true;
	}
	return false;
}

static int
on_rule(const struct nlmsghdr *header, void *arg)
{
	struct found *found = arg;
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(header);
	struct rule_facts facts = { .family = rule->family };

	if (header->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof *rule, on_rule_attribute, &facts);
	if (facts.protocol != CLIENT_ROUTE_PROTOCOL)
		return MNL_CB_OK;
	if (found->is_pins_only &&
	    (facts.priority != CLIENT_PRIORITY_PINNED || is_kept(found->keep, &facts)))
		return MNL_CB_OK;
	keep_message(found, header);
	return MNL_CB_OK;
}

static int
on_route_attribute(const struct nlattr *attribute, void *arg)
{
	if (mnl_attr_get_type(attribute) == RTA_TABLE && mnl_attr_get_payload_len(attribute) == 4)
		*(uint32_t *)arg = mnl_attr_get_u32(attribute);
	return MNL_CB_OK;
}

static int
on_route(const struct nlmsghdr *header, void *arg)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(header);
	uint32_t table = route->rtm_table;

	if (header->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof *route, on_route_attribute, &table);
	if (table == CLIENT_ROUTE_TABLE && route->rtm_protocol == CLIENT_ROUTE_PROTOCOL)
		keep_message(arg, header);
	return MNL_CB_OK;
}

static int
delete_found(struct found *found, uint16_t type)
{
	int removed = 0;

	for (size_t i = 0; i < found->n; i++) {
		struct nlmsghdr *header = &found->messages[i].header;
		header->nlmsg_type = type;
		header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		header->nlmsg_seq = 1;
		header->nlmsg_pid = 0;
		int r = netlink_request_send(header, NULL, NULL);
		if (r == 0)
			removed++;
		else if (r != -ENOENT && r != -ESRCH)
			found->error = r;
	}
	return found->error < 0 ? found->error : removed;
}

static int
dump(int family, uint16_t type, struct found *found)
{
	union netlink_request request;
	void *body;
	bool is_rule = type == RTM_GETRULE;
	struct nlmsghdr *header = netlink_request_init(
		&request, type, NLM_F_DUMP,
		is_rule ? sizeof(struct fib_rule_hdr) : sizeof(struct rtmsg), &body);

	*(uint8_t *)body = (uint8_t)family; /* first in both */
	return forgive_v6(family,
			  netlink_request_send(header, is_rule ? on_rule : on_route, found));
}

/* keep NULL: all of them. */
static int
remove_rules(int family, const struct client_pins *keep)
{
	struct found found = { .is_pins_only = keep != NULL, .keep = keep };

	found.messages = calloc(FOUND_MAX, sizeof *found.messages);
	if (found.messages == NULL)
		return -ENOMEM;
	int r = dump(family, RTM_GETRULE, &found);
	if (r == 0)
		r = delete_found(&found, RTM_DELRULE);
	free(found.messages);
	return r;
}

static int
remove_routes(int family)
{
	struct found found = { 0 };

	found.messages = calloc(FOUND_MAX, sizeof *found.messages);
	if (found.messages == NULL)
		return -ENOMEM;
	int r = dump(family, RTM_GETROUTE, &found);
	if (r == 0)
		r = delete_found(&found, RTM_DELROUTE);
	free(found.messages);
	return r;
}

int
client_routes_set_pins(const struct client_pins *pins, uid_t uid)
{
	for (size_t i = 0; i < pins->n; i++) {
		int r = add_pin(&pins->pins[i], uid);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < 2; i++) {
		int r = remove_rules(families[i], pins);
		if (r < 0)
			return r;
	}
	return 0;
}

int
client_routes_block(const struct client_pins *pins, uid_t uid)
{
	int r = client_routes_remove();

	if (r < 0)
		return r;
	for (size_t i = 0; i < pins->n; i++)
		if ((r = add_pin(&pins->pins[i], uid)) < 0)
			return r;
	for (size_t i = 0; i < 2; i++) {
		r = add_default(families[i], 0);
		if (r == 0)
			r = add_tunnel_rule(families[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int
client_routes_open(int family, uint32_t interface_index)
{
	return add_default(family, interface_index);
}

int
client_routes_remove(void)
{
	int removed = 0;

	for (size_t i = 0; i < 2; i++) {
		/* Rules first: a rule without its table leads nowhere, a table without a rule too.
		 */
		int rules = remove_rules(families[i], NULL);
		int routes = remove_routes(families[i]);
		if (rules < 0 || routes < 0)
			return rules < 0 ? rules : routes;
		removed += rules + routes;
	}
	return removed;
}

/*
 * uplinks: see uplinks.h. A route counts as one to the internet when its prefix is very short, so
 * that pairs such as 0/1 and 128/1 count as the default route that they are; anything longer and
 * without a gateway is a network that the node is connected to.
 */
#include "forwarder/uplinks.h"

#include "log/log.h"
#include "wg/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_PREFIX4_MAX = 7,
	DEFAULT_PREFIX6_MAX = 15,
	SETTLE_MS = 20, /* one change comes as many messages */
	DRAIN_BYTES = 16 * 1024,
};

struct uplinks {
	struct loop *loop;
	struct mnl_socket *socket;
	struct loop_fd *watch;
	struct loop_timer *settle;
	char tunnel[EXIT_INTERFACE_BYTES];
	struct exit_surroundings surroundings;
	uplinks_fn fn;
	void *arg;
};

struct reading {
	const char *tunnel;
	struct exit_surroundings *surroundings;
	bool is_full;
};

struct attributes {
	const struct nlattr *by_type[RTA_MAX + 1]; /* RTA_MAX > IFA_MAX */
};

static int
on_attribute(const struct nlattr *attribute, void *arg)
{
	struct attributes *attributes = arg;
	uint16_t type = mnl_attr_get_type(attribute);
	if (type <= RTA_MAX)
		attributes->by_type[type] = attribute;
	return MNL_CB_OK;
}

static size_t
address_bytes(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static void
add_connected(struct reading *reading, int family, uint8_t prefix, const struct nlattr *address)
{
	struct exit_surroundings *around = reading->surroundings;
	struct exit_network network = { .family = family, .prefix = prefix };
	if (address && mnl_attr_get_payload_len(address) >= address_bytes(family))
		memcpy(&network.address, mnl_attr_get_payload(address), address_bytes(family));
	for (size_t i = 0; i < around->connected_count; i++)
		if (memcmp(&around->connected[i], &network, sizeof network) == 0)
			return;
	if (around->connected_count == EXIT_NETWORKS_MAX) {
		reading->is_full = true;
		return;
	}
	around->connected[around->connected_count++] = network;
}

static bool
interface_name(const struct reading *reading, unsigned index, char ret_name[IF_NAMESIZE])
{
	return if_indextoname(index, ret_name) && strcmp(ret_name, reading->tunnel) != 0 &&
	       strcmp(ret_name, "lo") != 0;
}

static void
add_uplink(struct reading *reading, int family, unsigned index)
{
	struct exit_surroundings *around = reading->surroundings;
	char(*names)[EXIT_INTERFACE_BYTES] =
		family == AF_INET ? around->uplinks4 : around->uplinks6;
	size_t *count = family == AF_INET ? &around->uplinks4_count : &around->uplinks6_count;
	char name[IF_NAMESIZE];
	if (!interface_name(reading, index, name))
		return;
	for (size_t i = 0; i < *count; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*count == EXIT_UPLINKS_MAX) {
		reading->is_full = true;
		return;
	}
	memcpy(names[(*count)++], name, EXIT_INTERFACE_BYTES);
}

static int
on_address(const struct nlmsghdr *header, void *arg)
{
	struct reading *reading = arg;
	struct attributes attributes = { 0 };
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(header);
	char name[IF_NAMESIZE];
	if (header->nlmsg_type != RTM_NEWADDR ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    !interface_name(reading, info->ifa_index, name))
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof *info, on_attribute, &attributes);
	/* IFA_ADDRESS is the other end of a point-to-point link, IFA_LOCAL then ours. */
	add_connected(reading, info->ifa_family, info->ifa_prefixlen,
		      attributes.by_type[IFA_ADDRESS]);
	if (attributes.by_type[IFA_LOCAL])
		add_connected(reading, info->ifa_family,
			      (uint8_t)(address_bytes(info->ifa_family) * 8),
			      attributes.by_type[IFA_LOCAL]);
	return MNL_CB_OK;
}

static void
add_default_hop(struct reading *reading, int family, unsigned index, const struct nlattr *gateway)
{
	add_uplink(reading, family, index);
	if (gateway)
		add_connected(reading, family, (uint8_t)(address_bytes(family) * 8), gateway);
}

static void
add_default_hops(struct reading *reading, int family, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);
	while (RTNH_OK(hop, left)) {
		add_default_hop(reading, family, (unsigned)hop->rtnh_ifindex, NULL);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static int
on_route(const struct nlmsghdr *header, void *arg)
{
	struct reading *reading = arg;
	struct attributes attributes = { 0 };
	const struct rtmsg *info = mnl_nlmsg_get_payload(header);
	if (header->nlmsg_type != RTM_NEWROUTE || info->rtm_type != RTN_UNICAST ||
	    info->rtm_table == RT_TABLE_LOCAL ||
	    (info->rtm_family != AF_INET && info->rtm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof *info, on_attribute, &attributes);
	const struct nlattr *gateway = attributes.by_type[RTA_GATEWAY];
	const struct nlattr *oif = attributes.by_type[RTA_OIF];
	unsigned index = oif ? mnl_attr_get_u32(oif) : 0;
	char name[IF_NAMESIZE];
	if (info->rtm_dst_len <=
	    (info->rtm_family == AF_INET ? DEFAULT_PREFIX4_MAX : DEFAULT_PREFIX6_MAX)) {
		if (attributes.by_type[RTA_MULTIPATH])
			add_default_hops(reading, info->rtm_family,
					 attributes.by_type[RTA_MULTIPATH]);
		else if (interface_name(reading, index, name))
			add_default_hop(reading, info->rtm_family, index, gateway);
	} else if (!gateway && !attributes.by_type[RTA_VIA] &&
		   interface_name(reading, index, name)) {
		add_connected(reading, info->rtm_family, info->rtm_dst_len,
			      attributes.by_type[RTA_DST]);
	}
	return MNL_CB_OK;
}

/* One reading. On -errno, and when there is more than the tables take, nothing is an uplink. */
static int
read_uplinks(const char *tunnel, struct exit_surroundings *ret)
{
	struct reading reading = { .tunnel = tunnel, .surroundings = ret };
	union netlink_request request;
	struct ifaddrmsg *address;
	struct rtmsg *route;
	memset(ret, 0, sizeof *ret);
	struct nlmsghdr *header =
		netlink_request_init(&request, RTM_GETADDR, NLM_F_DUMP, sizeof *address, &address);
	int r = netlink_request_send(header, on_address, &reading);
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	for (size_t i = 0; i < sizeof families && r == 0; i++) {
		header = netlink_request_init(&request, RTM_GETROUTE, NLM_F_DUMP, sizeof *route,
					      &route);
		route->rtm_family = families[i];
		r = netlink_request_send(header, on_route, &reading);
		if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
			r = 0; /* a kernel without IPv6 */
	}
	if (r == 0 && reading.is_full)
		r = -E2BIG;
	if (r < 0)
		ret->uplinks4_count = ret->uplinks6_count = 0;
	return r;
}

static void
uplinks_refresh(struct uplinks *uplinks)
{
	struct exit_surroundings now;
	int r = read_uplinks(uplinks->tunnel, &now);
	if (r < 0)
		log_error("uplinks_unknown", "error=%s", strerror(-r));
	if (memcmp(&now, &uplinks->surroundings, sizeof now) == 0)
		return;
	uplinks->surroundings = now;
	log_info("uplinks_changed", "uplinks4=%zu uplinks6=%zu networks=%zu", now.uplinks4_count,
		 now.uplinks6_count, now.connected_count);
	uplinks->fn(&uplinks->surroundings, uplinks->arg);
}

static void
on_settled(struct loop *loop, void *arg)
{
	(void)loop;
	struct uplinks *uplinks = arg;
	uplinks->settle = NULL;
	uplinks_refresh(uplinks);
}

/* What changed does not matter: all is read again. A lost message (ENOBUFS) is one too. */
static void
on_change(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)events;
	struct uplinks *uplinks = arg;
	char drain[DRAIN_BYTES];
	ssize_t n;
	do
		n = recv(fd, drain, sizeof drain, 0);
	while (n >= 0 || errno == EINTR || errno == ENOBUFS);
	if (!uplinks->settle)
		loop_timer_start(loop, SETTLE_MS, 0, on_settled, uplinks, &uplinks->settle);
}

int
uplinks_new(struct loop *loop, const char *tunnel, uplinks_fn fn, void *arg, struct uplinks **ret)
{
	struct uplinks *uplinks = calloc(1, sizeof *uplinks);
	if (!uplinks)
		return -ENOMEM;
	*uplinks = (struct uplinks){ .loop = loop, .fn = fn, .arg = arg };
	memccpy(uplinks->tunnel, tunnel, 0, sizeof uplinks->tunnel - 1);
	uplinks->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r = -errno;
	if (uplinks->socket &&
	    mnl_socket_bind(uplinks->socket,
			    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
			    MNL_SOCKET_AUTOPID) == 0)
		r = loop_fd_add(loop, mnl_socket_get_fd(uplinks->socket), EPOLLIN, on_change,
				uplinks, &uplinks->watch);
	if (r == 0)
		r = read_uplinks(tunnel, &uplinks->surroundings);
	if (r < 0) {
		uplinks_free(&uplinks);
		return r;
	}
	*ret = uplinks;
	return 0;
}

void
uplinks_free(struct uplinks **uplinks)
{
	if (!*uplinks)
		return;
	loop_timer_stop(&(*uplinks)->settle);
	loop_fd_remove(&(*uplinks)->watch);
	if ((*uplinks)->socket)
		mnl_socket_close((*uplinks)->socket);
	free(*uplinks);
	*uplinks = NULL;
}

const struct exit_surroundings *
uplinks_surroundings(const struct uplinks *uplinks)
{
	return &uplinks->surroundings;
}

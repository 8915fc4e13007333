/*
 * link: see link.h.
 */
#include "wg/link.h"

#include "net/address.h"
#include "wg/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static int
on_link_attribute(const struct nlattr *attribute, void *arg)
{
	struct link *link = arg;
	uint16_t type = mnl_attr_get_type(attribute);
	if (type == IFLA_IFALIAS) {
		snprintf(link->alias, sizeof link->alias, "%s", mnl_attr_get_str(attribute));
	} else if (type == IFLA_STATS64 &&
		   mnl_attr_get_payload_len(attribute) >= 4 * sizeof(uint64_t)) {
		/* rx_packets, tx_packets, rx_bytes, tx_bytes, ... */
		uint64_t stats[4];
		memcpy(stats, mnl_attr_get_payload(attribute), sizeof stats);
		link->rx_bytes = stats[2];
		link->tx_bytes = stats[3];
	}
	return MNL_CB_OK;
}

static int
on_link(const struct nlmsghdr *header, void *arg)
{
	struct link *link = arg;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	if (header->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	link->index = (uint32_t)info->ifi_index;
	link->is_up = (info->ifi_flags & IFF_UP) != 0;
	return mnl_attr_parse(header, sizeof *info, on_link_attribute, link);
}

int
link_find(const char *name, struct link *ret)
{
	if (strlen(name) >= LINK_NAME_BYTES)
		return -EINVAL;
	union netlink_request request;
	struct link found = { 0 };
	struct ifinfomsg *info;
	struct nlmsghdr *header =
		netlink_request_init(&request, RTM_GETLINK, 0, sizeof *info, &info);
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	int r = netlink_request_send(header, on_link, &found);
	if (r < 0)
		return r;
	*ret = found;
	return 0;
}

int
link_add_wireguard(const char *name)
{
	if (strlen(name) >= LINK_NAME_BYTES)
		return -EINVAL;
	union netlink_request request;
	struct ifinfomsg *info;
	struct nlmsghdr *header = netlink_request_init(
		&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info, &info);
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	struct nlattr *link_info = mnl_attr_nest_start(header, IFLA_LINKINFO);
	mnl_attr_put_strz(header, IFLA_INFO_KIND, "wireguard");
	mnl_attr_nest_end(header, link_info);
	return netlink_request_send(header, NULL, NULL);
}

int
link_delete(uint32_t index)
{
	union netlink_request request;
	struct ifinfomsg *info;
	struct nlmsghdr *header =
		netlink_request_init(&request, RTM_DELLINK, 0, sizeof *info, &info);
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = (int)index;
	return netlink_request_send(header, NULL, NULL);
}

/* No link-local address: the tunnel answers for its own addresses only. Without IPv6 in the kernel
 * there is nothing to turn off. */
static void
link_disable_address_generation(uint32_t index)
{
	union netlink_request request;
	struct ifinfomsg *info;
	struct nlmsghdr *header =
		netlink_request_init(&request, RTM_SETLINK, 0, sizeof *info, &info);
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = (int)index;
	struct nlattr *families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(header, AF_INET6);
	mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(header, inet6);
	mnl_attr_nest_end(header, families);
	netlink_request_send(header, NULL, NULL);
}

int
link_raise(uint32_t index, uint32_t mtu)
{
	union netlink_request request;
	link_disable_address_generation(index);
	struct ifinfomsg *info;
	struct nlmsghdr *header =
		netlink_request_init(&request, RTM_NEWLINK, 0, sizeof *info, &info);
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = (int)index;
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	mnl_attr_put_strz(header, IFLA_IFALIAS, LINK_ALIAS);
	mnl_attr_put_u32(header, IFLA_MTU, mtu);
	return netlink_request_send(header, NULL, NULL);
}

int
link_address_add(uint32_t index, const char *address)
{
	bool is_v4 = !strchr(address, ':');
	struct in6_addr parsed;
	unsigned prefix;
	if (address_parse_network(address, &parsed, &prefix) < 0)
		return -EINVAL;
	const uint8_t *binary = parsed.s6_addr + (is_v4 ? 12 : 0);
	size_t binary_bytes = is_v4 ? 4 : 16;

	union netlink_request request;
	struct ifaddrmsg *info;
	struct nlmsghdr *header = netlink_request_init(
		&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *info, &info);
	info->ifa_family = is_v4 ? AF_INET : AF_INET6;
	info->ifa_prefixlen = (uint8_t)prefix;
	info->ifa_flags = IFA_F_NODAD;
	info->ifa_index = index;
	mnl_attr_put(header, IFA_LOCAL, binary_bytes, binary);
	mnl_attr_put(header, IFA_ADDRESS, binary_bytes, binary);
	return netlink_request_send(header, NULL, NULL);
}

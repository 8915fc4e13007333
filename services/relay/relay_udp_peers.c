/*
 * relay_udp_peers: see the header.
 */
#include "relay/relay_udp_peers.h"

#include "net/address.h"
#include "relay/relay_control.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

void
relay_udp_source_format(const struct relay_udp_peer *peer, char ret[RELAY_UDP_SOURCE_TEXT_BYTES])
{
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(&peer->address);
	char address[INET6_ADDRSTRLEN];

	address_format(&peer->address, address);
	snprintf(ret, RELAY_UDP_SOURCE_TEXT_BYTES, is_v4 ? "%s:%u" : "[%s]:%u", address,
		 ntohs(peer->port));
}

static bool
read_source(const char *text, struct relay_udp_peer *ret)
{
	uint16_t port;

	memset(ret, 0, sizeof(*ret)); /* compared as bytes */
	if (address_parse_endpoint(text, &ret->address, &port) < 0 || port == 0)
		return false;
	ret->port = htons(port);
	return true;
}

void
relay_udp_sources_read(const Boson__Common__Relay *relay, struct relay_udp_sources *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < relay->n_udp_sources && ret->n < RELAY_UDP_SOURCES_MAX; i++)
		ret->n += read_source(relay->udp_sources[i], &ret->peers[ret->n]);
}

/* ---- ours ---- */

static void
add(struct relay_udp_sources *sources, const struct relay_udp_peer *peer)
{
	for (size_t i = 0; i < sources->n; i++)
		if (memcmp(&sources->peers[i], peer, sizeof(*peer)) == 0)
			return;
	if (sources->n < RELAY_UDP_SOURCES_MAX)
		sources->peers[sources->n++] = *peer;
}

static bool
read_address(const struct sockaddr *from, struct in6_addr *ret)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
	char text[INET_ADDRSTRLEN];

	if (from != NULL && from->sa_family == AF_INET6)
		*ret = six->sin6_addr;
	return from != NULL && (from->sa_family == AF_INET6 ||
				(from->sa_family == AF_INET &&
				 inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text)) != NULL &&
				 address_parse(text, ret) == 0));
}

/* Private addresses are also other people's: a client of another relay may have the same. */
static void
add_public(struct relay_udp_sources *sources, in_port_t port)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
		struct relay_udp_peer peer;

		memset(&peer, 0, sizeof(peer)); /* compared as bytes */
		peer.port = port;
		if ((one->ifa_flags & IFF_UP) != 0 && read_address(one->ifa_addr, &peer.address) &&
		    address_classify(&peer.address) == ADDRESS_GLOBAL)
			add(sources, &peer);
	}
	freeifaddrs(all);
}

static bool
is_everywhere(const struct in6_addr *address)
{
	static const struct in6_addr mapped = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_ARE_ADDR_EQUAL(address, &mapped);
}

void
relay_udp_sources_find(int fd, const char *udp_endpoint, struct relay_udp_sources *ret)
{
	struct sockaddr_in6 bound = { 0 };
	socklen_t n = sizeof(bound);
	struct relay_udp_peer peer;

	memset(ret, 0, sizeof(*ret));
	memset(&peer, 0, sizeof(peer));
	if (getsockname(fd, (struct sockaddr *)&bound, &n) < 0 ||
	    !read_address((const struct sockaddr *)&bound, &peer.address))
		return;
	peer.port = bound.sin6_port; /* at the same place in both families */
	if (is_everywhere(&peer.address))
		add_public(ret, peer.port);
	else
		add(ret, &peer);
	if (read_source(udp_endpoint, &peer) && !is_everywhere(&peer.address))
		add(ret, &peer);
}

/* ---- others' ---- */

void
relay_udp_peers_tell(struct relay_control *control)
{
	struct relay_udp_peers all;

	if (*control->udp_endpoint == '\0')
		return;
	memset(&all, 0, sizeof(all));
	for (const struct relay_other *other = control->others; other != NULL; other = other->next)
		for (size_t i = 0; i < other->udp.n && all.n < RELAY_UDP_PEERS_MAX; i++)
			all.peers[all.n++] = other->udp.peers[i];
	control->has_untold_peers =
		relay_control_command_all(control, RELAY_UDP_PEERS, NULL, &all, sizeof(all)) < 0;
}

void
relay_udp_peers_retry(struct relay_control *control)
{
	if (control->has_untold_peers)
		relay_udp_peers_tell(control);
}

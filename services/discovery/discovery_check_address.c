/* discovery_check: addresses and endpoints in requests. */
#include "discovery/discovery_check.h"

#include "net/address.h"

#include <errno.h>
#include <string.h>

enum { ADDRESS_TEXT_MAX_BYTES = 64 };

static bool
is_unspecified_or_class_e(const struct in6_addr *address)
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		return address->s6_addr[12] == 0 || address->s6_addr[12] >= 240;
	return IN6_IS_ADDR_UNSPECIFIED(address);
}

bool
discovery_check_is_node_address(const char *text, bool want_ipv6)
{
	bool is_ipv6 = strchr(text, ':') != NULL;
	struct in6_addr address;

	if (is_ipv6 != want_ipv6 || address_parse(text, &address) != 0 ||
	    is_unspecified_or_class_e(&address))
		return false;
	switch (address_classify(&address)) {
	case ADDRESS_LOOPBACK:
	case ADDRESS_LINK_LOCAL:
	case ADDRESS_MULTICAST:
		return false;
	case ADDRESS_GLOBAL:
	case ADDRESS_PRIVATE:
	case ADDRESS_CGNAT:
	case ADDRESS_RESERVED:
		break;
	}
	return true;
}

int
discovery_check_split_host_port(const char *text, char ret_host[CHECK_HOST_BYTES],
				unsigned int *port)
{
	const char *end;
	uint16_t number;
	size_t n;

	if (text[0] == '[') {
		end = strchr(++text, ']');
		if (end == NULL)
			return -EINVAL;
		n = (size_t)(end++ - text);
	} else {
		n = strcspn(text, ":");
		end = text + n;
	}
	if (n == 0 || n >= CHECK_HOST_BYTES)
		return -EINVAL;
	if (*end == ':') {
		if (address_parse_port(end + 1, strlen(end + 1), &number) != 0)
			return -EINVAL;
		*port = number;
	} else if (*end != '\0') {
		return -EINVAL;
	}
	memcpy(ret_host, text, n);
	ret_host[n] = '\0';
	return 0;
}

bool
discovery_check_is_mapped_address(const char *text)
{
	char host[CHECK_HOST_BYTES];
	const char *colon = strchr(text, ':');
	unsigned int port;

	if (strnlen(text, ADDRESS_TEXT_MAX_BYTES + 1) > ADDRESS_TEXT_MAX_BYTES)
		return false;
	/* A bare IPv6 address has colons of its own. */
	if (text[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL)
		return discovery_check_is_node_address(text, true);
	if (discovery_check_split_host_port(text, host, &port) != 0)
		return false;
	return discovery_check_is_node_address(host, text[0] == '[');
}

int
discovery_check_split_endpoint(const char *url, const char **ret_protocol,
			       char ret_host[CHECK_HOST_BYTES], unsigned int *ret_port)
{
	static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789.-:[]";
	const char *protocol;
	unsigned int port;

	if (strncmp(url, "wss://", 6) == 0) {
		protocol = "wss";
		port = 443;
	} else if (strncmp(url, "ws://", 5) == 0) {
		protocol = "ws";
		port = 80;
	} else {
		return -EINVAL;
	}
	url += strlen(protocol) + 3;
	if (strnlen(url, CHECK_ENDPOINT_MAX_BYTES + 1) > CHECK_ENDPOINT_MAX_BYTES ||
	    strspn(url, host_characters) != strlen(url) ||
	    discovery_check_split_host_port(url, ret_host, &port) != 0)
		return -EINVAL;
	*ret_protocol = protocol;
	*ret_port = port;
	return 0;
}

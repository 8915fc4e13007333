/*
 * address: what an IP address is, after ::ffff/96, ::/96, 64:ff9b::/96 and 2002::/16 are reduced to
 * the IPv4 address inside. From the IANA special-purpose registries.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum address_class {
	ADDRESS_GLOBAL,
	ADDRESS_PRIVATE, /* RFC 1918, fc00::/7 */
	ADDRESS_CGNAT,	 /* 100.64/10 */
	ADDRESS_LOOPBACK,
	ADDRESS_LINK_LOCAL, /* metadata services live here */
	ADDRESS_MULTICAST,
	ADDRESS_RESERVED, /* documentation, benchmarks, 0/8, 240/4, ... */
};

enum address_class address_classify(const struct in6_addr *address);
const char *address_class_name(enum address_class class);

/* Text of either family to the mapped form; -EINVAL. No names are resolved. */
int address_parse(const char *text, struct in6_addr *ret);

/* The other way: a mapped one as IPv4. */
void address_format(const struct in6_addr *address, char ret[INET6_ADDRSTRLEN]);

/* "10.0.0.0/8", "fd00::/8": an address, as above, and the length of its network in bits of its own
 * family; -EINVAL. */
int address_parse_network(const char *text, struct in6_addr *ret, unsigned *ret_bits);

/* "192.0.2.1:53", "[2001:db8::1]:53", and without a port (*ret_port 0), then also "2001:db8::1";
 * -EINVAL. */
int address_parse_endpoint(const char *text, struct in6_addr *ret, uint16_t *ret_port);

/* Text of either family, and a port, as a socket takes them; -EINVAL. No names are resolved. */
int address_parse_socket(const char *text, uint16_t port, struct sockaddr_storage *ret);

/* Of an AF_INET or AF_INET6 address. */
socklen_t address_socket_bytes(const struct sockaddr_storage *address);
void address_set_port(struct sockaddr_storage *address, uint16_t port);

/* A port as n digits, 1 to 65535; -EINVAL (strtoul would take signs and blanks). */
int address_parse_port(const char *text, size_t n, uint16_t *ret);

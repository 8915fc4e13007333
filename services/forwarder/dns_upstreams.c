/*
 * dns_upstreams: see dns_upstreams.h.
 */
#include "forwarder/dns_upstreams.h"

#include "forwarder/dns_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_BYTES = 256 };

/* host, with brackets off, and port. */
static int
split(const char *text, char host[INET6_ADDRSTRLEN], uint16_t *ret_port)
{
	const char *port = NULL, *end = text + strlen(text);
	size_t n;
	if (*text == '[') {
		const char *bracket = strchr(text, ']');
		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return -EINVAL;
		port = bracket[1] ? bracket + 2 : NULL;
		text++;
		n = (size_t)(bracket - text);
	} else {
		const char *colon = strchr(text, ':');
		if (colon && !strchr(colon + 1, ':')) {
			port = colon + 1;
			end = colon;
		}
		n = (size_t)(end - text);
	}
	if (n == 0 || n >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = 0;
	char *port_end;
	unsigned long number = port ? strtoul(port, &port_end, 10) : DNS_PORT;
	if (number == 0 || number > UINT16_MAX || (port && (port_end == port || *port_end)))
		return -EINVAL;
	*ret_port = (uint16_t)number;
	return 0;
}

static int
parse(const char *text, struct sockaddr_storage *ret)
{
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
	if (split(text, host, &port) < 0)
		return -EINVAL;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		memcpy(ret, &v4, sizeof v4);
	else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		memcpy(ret, &v6, sizeof v6);
	else
		return -EINVAL;
	return 0;
}

static void
read_resolv_conf(struct dns_upstreams *upstreams)
{
	char line[LINE_BYTES], address[LINE_BYTES];
	FILE *file = fopen(upstreams->resolv_conf, "re");
	upstreams->count = 0;
	if (!file)
		return;
	while (upstreams->count < DNS_UPSTREAMS_MAX && fgets(line, sizeof line, file))
		if (sscanf(line, "nameserver %255s", address) == 1 &&
		    parse(address, &upstreams->addresses[upstreams->count]) == 0)
			upstreams->count++;
	fclose(file);
}

void
dns_upstreams_refresh(struct dns_upstreams *upstreams)
{
	struct stat now;
	if (upstreams->is_configured || stat(upstreams->resolv_conf, &now) < 0 ||
	    (now.st_mtim.tv_sec == upstreams->read_at.tv_sec &&
	     now.st_mtim.tv_nsec == upstreams->read_at.tv_nsec))
		return;
	upstreams->read_at = now.st_mtim;
	read_resolv_conf(upstreams);
}

int
dns_upstreams_init(struct dns_upstreams *upstreams, const char *const *configured,
		   const char *resolv_conf)
{
	memset(upstreams, 0, sizeof *upstreams);
	upstreams->resolv_conf = resolv_conf;
	for (size_t i = 0; configured && configured[i]; i++) {
		if (upstreams->count == DNS_UPSTREAMS_MAX ||
		    parse(configured[i], &upstreams->addresses[upstreams->count]) < 0)
			return -EINVAL;
		upstreams->count++;
		upstreams->is_configured = true;
	}
	dns_upstreams_refresh(upstreams);
	return 0;
}

socklen_t
dns_upstream_length(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

/*
 * dns_upstreams: see dns_upstreams.h.
 */
#include "forwarder/dns_upstreams.h"

#include "forwarder/dns_message.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_BYTES = 256 };

static int
parse(const char *text, struct sockaddr_storage *ret)
{
	struct in6_addr address;
	uint16_t port;
	if (address_parse_endpoint(text, &address, &port) < 0)
		return -EINVAL;
	port = htons(port ? port : DNS_PORT);
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = port,
				   .sin6_addr = address };
	memset(ret, 0, sizeof *ret);
	if (IN6_IS_ADDR_V4MAPPED(&address)) {
		memcpy(&v4.sin_addr, address.s6_addr + 12, sizeof v4.sin_addr);
		memcpy(ret, &v4, sizeof v4);
	} else {
		memcpy(ret, &v6, sizeof v6);
	}
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

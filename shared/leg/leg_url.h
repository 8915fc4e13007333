/*
 * leg_url: a relay's URL taken apart, and the HTTP proxy that the environment names for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEG_URL_HOST_BYTES = 256,
	LEG_URL_PATH_BYTES = 256,
	LEG_URL_AUTHORITY_BYTES = LEG_URL_HOST_BYTES + 8,
	LEG_URL_PROXY_BYTES = 384,
	LEG_URL_TEXT_BYTES = LEG_URL_AUTHORITY_BYTES + LEG_URL_PATH_BYTES + 8,
};

struct leg_url {
	bool is_tls;
	bool is_v6;		       /* the host is an IPv6 address; here without its brackets */
	char host[LEG_URL_HOST_BYTES]; /* a DNS name or an address */
	uint16_t port;		       /* 443 or 80 when not given */
	char path[LEG_URL_PATH_BYTES]; /* with its slash; "/" when not given */
	char authority[LEG_URL_AUTHORITY_BYTES]; /* for the Host header */
};

/* "wss://host[:port][/path]" or "ws://...". -EINVAL: another scheme, a user, a query, a fragment,
 * anything but DNS characters or an address in the host. */
int leg_url_parse(const char *text, struct leg_url *ret);

/* As text again. */
void leg_url_format(const struct leg_url *url, char ret_text[LEG_URL_TEXT_BYTES]);

/* What https_proxy (for wss), http_proxy, all_proxy and no_proxy say, as curl reads them. Returns
 * true and "[user:password@]host:port" when there is one; an http proxy only. */
bool leg_url_proxy(const struct leg_url *url, char ret_proxy[LEG_URL_PROXY_BYTES]);

/* The host and port in what leg_url_proxy returned. -EINVAL. */
int leg_proxy_address(const char *proxy, char ret_host[LEG_URL_HOST_BYTES], uint16_t *ret_port);

/* The same with this address in place of the host. -EINVAL. */
int leg_proxy_set_address(char proxy[LEG_URL_PROXY_BYTES], const char *address);

/*
 * gateway_tls_watch: certificate and key are looked at once a second; a pair that changed and is
 * good is served to new connections, while those that exist stay (F34). A pair that is not good is
 * complained of, never served. When the certificate ends is a figure, and a warning in the last 21
 * days (T43).
 */
#pragma once

#include "gateway/gateway.h"

struct gateway_tls_watch;

/* What is served was loaded from these files just now. 0 or -errno. */
int gateway_tls_watch_new(struct gateway *gateway, const char *certificate_path,
			  const char *private_key_path, struct gateway_tls_watch **ret);
void gateway_tls_watch_free(struct gateway_tls_watch **watch);

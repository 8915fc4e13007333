/*
 * gateway_tls: certificate and private key, read and checked against each other before anything
 * listens. gateway_stream serves them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct gateway_tls {
	char *certificate, *private_key; /* PEM text */
	int64_t expires_ms;		 /* epoch: the certificate's end */
};

/* 0, or an exit code of sysexits.h with a reason: 66 not readable, 77 the key is open to others, 78
 * not PEM, or the two do not belong together. */
int gateway_tls_load(const char *certificate_path, const char *private_key_path,
		     struct gateway_tls *ret, char *ret_error, size_t error_bytes);
void gateway_tls_fini(struct gateway_tls *tls);

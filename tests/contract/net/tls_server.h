/*
 * tls_server: a small HTTPS (or HTTP) server on 127.0.0.1 with a certificate authority of its own,
 * on a thread of its own. What it answers is the test's. One request a connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct tls_server;

/* request: head and body, NUL-terminated. Writes the whole answer, status line included, to out.
 * False: no answer, and the connection is held until the client lets go. On the server's thread. */
typedef bool (*tls_server_fn)(const char *request, FILE *out, void *arg);

struct tls_server_options {
	bool is_plain;	  /* HTTP */
	const char *name; /* in the certificate; NULL: "localhost" */
	bool is_expired;  /* the certificate is of yesterday */
	tls_server_fn fn;
	void *arg;
};

int tls_server_start(const struct tls_server_options *options, struct tls_server **ret);
void tls_server_stop(struct tls_server **server);

uint16_t tls_server_port(const struct tls_server *server);
const char *tls_server_ca_file(const struct tls_server *server);

/* Connections accepted so far. */
unsigned tls_server_connections(const struct tls_server *server);

/* Makes folder/ca.pem, folder/server.pem and folder/server.key. */
int tls_certificate_make(const char *folder, const char *name, bool is_expired);

/* "HTTP/1.1 STATUS X", headers ("" or "Name: value\r\n"...), and the body with its length. */
void tls_server_write(FILE *out, int status, const char *headers, const char *body);

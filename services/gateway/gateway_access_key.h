/*
 * gateway_access_key: the text of an access key and what it says of itself: its kind, and 256
 * random bits. Only its SHA-256 is kept. No I/O but randomness, no state.
 *
 *	boson_client_Zm9v...	(43 characters of base64url)
 */
#pragma once

#include "gateway/gateway_endpoints.h"
#include "identity/mac.h"

#include <stdbool.h>

enum { ACCESS_KEY_TEXT_BYTES = 64, ACCESS_KEY_KINDS = 4 };

/* In the store, as their names: numbers may change. */
enum access_key_kind { ACCESS_KEY_NODE, ACCESS_KEY_CLIENT, ACCESS_KEY_ADMIN, ACCESS_KEY_SCRAPER };

const char *access_key_kind_name(enum access_key_kind kind); /* "node" */
bool access_key_kind_parse(const char *name, size_t n, enum access_key_kind *ret);
enum gateway_who access_key_kind_role(enum access_key_kind kind);

/* 0 or -errno. */
int access_key_make(enum access_key_kind kind, char ret_text[ACCESS_KEY_TEXT_BYTES]);

/* Is this a key's form? Whether it is a key, only the store can say. */
bool access_key_parse(const char *text, size_t n, enum access_key_kind *ret);

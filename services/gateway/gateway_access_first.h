/*
 * gateway_access_first: the access keys that are made at first start, so that there is a way in:
 * client.key, admin.key and node.key in the state folder, one line of text each, 0600. They are
 * rows of the store as well, where they can be revoked.
 */
#pragma once

#include "gateway/gateway_access_store.h"

enum { ACCESS_FIRST_KEYS = 3 };

struct access_first_key {
	enum access_key_kind kind;
	const char *subject; /* "client" */
	uint8_t digest[MAC_BYTES];
};

struct access_first {
	struct access_first_key keys[ACCESS_FIRST_KEYS];
};

/* Reads the files, or makes them. 0 or -errno after a log line: -EPERM others may read one, -EINVAL
 * it holds nothing usable. */
int access_first_load(const char *state_dir, struct access_first *ret);

/* The key of this digest, or NULL. All are compared, whichever it is. */
const struct access_first_key *access_first_find(const struct access_first *first,
						 const uint8_t digest[MAC_BYTES]);

/* Enters them in the store, unless they are there already. 0 or -EIO. */
int access_first_enter(const struct access_first *first, struct store *store, int64_t wall_now_ms);

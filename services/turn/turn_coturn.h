/*
 * turn_coturn: coturn's configuration, made from ours, so that there is one place to get it right:
 * our secret, no TCP relay, quotas, short nonces, and no peer that is not of the internet (T25,
 * T26). And, since coturn before 4.13.1 can be talked past its own list, the same list once more
 * for the kernel: an nftables table that holds for coturn's account.
 */
#pragma once

#include "config/config.h"
#include "turn/turn_secrets.h"

#include <stddef.h>

/* A range of addresses that no peer may have, as text. */
struct turn_denied {
	const char *first, *last;
};
extern const struct turn_denied turn_denied[];
extern const size_t turn_denied_n;

/* *ret is malloc'd. 0 or -ENOMEM. */
int turn_coturn_text(const struct config *config, const struct turn_secrets *secrets, char **ret);
int turn_coturn_nft_text(const struct config *config, char **ret);

/* Writes the files that are configured, if any, each whole or not at all: coturn's is 0600, since
 * it holds the secret. 0 or -errno, and a log line. */
int turn_coturn_write(const struct config *config, const struct turn_secrets *secrets);

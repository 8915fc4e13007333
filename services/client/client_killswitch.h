/*
 * client_killswitch: one nftables table that lets nothing leave this machine but through the
 * tunnel, to the pinned places, on loopback, and for DHCP and neighbour discovery. Loaded in one
 * transaction before anything else, replaced in one, and it stays when we die: only a disconnect
 * removes it.
 */
#pragma once

#include "client/client_pins.h"

#include <stddef.h>
#include <sys/types.h>

#define CLIENT_TABLE_NAME "higgs_client"

enum { KILLSWITCH_TEXT_BYTES = 8 * 1024 };

/* The transaction as text. -ENOSPC. */
int client_killswitch_text(const struct client_pins *pins, const char *interface, uid_t uid,
			   char *ret_text, size_t capacity);

/* 0, -EPERM, -EOPNOTSUPP (no nftables in this kernel), -EIO. */
int client_killswitch_set(const struct client_pins *pins, const char *interface, uid_t uid);

/* 1: removed; 0: there was none. */
int client_killswitch_remove(void);

/* Whether it is there: 1 or 0, or -errno. */
int client_killswitch_is_set(void);

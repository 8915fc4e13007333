/*
 * agent_identity: who this node is: its WireGuard key and its node id, made at first start and
 * kept.
 */
#pragma once

#include "identity/key.h"

#include <stddef.h>

/* 0, or an exit code of sysexits.h after a log line. */
int agent_identity_load_key(const char *path, struct key *ret_private);
int agent_identity_load_node_id(const char *path, char ret_text[UUID_TEXT_BYTES]);

/* One line of text; path "" gives "". */
int agent_identity_load_access_key(const char *path, char *ret_text, size_t capacity);

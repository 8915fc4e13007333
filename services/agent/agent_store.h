/*
 * agent_store: the agent's tables, and the only SQL of this folder: admitted sessions, and what the
 * server told us to attach to. Both outlive the agent: sessions go on while it is restarted, also
 * when the server is away.
 */
#pragma once

#include "agent/agent_admission.h"
#include "store/store.h"

#include "node.pb-c.h"

/* As store_open. */
int agent_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* Adds or renews. 0 or -EIO. */
int agent_store_put_session(struct store *store, const struct admission_session *session,
			    const char *address4, const char *address6);
int agent_store_remove_session(struct store *store, const uint8_t id[UUID_BYTES]);
int agent_store_remove_all_sessions(struct store *store);

/* Fills an empty model; sessions that no longer fit it are removed. 0 or -EIO. */
int agent_store_load_sessions(struct store *store, struct admission *admission,
			      const struct admission_clock *now);

int agent_store_put_attachment(struct store *store, const Boson__Node__Attachment *attachment);

/* *ret: NULL when there is none yet. Free with boson__node__attachment__free_unpacked. */
int agent_store_load_attachment(struct store *store, Boson__Node__Attachment **ret);

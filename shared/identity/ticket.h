/*
 * ticket: signed permission to hold a leg at any relay of a group (docs/protocol.md, "Tickets").
 * Ed25519: discovery signs node tickets, routing signs session tickets; a relay holds the two
 * public keys, checks offline and can mint none. Goes in `Authorization: Bearer`, as base64url.
 */
#pragma once

#include "identity/key.h"

enum {
	TICKET_TEXT_MAX_BYTES = 256,
	TICKET_SEED_BYTES = 32,
	TICKET_PUBLIC_BYTES = 32,
	TICKET_GROUP_BYTES = 16,
	TICKET_LEEWAY_MS = 30 * 1000,
};

enum ticket_role { TICKET_ROLE_NODE = 1, TICKET_ROLE_SESSION = 2 };

struct ticket {
	enum ticket_role role;
	uint8_t node_id[UUID_BYTES];	/* whose leg it is, or to whose leg the session goes */
	uint8_t session_id[UUID_BYTES]; /* all zero in a node ticket */
	char group[TICKET_GROUP_BYTES]; /* relay group, NUL-padded */
	int64_t not_before_ms;		/* epoch */
	int64_t expires_at_ms;
	uint32_t rate_kbytes; /* the session's rate in kB/s each way; 0: the relay's default */
	uint8_t serial[8];    /* random */
};

/* One signer: its seed file is made 0600 at first use, its public half written to `public_path`:
 * lines of hex, our own key first. Keys that stood there before stay below it (at most four lines),
 * so that tickets of a seed that was replaced still admit; whoever replaces a stolen seed removes
 * this file as well. */
struct ticket_signer;
int ticket_signer_open(const char *seed_path, const char *public_path, enum ticket_role role,
		       struct ticket_signer **ret);
void ticket_signer_free(struct ticket_signer **signer);

/* serial is filled in. -EINVAL: not a ticket of this signer's role, or a field out of range. */
int ticket_sign(const struct ticket_signer *signer, const struct ticket *ticket,
		char ret_text[TICKET_TEXT_MAX_BYTES]);

/* A secret of the same holders as the seed, and of no use for signing: HKDF-SHA256 of the seed,
 * with `purpose` as its info. So replicas that share a seed share it. 0 or -EIO. */
int ticket_signer_derive(const struct ticket_signer *signer, const char *purpose,
			 uint8_t ret_secret[TICKET_SEED_BYTES]);

/* A relay's two public keys. The files are looked at again at most once a second, when a ticket
 * arrives; one that is missing or unreadable then changes nothing. One thread. */
struct ticket_verifier;
int ticket_verifier_open(const char *node_public_path, const char *session_public_path,
			 const char *group, struct ticket_verifier **ret);
void ticket_verifier_free(struct ticket_verifier **verifier);

/* 0, -EBADMSG malformed, -EACCES bad signature, role or group, -ETIME expired or not yet valid (30
 * s leeway), -EIO when it cannot be told now: as good as out of memory. */
int ticket_verify(struct ticket_verifier *verifier, const char *text, size_t n, int64_t wall_now_ms,
		  struct ticket *ret);

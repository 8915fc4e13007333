/*
 * gateway_access_mailbox: the operator's mailbox: access keys are made, listed and revoked. Every
 * write is logged with who asked and what became of it, never with a key.
 *
 *	bosonctl -> CreateKey ListKeys RevokeKey
 */
#pragma once

#include "gateway/gateway_access.h"
#include "service/service.h"

#include "gateway.pb-c.h"

struct access_mailbox {
	Boson__Gateway__Gateway_Service service; /* first: handlers find us by it */
	struct gateway_access *access;
};

/* Binds the mailbox. It must outlive the bus's last turn. 0 or -errno after a log line. */
int access_mailbox_open(struct access_mailbox *mailbox, const struct actor_context *context,
			struct gateway_access *access);

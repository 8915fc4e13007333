/* routing_access: see the header. */
#include "routing/routing_access.h"

#include "identity/key.h"
#include "identity/mac.h"
#include "service/caller.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool
routing_is_token(const char *subject)
{
	char client_id[UUID_TEXT_BYTES];
	uint8_t id[UUID_BYTES];

	(void)snprintf(client_id, sizeof(client_id), "%.*s", UUID_TEXT_BYTES - 1, subject);
	return uuid_parse(client_id, id) == 0;
}

int
routing_token_subject(const uint8_t client_id[UUID_BYTES], const char *owner,
		      char ret_subject[ROUTING_TOKEN_BYTES])
{
	uint8_t digest[MAC_BYTES];
	size_t at = UUID_TEXT_BYTES - 1;

	if (routing_is_token(owner)) {
		(void)snprintf(ret_subject, ROUTING_TOKEN_BYTES, "%s", owner);
		return 0;
	}
	if (mac_sha256(owner, strlen(owner), digest) < 0)
		return -EIO;
	uuid_format(client_id, ret_subject);
	ret_subject[at++] = '.';
	for (size_t i = 0; at + 2 < ROUTING_TOKEN_BYTES; i++, at += 2)
		(void)snprintf(ret_subject + at, 3, "%02x", digest[i]);
	return 0;
}

int
routing_holder(const char *owner, char ret_holder[SESSION_HOLDER_BYTES])
{
	static const uint8_t anybody[UUID_BYTES];
	char subject[ROUTING_TOKEN_BYTES];
	int error = routing_token_subject(anybody, owner, subject);

	_Static_assert(ROUTING_TOKEN_BYTES == (int)UUID_TEXT_BYTES + (int)SESSION_HOLDER_BYTES,
		       "a token's subject ends with the holder");
	if (error == 0 && strlen(subject) == ROUTING_TOKEN_BYTES - 1)
		memcpy(ret_holder, subject + UUID_TEXT_BYTES, SESSION_HOLDER_BYTES);
	else
		ret_holder[0] = '\0';
	return error;
}

bool
routing_may_speak_for(const Boson__Common__Caller *caller, const char *client_id)
{
	if (caller_is_admin(caller))
		return true;
	if (caller_role(caller) != BOSON__COMMON__CALLER__ROLE__CLIENT || caller->subject == NULL)
		return false;
	return !routing_is_token(caller->subject) || routing_is_client(caller, client_id);
}

bool
routing_is_client(const Boson__Common__Caller *caller, const char *client_id)
{
	return caller_role(caller) == BOSON__COMMON__CALLER__ROLE__CLIENT &&
	       caller->subject != NULL && routing_is_token(caller->subject) && client_id != NULL &&
	       strlen(client_id) == UUID_TEXT_BYTES - 1 &&
	       memcmp(caller->subject, client_id, UUID_TEXT_BYTES - 1) == 0;
}

void
routing_caller_take(struct routing_caller *ret, const Boson__Common__Caller *caller)
{
	memset(ret, 0, sizeof(*ret));
	ret->role = caller_role(caller);
	if (caller != NULL && caller->subject != NULL)
		strncpy(ret->subject, caller->subject, sizeof(ret->subject) - 1);
}

int
routing_check_client(const struct session *session, const struct routing_caller *caller)
{
	char subject[ROUTING_TOKEN_BYTES];
	int error;

	if (caller->role != BOSON__COMMON__CALLER__ROLE__CLIENT)
		return -EACCES;
	error = routing_token_subject(session->record.client_id, session->record.owner, subject);
	if (error == 0 && strcmp(caller->subject, subject) != 0)
		error = -EACCES;
	return error;
}

int
routing_check_use(const struct session *session, const struct routing_caller *caller)
{
	char owners[ROUTING_TOKEN_BYTES], callers[ROUTING_TOKEN_BYTES];
	const uint8_t *client_id = session->record.client_id;
	int error;

	if (caller->role == BOSON__COMMON__CALLER__ROLE__ADMIN)
		return 0;
	if (caller->role != BOSON__COMMON__CALLER__ROLE__CLIENT || caller->subject[0] == '\0')
		return -EACCES;
	/* An access key and the token that came by it are the same to a session, whichever opened
	 * it and whichever asks. */
	error = routing_token_subject(client_id, session->record.owner, owners);
	if (error == 0)
		error = routing_token_subject(client_id, caller->subject, callers);
	if (error == 0 && strcmp(owners, callers) != 0)
		error = -EACCES;
	return error;
}

int
routing_check_take_up(const struct session *session, const struct routing_caller *caller,
		      bool is_proven)
{
	int error = routing_check_use(session, caller);
	bool is_admin = caller->role == BOSON__COMMON__CALLER__ROLE__ADMIN;

	return error == 0 && session->record.is_proven && !is_proven && !is_admin ? -EACCES : error;
}

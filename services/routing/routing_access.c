/* routing_access: see the header. */
#include "routing/routing_access.h"

#include "identity/key.h"

#include <string.h>

Boson__Common__Caller__Role
routing_role(const Boson__Common__Caller *caller)
{
	return caller != NULL && caller->has_role ? caller->role
						  : BOSON__COMMON__CALLER__ROLE__ANYONE;
}

bool
routing_is_admin(const Boson__Common__Caller *caller)
{
	return routing_role(caller) == BOSON__COMMON__CALLER__ROLE__ADMIN;
}

static bool
is_subject(const Boson__Common__Caller *caller, Boson__Common__Caller__Role role, const char *id)
{
	return routing_role(caller) == role && caller->subject != NULL && id != NULL &&
	       strcmp(caller->subject, id) == 0;
}

bool
routing_may_speak_for(const Boson__Common__Caller *caller, const char *client_id)
{
	uint8_t id[UUID_BYTES];

	if (routing_is_admin(caller))
		return true;
	if (routing_role(caller) != BOSON__COMMON__CALLER__ROLE__CLIENT || caller->subject == NULL)
		return false;
	return uuid_parse(caller->subject, id) != 0 || routing_is_client(caller, client_id);
}

bool
routing_is_client(const Boson__Common__Caller *caller, const char *client_id)
{
	return is_subject(caller, BOSON__COMMON__CALLER__ROLE__CLIENT, client_id);
}

bool
routing_is_node(const Boson__Common__Caller *caller, const char *node_id)
{
	return is_subject(caller, BOSON__COMMON__CALLER__ROLE__NODE, node_id);
}

void
routing_caller_take(struct routing_caller *ret, const Boson__Common__Caller *caller)
{
	memset(ret, 0, sizeof(*ret));
	ret->role = routing_role(caller);
	if (caller != NULL && caller->subject != NULL)
		strncpy(ret->subject, caller->subject, sizeof(ret->subject) - 1);
}

bool
routing_may_use(const struct session *session, const struct routing_caller *caller)
{
	char client_id[UUID_TEXT_BYTES];

	if (caller->role == BOSON__COMMON__CALLER__ROLE__ADMIN)
		return true;
	if (caller->role != BOSON__COMMON__CALLER__ROLE__CLIENT || caller->subject[0] == '\0')
		return false;
	uuid_format(session->record.client_id, client_id);
	return strcmp(caller->subject, client_id) == 0 ||
	       strcmp(caller->subject, session->record.owner) == 0;
}

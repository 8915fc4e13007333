/* caller: see caller.h. */
#include "service/caller.h"

#include <string.h>

Boson__Common__Caller__Role
caller_role(const Boson__Common__Caller *caller)
{
	return caller != NULL && caller->has_role ? caller->role
						  : BOSON__COMMON__CALLER__ROLE__ANYONE;
}

bool
caller_is_admin(const Boson__Common__Caller *caller)
{
	return caller_role(caller) == BOSON__COMMON__CALLER__ROLE__ADMIN;
}

bool
caller_is_node(const Boson__Common__Caller *caller, const char *node_id)
{
	return caller_role(caller) == BOSON__COMMON__CALLER__ROLE__NODE &&
	       caller->subject != NULL && node_id != NULL && strcmp(caller->subject, node_id) == 0;
}

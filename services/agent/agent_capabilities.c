/*
 * agent_capabilities: permitted, effective, inheritable and ambient sets emptied, the bounding set
 * too where that is permitted; then looked at again.
 */
#include "agent/agent_capabilities.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

int
agent_capabilities_drop(void)
{
	capng_select_t selected = CAPNG_SELECT_CAPS;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -EPERM;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (capng_get_caps_process() < 0)
		return -EPERM;
	/* Only who holds CAP_SETPCAP may empty the bounding set; without it, and with
	 * no_new_privs, what stands there cannot be used. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		selected = CAPNG_SELECT_BOTH;
	capng_clear(selected);
	if (capng_apply(selected) != 0)
		return -EPERM;
	if (capng_get_caps_process() < 0 ||
	    capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return -EPERM;
	return 0;
}

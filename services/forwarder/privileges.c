/*
 * privileges: see privileges.h.
 */
#include "forwarder/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

bool
privileges_has_net_admin(void)
{
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN);
}

int
privileges_drop(void)
{
	bool has = privileges_has_net_admin();
	/* Only who may (CAP_SETPCAP) can shrink the bounding set; others have nothing to gain by it
	 * once no_new_privs is set. */
	bool can_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_ALL);
	if (has)
		capng_updatev(CAPNG_ADD,
			      CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
				      CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
			      CAP_NET_ADMIN, -1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (can_bound && capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		return -EPERM;
	if (capng_apply(CAPNG_SELECT_CAPS) != 0 || capng_apply(CAPNG_SELECT_AMBIENT) != 0)
		return -EPERM;
	return 0;
}

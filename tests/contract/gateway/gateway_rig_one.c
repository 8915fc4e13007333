/*
 * gateway_rig_one: see the header.
 */
#include "gateway_rig_one.h"

struct rig rig;

int
rig_one_start(const char *extra, bool tls, enum rig_services services)
{
	return rig_start(&rig, extra, tls, services) ? 0 : -1;
}

int
rig_one_stop(void **state)
{
	(void)state;
	return rig_stop(&rig) ? 0 : -1;
}

int
rig_one_start_unlimited(bool tls)
{
	return rig_one_start("rate_general = 1000000\nrate_enrolment = 1000000\n"
			     "request_deadline = 2s\nmax_connections_per_address = 1000",
			     tls, RIG_SOME);
}

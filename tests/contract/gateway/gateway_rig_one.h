/*
 * gateway_rig_one: what tests on one gateway share: the rig, its start and its end for cmocka, and
 * how their requests begin.
 */
#pragma once

#include "gateway_rig.h"

#define H      "Host: gateway\r\n"
#define JSON   "Content-Type: application/json\r\n"
#define TARGET "POST /api/v1/nodes/challenge HTTP/1.1\r\n"

extern struct rig rig;

/* As rig_start; 0 or -1. */
int rig_one_start(const char *extra, bool tls, enum rig_services services);
/* The same, with services, for tests whose many connections no rate is to stop. */
int rig_one_start_unlimited(bool tls);
int rig_one_stop(void **state);

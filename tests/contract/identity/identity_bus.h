/*
 * identity_bus: a real discovery, and its mailbox, for tests of enrolment on the bus.
 */
#pragma once

#include "enrolment.h"

extern struct rig rig;
extern struct bus_peer *discovery;

/* A rig with this [discovery] enrolment, and its discovery. */
int identity_bus_start(const char *policy);

/* For cmocka. */
int identity_bus_stop(void **state);

/* It was killed, and comes back. */
void identity_bus_restart(void);

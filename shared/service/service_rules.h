/*
 * service_rules: who may call which method and hear which event over tcp, and which methods may be
 * repeated at another replica: one row each, for all of both products.
 */
#pragma once

#include "bus/bus.h"

/* Ends in {0}. */
extern const struct bus_rule service_rules[];

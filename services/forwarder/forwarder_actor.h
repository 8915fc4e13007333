/*
 * forwarder_actor: the forwarder as service_main runs it.
 */
#pragma once

#include "service/service.h"

extern const struct actor forwarder_actor;

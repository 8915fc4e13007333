/*
 * service_curve: the CURVE key pair and the allow-list of a program, from the files that [bus]
 * curve_secret and curve_allow name.
 */
#pragma once

#include "bus/bus.h"

#include <stddef.h>

enum { SERVICE_CURVE_TEXT_BYTES = 41, SERVICE_CURVE_ALLOWED_MAX = 256 };

struct service_curve;

/* allow_path: "" for nobody. As service_bus_new. */
int service_curve_load(const char *secret_path, const char *allow_path, struct service_curve **ret,
		       char *ret_error, size_t error_bytes);
void service_curve_free(struct service_curve **curve); /* wipes the secret */
const struct bus_security *service_curve_security(const struct service_curve *curve);

/* 40 characters of Z85. */
bool service_curve_key_is_valid(const char *text);

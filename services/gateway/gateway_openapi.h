/*
 * gateway_openapi: the API described in OpenAPI 3, made from the endpoint table and the messages'
 * descriptors, so that it cannot say anything else than the code does.
 */
#pragma once

#include <stddef.h>

/* *ret is malloc'd JSON text. 0 or -ENOMEM. */
int gateway_openapi_make(char **ret);

/*
 * json_memory: whether jansson ran out of memory. Its parser does not say: what did not fit is cut
 * off, or taken for a mistake in the text. Inside shared/json only.
 */
#pragma once

#include <stdbool.h>

/* On this thread, from now on. */
void json_memory_begin(void);
/* Was there too little since? Then nothing that jansson made since is to be trusted. */
bool json_memory_failed(void);

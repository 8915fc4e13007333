/*
 * resident: what this process, and so the relay in it, has in memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* False under sanitizers, whose allocators keep for a while what was freed; says so. */
bool resident_is_told(void);

/* VmRSS. */
uint64_t resident_bytes(void);

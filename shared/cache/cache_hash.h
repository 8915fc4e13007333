/*
 * cache_hash: SipHash-2-4 (Aumasson and Bernstein, 2012): strangers choose our keys, so the hash
 * must be one whose collisions they cannot choose.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CACHE_HASH_SECRET_BYTES = 16 };

uint64_t cache_hash(const uint8_t secret[CACHE_HASH_SECRET_BYTES], const void *bytes, size_t n);

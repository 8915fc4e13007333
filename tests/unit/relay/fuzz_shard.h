/*
 * fuzz_shard: what the fuzz targets that drive a shard without its thread have alike.
 */
#pragma once

#include "relay/relay_settings.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Small enough that a fuzzer reaches every limit. */
extern struct relay_settings fuzz_shard_settings;

/*
 * load_process: what the measured server's processes have used, from /proc.
 */
#pragma once

#include <stdint.h>

/* pids: numbers by commas. Nanoseconds that their threads have run; KiB that are resident. */
uint64_t load_process_ns(const char *pids);
long load_process_kib(const char *pids);

/* Seconds of processor time of this process. */
double load_process_own_seconds(void);

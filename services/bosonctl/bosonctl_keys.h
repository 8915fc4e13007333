/*
 * bosonctl_keys: the CURVE key pairs with which services on different hosts know each other. Writes
 * files and prints; talks to nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* One key pair for each name (n 0: the six services and bosonctl), into folder, which is made when
 * missing: `<name>.secret` (0600), `allow` (lines "name key", what [bus] curve_allow reads) and
 * `bus.conf` (the lines that go under [bus]), which is also printed. A file that is there already
 * is left alone, with all others, unless force. An exit code of sysexits.h: 0, or a sentence on
 * stderr: 64 a name is none, 73 a file is there or cannot be made, 74 stdout cannot be written. */
int bosonctl_keys(const char *folder, const char *const *names, size_t n, bool force);

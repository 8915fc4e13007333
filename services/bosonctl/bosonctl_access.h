/*
 * bosonctl_access: makes an access key. Its text is shown, or written to a file of ours, this once.
 */
#pragma once

#include "bosonctl/bosonctl_commands.h"

/* KIND NAME [--uses N] [--expires 30d] [--out FILE]. An exit code of sysexits.h: 64 the words are
 * wrong, 73 the file is there or cannot be made, else as bosonctl_call. */
int bosonctl_access_create(const struct bosonctl_where *where, int n, char **words);
void bosonctl_access_help(FILE *file);

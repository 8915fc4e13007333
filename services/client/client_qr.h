/*
 * client_qr: a text as a QR code for a terminal, to be scanned by a phone's WireGuard app.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* in_blocks: half a block of UTF-8 a module; else two letters of ASCII. Dark on light is what apps
 * expect, and most terminals are the other way round, so light modules are drawn. -E2BIG: too long
 * for a code; -ENOMEM. */
int client_qr_print(FILE *to, const char *text, bool in_blocks);

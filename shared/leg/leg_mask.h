/*
 * leg_mask: the frame of a masked binary message (RFC 6455, sections 5.2 and 5.3), for what goes
 * out. Inside shared/leg only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { LEG_MASK_BYTES = 4, LEG_MASK_HEADER_MAX_BYTES = 14 };

/* In place; the same again unmasks. */
void leg_mask(uint8_t *payload, size_t n, const uint8_t key[LEG_MASK_BYTES]);

/* Writes the frame header directly before the payload, where LEG_MASK_HEADER_MAX_BYTES must be
 * free. Returns its size. */
size_t leg_mask_header(uint8_t *payload, size_t n, const uint8_t key[LEG_MASK_BYTES]);

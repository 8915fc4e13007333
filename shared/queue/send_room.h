/*
 * send_room: how many bytes a socket may be given now, by what it holds unsent and how fast it
 * takes (send_pace.h). What the kernel holds, nothing overtakes and nobody drops: a socket known to
 * be slow is given what it soon takes, and no more.
 */
#pragma once

#include "queue/send_pace.h"

/* SIZE_MAX: as many as it takes; 0: none, until it can be written to again. most: as below. */
size_t send_room(const struct send_pace *pace, int fd, uint32_t most);

/* The socket is full. Its TCP_NOTSENT_LOWAT becomes what its pace asks for, `most` at most. True
 * when that is something else than before. */
bool send_room_full(struct send_pace *pace, int fd, int64_t now_ms, uint32_t most);

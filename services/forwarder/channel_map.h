/*
 * channel_map: which loopback address stands for which channel. A model: no I/O.
 *
 * Each channel gets an address of 127/8 for itself, allotted one after the other, so that one that
 * was given up rests for some sixteen million others before it comes round again: ciphertext that
 * is late never reaches another session. WireGuard goes on sending to the address a client last
 * spoke from; when that channel is gone, it reaches the newest channel of the same session, and of
 * no other, so that a new leg needs no word from the client first.
 *
 * A channel is {u32 connection, u32 number}: a leg that moves has two connections for a moment, and
 * each relay numbers its own.
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { CHANNELS_MAX = 4096 };

struct channel_map;

static inline uint64_t
channel_map_key(uint32_t line, uint32_t number)
{
	return number != 0 ? (uint64_t)line << 32 | number : 0;
}

/* start: a random number: where allotting begins. */
int channel_map_new(uint32_t start, struct channel_map **ret);
void channel_map_free(struct channel_map **map);

/* session_id: NULL or "" for a channel of none. Opening a channel again gives it a new address.
 * -EINVAL channel 0, -ENOSPC too many. */
int channel_map_open(struct channel_map *map, uint64_t channel, const char *session_id);
/* A channel that was opened for no session turns out to be this one's, and becomes its newest; its
 * address stays. "": it is nobody's again. -ENOENT: it is not open. -EINVAL: that is no id. */
int channel_map_bind(struct channel_map *map, uint64_t channel, const char *session_id);

void channel_map_close(struct channel_map *map, uint64_t channel);

/* A connection is gone, and all its channels with it. */
void channel_map_close_line(struct channel_map *map, uint32_t line);
void channel_map_close_all(struct channel_map *map);

/* The newest open channel of a session; 0: none. */
uint64_t channel_map_session_channel(const struct channel_map *map, const char *session_id);

/* A session is over: nothing reaches it any more, whatever channel it has. */
void channel_map_session_end(struct channel_map *map, const char *session_id);

/* The address of a channel; 0: no such channel. */
struct in_addr channel_map_address(const struct channel_map *map, uint64_t channel);

/* The channel for what WireGuard sent to this address; 0: none. */
uint64_t channel_map_channel(const struct channel_map *map, struct in_addr address);

size_t channel_map_count(const struct channel_map *map);

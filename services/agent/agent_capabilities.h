/*
 * agent_capabilities: the agent holds none. Called before any thread is started, because
 * capabilities belong to threads.
 */
#pragma once

/* Gives up every capability, and with no_new_privs every way to get one. 0, or -EPERM when any is
 * still held: then nobody may go on. */
int agent_capabilities_drop(void);

/*
 * bosonctl_mailboxes: the mailboxes that an operator can reach, by name, and their rpcs. No I/O.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

/* NULL: no such mailbox. */
const ProtobufCServiceDescriptor *mailbox_find(const char *name);

/* The index of an rpc in its mailbox, or -1. */
int mailbox_rpc_find(const ProtobufCServiceDescriptor *mailbox, const char *rpc);

/* "relay ListFlows {sessionId, nodeId}", a line each. */
void mailbox_list(FILE *file);

/* The name nearest to what was typed: a mailbox's when mailbox is NULL, else an rpc's. */
const char *mailbox_nearest(const ProtobufCServiceDescriptor *mailbox, const char *typed);

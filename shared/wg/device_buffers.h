/*
 * device_buffers: room for bursts in a userspace WireGuard's UDP sockets. A leg hands over whole
 * batches at once, and the kernel's default of 208 KiB loses a tenth of a fast download there.
 * wireguard-go has no setting for it, so its parent reaches in (pidfd_getfd). For device.c only.
 */
#pragma once

/* The process that serves an interface: the number of its UDP sockets that were widened (0: it has
 * none yet), or -errno where the kernel does not allow it. */
int device_buffers_widen(int pidfd);

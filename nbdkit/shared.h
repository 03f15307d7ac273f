/* SPDX-License-Identifier: MIT */
/* The one disk that all connections share. */
#ifndef NBDKIT_SHARED_H
#define NBDKIT_SHARED_H

#include <stdbool.h>

#include <vhdx.h>

/* Each returns 0, or -1 with the error logged and set. */

/* Tells whether the disk can be opened for reading, and leaves it closed. */
int shared_try(void);

/* Opens it for reading. */
int shared_open(void);

/* Makes durable what was written, if anything may have been. Any thread. */
int shared_flush(void);

/* Closes it cleanly, if it is open. */
int shared_close(void);

/*
 * A connection begins, which wants to write or not; the first that does so opens the disk for writing.
 * Says whether it may.
 */
int shared_connect(bool readonly, bool *ret_may_write);

void shared_disconnect(void);

/* While there is a connection. */
struct vhdx *shared_disk(void);

#endif

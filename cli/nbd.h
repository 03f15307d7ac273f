/* SPDX-License-Identifier: MIT */
/* An NBD export as storage, for raw contents. */
#ifndef CLI_NBD_H
#define CLI_NBD_H

#include <stdbool.h>

#include <vhdx.h>

/* How many threads keep a server busy: each waits for its own requests. */
#define NBD_THREADS 16

/*
 * Connects to the export at @uri, for writing too if @writing is set. Returns STATUS_DONE, or the exit
 * status, with the error reported. ret_io->close ends it.
 */
int nbdio_open(const char *uri, bool writing, struct vhdx_io *ret_io);

#endif

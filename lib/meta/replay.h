/* SPDX-License-Identifier: MIT */
/* What the active sequence of a log changes (F 4.4): shown in memory over the file, or written to it. */
#ifndef VHDX_META_REPLAY_H
#define VHDX_META_REPLAY_H

#include "base/error.h"
#include "meta/image.h"

/*
 * Storage that shows @io, @file_size bytes long, as a replay leaves it, and its size; changes nothing.
 * @scan has an active sequence. -EUCLEAN, with *ret_fault, when the log may not be replayed; -ENOMEM; or
 * as the storage fails. @io must outlive ret_view.
 */
int vhdx_replay_view(const struct vhdx_io *io, uint64_t file_size, const struct log_place *log,
		     const struct log_scan *scan, struct vhdx_io *ret_view, uint64_t *ret_size,
		     struct fault *ret_fault);

/*
 * Replays the log of @image, which must have a LogGuid and no fault, to its file (F 2.4, step 2), which
 * must be writable and locked; durable on return. Load @image again afterwards, whatever is returned: on
 * failure the log is still there, and a later replay does all again. With @no_holes, space that the file
 * grows by is reserved. -EUCLEAN when the headers' sequence number cannot grow so far; or as the storage
 * fails.
 */
int vhdx_replay_file(struct image *image, bool no_holes);

#endif

/* SPDX-License-Identifier: MIT */
/* What the active sequence of a log changes (F 4.4), shown in memory over a file that stays as it is. */
#ifndef VHDX_META_REPLAY_H
#define VHDX_META_REPLAY_H

#include "base/error.h"
#include "meta/logscan.h"

/*
 * Storage that shows @io, @file_size bytes long, as a replay leaves it, and its size; changes nothing.
 * @scan has an active sequence. -EUCLEAN, with *ret_fault, when the log may not be replayed; -ENOMEM; or
 * as the storage fails. @io must outlive ret_view.
 */
int vhdx_replay_view(const struct vhdx_io *io, uint64_t file_size, const struct log_place *log,
		     const struct log_scan *scan, struct vhdx_io *ret_view, uint64_t *ret_size,
		     struct fault *ret_fault);

#endif

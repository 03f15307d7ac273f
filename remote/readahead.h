/* SPDX-License-Identifier: MIT */
/* Storage that is only read, in front of storage that is far away: small reads are served from larger ones. */
#ifndef REMOTE_READAHEAD_H
#define REMOTE_READAHEAD_H

#include <vhdx.h>

/*
 * Puts itself in front of *@io, which holds a VHDX image, must not be written, and is closed with it. So many
 * @images, at least one, are read together, and share some memory. -ENOMEM; then *@io is as it was.
 */
int readahead_wrap(struct vhdx_io *io, size_t images);

#endif

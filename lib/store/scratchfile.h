/* SPDX-License-Identifier: MIT */
/* A file without a name, for what does not fit in memory; it is gone when it is closed. */
#ifndef VHDX_STORE_SCRATCHFILE_H
#define VHDX_STORE_SCRATCHFILE_H

#include <stdbool.h>

#include <vhdx.h>

/* The folder for temporary files: that of $TMPDIR, else one that survives being full better than memory does. */
const char *vhdx_scratch_folder(void);

/* An empty one in @folder, for its owner only. */
int vhdx_scratch_file(const char *folder, struct vhdx_io *ret_io);

/*
 * Is it known that file store @io cannot have holes? Tried on the scratch file where that is of the same file
 * system, for the file itself must not be touched; the scratch file is empty afterwards.
 */
bool vhdx_scratch_denies_holes(const struct vhdx_io *scratch, const struct vhdx_io *io);

#endif

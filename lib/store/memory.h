/* SPDX-License-Identifier: MIT */
/* Storage in RAM, for tests and fuzzing. */
#ifndef VHDX_STORE_MEMORY_H
#define VHDX_STORE_MEMORY_H

#include <vhdx.h>

/* Storage that begins as a copy of @size bytes at @contents (NULL: zeros). Ended by ret_io->close. */
int vhdx_memory_io(const void *contents, size_t size, struct vhdx_io *ret_io);

/* Where its bytes are, until its next change of size; *ret_size of them. NULL when @io is no such storage. */
void *vhdx_memory_bytes(const struct vhdx_io *io, size_t *ret_size);

#endif

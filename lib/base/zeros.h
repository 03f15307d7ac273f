/* SPDX-License-Identifier: MIT */
/* Is this memory all zeros? */
#ifndef VHDX_BASE_ZEROS_H
#define VHDX_BASE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>

bool vhdx_is_zeros(const void *buf, size_t size);

/* The same without ISA-L: used where the build has none, and always tested. */
bool vhdx_is_zeros_portable(const void *buf, size_t size);

#endif

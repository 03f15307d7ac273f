/* SPDX-License-Identifier: MIT */
/* Zero detection: by ISA-L where the build has it, else by comparing the memory with itself, shifted. */
#include <stdint.h>
#include <string.h>

#include "base/zeros.h"

#ifdef HAVE_ISAL
#include <isa-l/mem_routines.h>
#endif

bool vhdx_is_zeros_portable(const void *buf, size_t size)
{
	const char *bytes = buf;

	/* All bytes are zero when the first is, and each equals the one before it. */
	return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

bool vhdx_is_zeros(const void *buf, size_t size)
{
#ifdef HAVE_ISAL
	return !isal_zero_detect((void *)(uintptr_t)buf, size);
#else
	return vhdx_is_zeros_portable(buf, size);
#endif
}

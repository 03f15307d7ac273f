/* SPDX-License-Identifier: MIT */
/* Structs of options from callers that may have been built against another version of the header. */
#include <string.h>

#include "base/arith.h"
#include "base/error.h"
#include "base/zeros.h"
#include "base/options.h"

int vhdx_adopt_needed(const void *options, const char *what, size_t size, void *ret_options)
{
	size_t given = 0;

	if (options)
		memcpy(&given, options, sizeof(given));
	if (given < sizeof(given))
		return vhdx_fail_argument("%s: missing, or its size is not set", what);
	if (given > size && !vhdx_is_zeros((const char *)options + size, given - size))
		return vhdx_fail_argument(
			"%s: has %zu bytes and sets some behind the %zu that are known here", what,
			given, size);
	memset(ret_options, 0, size);
	memcpy(ret_options, options, (size_t)min_u64(given, size));
	return 0;
}

int vhdx_adopt_options(const void *options, const char *what, size_t size, void *ret_options)
{
	if (options)
		return vhdx_adopt_needed(options, what, size, ret_options);
	memset(ret_options, 0, size);
	return 0;
}

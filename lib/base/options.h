/* SPDX-License-Identifier: MIT */
/* Structs of options from callers that may have been built against another version of the header. */
#ifndef VHDX_BASE_OPTIONS_H
#define VHDX_BASE_OPTIONS_H

#include <stddef.h>

/*
 * Copies a struct that begins with its size, @options, into one of @size bytes; NULL gives defaults. A
 * smaller one is filled up with zeros; of a larger one, what is unknown here must be zero: -EINVAL.
 * @what names the struct in messages.
 */
int vhdx_adopt_options(const void *options, const char *what, size_t size, void *ret_options);

/* -EINVAL when @options is NULL or its size is not set, as vhdx_adopt_options for one that is needed. */
int vhdx_adopt_needed(const void *options, const char *what, size_t size, void *ret_options);

#endif

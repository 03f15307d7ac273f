/* SPDX-License-Identifier: MIT */
/* Puts a damaged header together again, with proof: its own checksum. */
#ifndef VHDX_OPS_HEADERFIT_H
#define VHDX_OPS_HEADERFIT_H

#include <stdbool.h>

#include "format/ondisk.h"

/*
 * The two headers of an image are nearly the same. Replaces fields of @header by those of @other, or by
 * what such a field always is, until its checksum fits; then it is, but for chance, as it was written.
 * Returns whether it does; else @header is as before.
 */
bool vhdx_header_fit(struct header_disk *header, const struct header_disk *other);

#endif

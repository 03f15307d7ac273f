/* SPDX-License-Identifier: MIT */
/* Repair of the head of the metadata table (F 5): a lost signature, and a count that cannot be right. */
#ifndef VHDX_OPS_MENDTABLE_H
#define VHDX_OPS_MENDTABLE_H

#include "ops/mend.h"

/*
 * Of an image whose table, @table, was not decoded. Mended when the entries behind the head hold every item
 * that is needed, each once, in its place, and with a value that it may have. Errors as of a stage.
 */
int vhdx_mend_table_head(struct repair *repair, const struct image *image, uint8_t *table);

/*
 * Of one that was decoded, but lacks a known item that stands right behind its last entry: the count is too
 * small. Errors as of a stage.
 */
int vhdx_mend_table_count(struct repair *repair, const struct image *image, uint8_t *table);

#endif

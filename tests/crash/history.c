/* SPDX-License-Identifier: MIT */
/* Looks at the order in which headers and everything else were written. */
#include <inttypes.h>

#include "crash/history.h"

#define SLOT ((uint64_t)64 << 10)

/* 0 and 1: writes of the headers; -1: anything else. */
static int slot_of(const struct store_op *op)
{
	if (op->kind != STORE_WRITE || op->offset < SLOT || op->offset >= 3 * SLOT)
		return -1;
	return op->offset < 2 * SLOT ? 0 : 1;
}

/* Whether a flush was over before @time that began after @op had ended. */
static bool is_durable(const struct store *store, const struct store_op *op, uint64_t time)
{
	for (size_t i = 0; i < store->count; i++) {
		const struct store_op *flush = &store->ops[i];

		if (flush->kind == STORE_FLUSH && !flush->failed && flush->begin > op->end &&
		    flush->end < time)
			return true;
	}
	return false;
}

/* What a session may write before it has said that the file changes: headers, the log; and it may grow. */
static bool is_preparation(const struct store_op *op, const struct vhdx_info *info)
{
	return op->kind == STORE_FLUSH || op->kind == STORE_SIZE || slot_of(op) >= 0 ||
	       (op->offset >= info->log_offset &&
		op->offset + op->length <= info->log_offset + info->log_length);
}

char *history_judge(const struct store *store, uint64_t begin, const struct vhdx_info *info)
{
	const struct store_op *last[2] = {NULL, NULL};
	bool announced = false;

	for (size_t i = 0; i < store->count; i++) {
		const struct store_op *op = &store->ops[i];
		int slot = slot_of(op);

		if (op->begin < begin)
			continue;
		if (slot >= 0) {
			const struct store_op *other = last[!slot];

			if (other && !is_durable(store, other, op->begin))
				return fault_text("header %d is written while the other's last "
						  "write is not durable",
						  slot + 1);
			last[slot] = op;
		}
		for (int j = 0; j < 2 && !announced; j++)
			announced = last[j] && is_durable(store, last[j], op->begin);
		if (!announced && !is_preparation(op, info))
			return fault_text("%#" PRIx64
					  " is written before a header with new GUIDs is durable",
					  op->offset);
	}
	return NULL;
}

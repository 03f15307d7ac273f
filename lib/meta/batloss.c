/* SPDX-License-Identifier: MIT */
/* What the faults of a BAT cost of the disk, each byte counted once. */
#include "meta/batloss.h"
#include "meta/batrules.h"

struct guest_part vhdx_guest_part(const struct geometry *g, uint64_t block)
{
	return (struct guest_part){bat_guest_offset(g, block), bat_guest_length(g, block), 0};
}

static void add_partial(struct partial_blocks *partial, const struct guest_part *block,
			const struct block_loss *loss)
{
	if (!partial->count++)
		partial->part.offset = block->offset;
	partial->part.length = block->offset + block->length - partial->part.offset;
	partial->part.loss_bytes += block->length;
	partial->loss.lost += loss->lost;
	partial->loss.doubtful += loss->doubtful;
	partial->lost_blocks += loss->lost != 0;
}

void vhdx_bat_loss_add(struct bat_loss *all, const struct geometry *g, uint64_t block,
		       const struct block_loss *loss, bool is_partial)
{
	struct guest_part part = vhdx_guest_part(g, block);

	all->lost_bytes += loss->lost;
	all->doubtful_bytes += loss->doubtful;
	all->lost_blocks += loss->lost != 0;
	if (is_partial)
		add_partial(&all->partial, &part, loss);
}

void vhdx_bat_loss_bitmap(struct bat_loss *all, bool is_lost)
{
	const struct partial_blocks *partial = &all->partial;
	uint64_t others = partial->part.loss_bytes - partial->loss.lost;

	if (is_lost) {
		all->lost_bytes += others;
		all->doubtful_bytes -= partial->loss.doubtful;
		all->lost_blocks += partial->count - partial->lost_blocks;
	} else {
		all->doubtful_bytes += others - partial->loss.doubtful;
	}
}

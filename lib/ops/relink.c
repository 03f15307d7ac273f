/* SPDX-License-Identifier: MIT */
/* Changing what a child that is open for writing says of its parent (F 8). */
#include "base/cleanup.h"
#include "base/rules.h"
#include "meta/newitems.h"
#include "ops/link.h"
#include "ops/relink.h"
#include "vdisk/writer.h"

int vhdx_relink(struct vhdx *child, const struct locator_pair *changes, unsigned count)
{
	auto_free void *item = NULL;
	size_t size = 0;
	int ret = vhdx_link_change(&child->image.locator, changes, count, &item, &size);

	if (!ret)
		ret = vhdx_gate_pass(child, GATE_METADATA);
	if (ret)
		return ret;
	struct item_change change = {
		.id = ITEM_PARENT_LOCATOR,
		.flags = ITEM_IS_REQUIRED,
		.bytes = item,
		.length = (uint32_t)size,
	};
	struct writer *writer = child->writer;

	ret = vhdx_items_change(&child->image, &writer->journal, &writer->areas, &change, 1);
	if (ret || !OBEYS(RULE_LINK_DURABLE))
		return ret;
	return vhdx_journal_commit(&writer->journal);
}

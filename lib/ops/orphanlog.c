/* SPDX-License-Identifier: MIT */
/* A log of which no header tells any more where it is, and whether it must be replayed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "meta/replay.h"
#include "ops/claims.h"
#include "ops/logeffect.h"
#include "ops/orphanlog.h"
#include "store/io.h"

/* A log is looked for this far into the file: it is the first thing that is made. */
#define MAX_SEARCHED (64 * MIB)

#define PIECE_SIZE (64 * KIB)

/* ---- where it is ---- */

struct look {
	const struct image *image;
	struct claims claims;
	uint8_t *piece;
};

enum mib_contents {
	MIB_ZERO,
	MIB_ENTRIES,
	MIB_OTHER,
};

static bool has_entry(const uint8_t *piece)
{
	for (uint64_t at = 0; at < PIECE_SIZE; at += LOG_SECTOR_SIZE)
		if (!memcmp(piece + at, LOG_ENTRY_SIGNATURE, sizeof(LOG_ENTRY_SIGNATURE) - 1))
			return true;
	return false;
}

static int look_at(const struct look *look, uint64_t offset, enum mib_contents *ret_contents)
{
	enum mib_contents contents = MIB_ZERO;

	for (uint64_t at = 0; at < MIB && contents != MIB_ENTRIES; at += PIECE_SIZE) {
		int ret = vhdx_io_read(look->image->file, look->piece, PIECE_SIZE, offset + at);

		if (ret)
			return vhdx_fail_io(ret, look->image->name, offset + at, "cannot be read");
		if (has_entry(look->piece))
			contents = MIB_ENTRIES;
		else if (!vhdx_is_zeros(look->piece, PIECE_SIZE))
			contents = MIB_OTHER;
	}
	*ret_contents = contents;
	return 0;
}

static bool is_free(const struct look *look, uint64_t offset)
{
	return vhdx_space_map_find(&look->claims.space, offset, true) > offset;
}

/*
 * The first run of free MiB that hold entries. While it is not known where the blocks are, only the usual
 * place will do: what looks like a log elsewhere may be that of an image inside this one.
 */
static int look_for_entries(const struct look *look, struct log_place *ret_place)
{
	uint64_t limit = look->image->known & VHDX_KNOWN_GEOMETRY ? MAX_SEARCHED
								  : HEADER_SECTION_SIZE + MIB;
	uint64_t end = min_u64(round_down(look->claims.size, MIB), limit);
	struct log_place place = {0};

	for (uint64_t at = HEADER_SECTION_SIZE; at < end; at += MIB) {
		enum mib_contents contents = MIB_OTHER;
		int ret = is_free(look, at) ? look_at(look, at, &contents) : 0;

		if (ret)
			return ret;
		if (contents == MIB_ENTRIES && !place.length)
			place.offset = at;
		if (contents == MIB_ENTRIES)
			place.length = (uint32_t)(at + MIB - place.offset);
		else if (place.length)
			break;
	}
	*ret_place = place;
	return 0;
}

static int find(const struct look *look, struct log_place *ret_place)
{
	enum mib_contents contents = MIB_OTHER;
	int ret = look_for_entries(look, ret_place);

	if (ret || ret_place->length)
		return ret;
	if (look->claims.size >= HEADER_SECTION_SIZE + MIB && is_free(look, HEADER_SECTION_SIZE))
		ret = look_at(look, HEADER_SECTION_SIZE, &contents);
	if (!ret && contents == MIB_ZERO)
		*ret_place = (struct log_place){.offset = HEADER_SECTION_SIZE, .length = MIB};
	return ret;
}

int vhdx_find_orphan_log(const struct image *image, struct log_place *ret_place)
{
	auto_free uint8_t *piece = malloc(PIECE_SIZE);
	struct look look = {.image = image, .piece = piece};

	if (!piece)
		return vhdx_fail_memory();
	int ret = vhdx_claims_make(image, &look.claims);

	if (ret)
		return ret;
	ret = find(&look, ret_place);
	vhdx_claims_free(&look.claims);
	return ret;
}

/* ---- what it says ---- */

struct judgement {
	const struct image *image;
	struct log_effect effect;
	unsigned complete;
	unsigned changing;
	struct vhdx_guid guid; /* of the last complete session that changes something */
};

/* A file that grows by zeros reads as before; a session that may not be replayed is not harmless. */
static int judge_session(void *opaque, const struct log_place *session, const struct log_scan *scan)
{
	struct judgement *judgement = opaque;
	struct fault fault = {0};
	struct vhdx_io view; /* the session replayed */
	uint64_t size;

	if (!scan->active_count || guid_is_zero(&session->guid))
		return 0;
	int ret = vhdx_replay_view(judgement->image->file, judgement->image->file_size, session,
				   scan, &view, &size, &fault);

	if (!ret) {
		ret = vhdx_log_changes_anything(&judgement->effect, &view, session, scan);
		vhdx_io_close(&view);
	} else if (ret == -EUCLEAN && fault.problem) {
		ret = 1;
	}
	if (ret < 0)
		return ret;
	judgement->complete++;
	if (ret) {
		judgement->changing++;
		judgement->guid = session->guid;
	}
	return 0;
}

int vhdx_judge_orphan_log(const struct image *image, const struct log_place *place,
			  enum orphan_verdict *ret_verdict, struct vhdx_guid *ret_guid)
{
	struct judgement judgement = {.image = image,
				      .effect = {.file = image->file, .name = image->name}};
	int ret = place->length
			  ? vhdx_log_walk_sessions(image->file, place, judge_session, &judgement)
			  : 0;

	if (ret)
		return ret;
	*ret_guid = (struct vhdx_guid){{0}};
	*ret_verdict = ORPHAN_CLOSED;
	if (judgement.changing)
		*ret_verdict = judgement.complete == 1 ? ORPHAN_OPEN : ORPHAN_UNCLEAR;
	if (*ret_verdict == ORPHAN_OPEN)
		*ret_guid = judgement.guid;
	return 0;
}

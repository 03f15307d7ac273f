/* SPDX-License-Identifier: MIT */
/*
 * What is free may be dropped, so doubt refuses: a file system that a journal or a check would change first,
 * and features that may give "free" another meaning. libext2fs has looked at checksum, revision and features.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <et/com_err.h>

#include "cleanup.h"
#include "ext2super.h"

/* As mke2fs has it; smaller groups would only make more of them. */
#define GROUP_BLOCKS_MIN 256

#define KNOWN_RO_COMPAT \
	(EXT2_LIB_FEATURE_RO_COMPAT_SUPP | 0x0004 /* BTREE_DIR, of old; says nothing of space */)

int ext2_distrust(struct ext2_why *why, int errnum, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return errnum;
}

int ext2_distrust_code(struct ext2_why *why, errcode_t code, const char *what)
{
	if (code == EIO) {
		why->text[0] = 0;
		return -EIO;
	}
	if (code == EXT2_ET_NO_MEMORY)
		return ext2_distrust(why, -ENOMEM, "cannot be read: out of memory");
	if (code == EXT2_ET_UNSUPP_FEATURE)
		return ext2_distrust(why, -ENOTSUP, "has features that are not known here");
	initialize_ext2_error_table();
	return ext2_distrust(why, -EUCLEAN, "is damaged: %s: %s", what, error_message(code));
}

/* The size of a cluster's or descriptor's number of bits is as libext2fs read it: anything. */
static bool has_sane_groups(ext2_filsys fs)
{
	const struct ext2_super_block *super = fs->super;
	uint64_t blocks = ext2fs_blocks_count(fs->super);
	uint64_t per_group = super->s_blocks_per_group;
	int bits = fs->cluster_ratio_bits;

	if (bits < 0 || bits > 20 || (bits && !ext2fs_has_feature_bigalloc(fs->super)))
		return false;
	uint64_t clusters = per_group >> bits;

	if (clusters << bits != per_group || per_group < GROUP_BLOCKS_MIN || clusters % 8 ||
	    !clusters || clusters > (uint64_t)fs->blocksize * 8)
		return false;
	uint64_t groups = (blocks - super->s_first_data_block + per_group - 1) / per_group;

	return groups == fs->group_desc_count && fs->inode_blocks_per_group <= per_group;
}

static bool has_sane_descriptors(ext2_filsys fs)
{
	unsigned size = (unsigned)EXT2_DESC_SIZE(fs->super);
	unsigned least = ext2fs_has_feature_64bit(fs->super) ? sizeof(struct ext4_group_desc)
							     : sizeof(struct ext2_group_desc);

	return size >= least && size <= fs->blocksize && !(size & (size - 1));
}

static int judge_sizes(ext2_filsys fs, uint64_t size_bytes, struct ext2_why *ret_why)
{
	unsigned block_size = fs->blocksize;
	uint64_t blocks = ext2fs_blocks_count(fs->super);
	uint64_t first = fs->super->s_first_data_block;

	if (block_size < EXT2_MIN_BLOCK_SIZE || block_size > EXT2_MAX_BLOCK_SIZE ||
	    block_size & (block_size - 1))
		return ext2_distrust(ret_why, -EUCLEAN, "is damaged: blocks of %u bytes",
				     block_size);
	if (blocks > size_bytes / block_size)
		return ext2_distrust(ret_why, -EUCLEAN, "reaches past the end of where it lies");
	/* The numbers of clusters would count from elsewhere. */
	if (first >= blocks || first > 1 || (first && ext2fs_has_feature_bigalloc(fs->super)) ||
	    !has_sane_groups(fs) || !has_sane_descriptors(fs))
		return ext2_distrust(ret_why, -EUCLEAN,
				     "is damaged: its superblock contradicts itself");
	return 0;
}

static int judge_state(const struct ext2_super_block *super, struct ext2_why *ret_why)
{
	if (super->s_feature_ro_compat & ~(uint32_t)KNOWN_RO_COMPAT)
		return ext2_distrust(ret_why, -ENOTSUP, "has features that are not known here");
	if (super->s_state & EXT2_ERROR_FS)
		return ext2_distrust(ret_why, -EBUSY, "is marked as having errors");
	if (super->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
		return ext2_distrust(ret_why, -EBUSY,
				     "was not unmounted: its journal must be replayed");
	if (!(super->s_state & EXT2_VALID_FS))
		return ext2_distrust(ret_why, -EBUSY, "was not unmounted cleanly");
	if (super->s_state & EXT3_ORPHAN_FS ||
	    super->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT)
		return ext2_distrust(ret_why, -EBUSY,
				     "was not unmounted: it has deleted files to be freed");
	return 0;
}

/* Multiple mount protection: hosts that share a disk mark it as theirs. */
static int judge_mounts(ext2_filsys fs, struct ext2_why *ret_why)
{
	uint64_t block = fs->super->s_mmp_block;
	auto_free struct mmp_struct *mmp = malloc(fs->blocksize);

	if (!mmp)
		return ext2_distrust_code(ret_why, EXT2_ET_NO_MEMORY, "");
	if (block <= fs->super->s_first_data_block || block >= ext2fs_blocks_count(fs->super))
		return ext2_distrust(ret_why, -EUCLEAN,
				     "is damaged: no block for mount protection");
	errcode_t code = io_channel_read_blk64(fs->io, block, 1, mmp);

	if (code)
		return ext2_distrust_code(ret_why, code, "reading its mount protection");
	if (ext2fs_le32_to_cpu(mmp->mmp_magic) != EXT4_MMP_MAGIC ||
	    !ext2fs_mmp_csum_verify(fs, mmp))
		return ext2_distrust(ret_why, -EUCLEAN, "is damaged: its mount protection is void");
	if (ext2fs_le32_to_cpu(mmp->mmp_seq) != EXT4_MMP_SEQ_CLEAN)
		return ext2_distrust(ret_why, -EBUSY,
				     "is in use on another host, or was not unmounted there");
	return 0;
}

int ext2_judge(ext2_filsys fs, uint64_t size_bytes, struct ext2_why *ret_why)
{
	int ret = judge_sizes(fs, size_bytes, ret_why);

	if (!ret)
		ret = judge_state(fs->super, ret_why);
	if (!ret && ext2fs_has_feature_mmp(fs->super))
		ret = judge_mounts(fs, ret_why);
	return ret;
}

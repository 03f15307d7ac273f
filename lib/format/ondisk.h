/* SPDX-License-Identifier: MIT */
/* Every on-disk structure of the format, field by field, with its fixed places, GUIDs and limits. */
#ifndef VHDX_FORMAT_ONDISK_H
#define VHDX_FORMAT_ONDISK_H

#include <stddef.h>

#include <vhdx.h>

#include "base/arith.h"
#include "base/le.h"

/* ---- F 1: fixed places ---- */

#define IDENTIFIER_OFFSET     ((uint64_t)0)
#define HEADER_1_OFFSET	      (64 * KIB)
#define HEADER_2_OFFSET	      (128 * KIB)
#define REGION_TABLE_1_OFFSET (192 * KIB)
#define REGION_TABLE_2_OFFSET (256 * KIB)
#define HEADER_SECTION_SIZE   (1 * MIB) /* everything else lies behind it */

static inline uint64_t header_offset(unsigned slot)
{
	return slot ? HEADER_2_OFFSET : HEADER_1_OFFSET;
}

static inline uint64_t region_table_offset(unsigned copy)
{
	return copy ? REGION_TABLE_2_OFFSET : REGION_TABLE_1_OFFSET;
}

/* ---- Limits that a number from a file must meet before it is used ---- */

#define MAX_REGIONS	2047u	    /* F 3 */
#define MAX_ITEMS	2047u	    /* F 5 */
#define MAX_USER_ITEMS	1024u	    /* F 5 */
#define MAX_ITEM_LENGTH (1 * MIB)   /* F 5 */
#define MIN_BLOCK_SIZE	(1 * MIB)   /* F 5 */
#define MAX_BLOCK_SIZE	(256 * MIB) /* F 5 */
#define MAX_DISK_SIZE	(64 * TIB)  /* F 5 */

/* Limits of ours, where the format has none; Microsoft's parser has the first three too. */
#define MAX_LOG_LENGTH	  (1 * GIB) /* of a log that is searched */
#define MAX_LOCATOR_PAIRS 256u
#define MAX_CHAIN_DEPTH	  256u
#define MAX_CHAIN_MEMORY  (24 * MIB)  /* that the metadata of all images of a chain takes */
#define MAX_LOG_CHANGES	  (1u << 18)  /* descriptors of an active sequence: a full log of pages */
#define MAX_MAPPED_FILE	  (128 * TIB) /* as far as space is mapped: twice the largest disk */

/* ---- F 1.1: file type identifier ---- */

#define IDENTIFIER_SIGNATURE "vhdxfile"
#define CREATOR_SIZE	     512u

struct identifier_disk {
	char signature[8];	       /*   0 */
	uint8_t creator[CREATOR_SIZE]; /*   8: UTF-16LE */
};
_Static_assert(sizeof(struct identifier_disk) == 520, "F 1.1");

/* ---- F 2: header ---- */

#define HEADER_SIGNATURE "head"
#define HEADER_SIZE	 4096u
#define HEADER_VERSION	 1u

struct header_disk {
	char signature[4];		  /*  0 */
	struct le32 checksum;		  /*  4: of all 4096 bytes */
	struct le64 sequence_number;	  /*  8 */
	struct vhdx_guid file_write_guid; /* 16 */
	struct vhdx_guid data_write_guid; /* 32 */
	struct vhdx_guid log_guid;	  /* 48: zero when there is nothing to replay */
	struct le16 log_version;	  /* 64 */
	struct le16 version;		  /* 66 */
	struct le32 log_length;		  /* 68 */
	struct le64 log_offset;		  /* 72 */
	uint8_t reserved[4016];		  /* 80 */
};
_Static_assert(sizeof(struct header_disk) == HEADER_SIZE, "F 2");
_Static_assert(offsetof(struct header_disk, log_guid) == 48, "F 2");
_Static_assert(offsetof(struct header_disk, log_offset) == 72, "F 2");

/* ---- F 3: region table ---- */

#define REGION_SIGNATURE  "regi"
#define REGION_TABLE_SIZE (64 * KIB)
#define REGION_REQUIRED	  0x1u

struct region_entry_disk {
	struct vhdx_guid guid;	 /*  0 */
	struct le64 file_offset; /* 16 */
	struct le32 length;	 /* 24 */
	struct le32 required;	 /* 28: bit 0 */
};
_Static_assert(sizeof(struct region_entry_disk) == 32, "F 3");

struct region_table_disk {
	char signature[4];			       /*  0 */
	struct le32 checksum;			       /*  4: of all 65536 bytes */
	struct le32 entry_count;		       /*  8 */
	struct le32 reserved;			       /* 12 */
	struct region_entry_disk entries[MAX_REGIONS]; /* 16 */
	uint8_t tail[16];			       /* 65520 */
};
_Static_assert(sizeof(struct region_table_disk) == REGION_TABLE_SIZE, "F 3");
_Static_assert(offsetof(struct region_table_disk, entries) == 16, "F 3");

/* ---- F 4: log ---- */

#define LOG_SECTOR_SIZE	     4096u
#define LOG_ENTRY_SIGNATURE  "loge"
#define LOG_ZERO_SIGNATURE   "zero"
#define LOG_DATA_SIGNATURE   "desc"
#define LOG_SECTOR_SIGNATURE "data"
#define LOG_FIRST_TARGET     REGION_TABLE_1_OFFSET /* what lies before is never logged */

struct log_entry_disk {
	char signature[4];		 /*  0 */
	struct le32 checksum;		 /*  4: of entry_length bytes, over the wrap */
	struct le32 entry_length;	 /*  8 */
	struct le32 tail;		 /* 12: from the start of the log */
	struct le64 sequence_number;	 /* 16 */
	struct le32 descriptor_count;	 /* 24 */
	struct le32 reserved;		 /* 28 */
	struct vhdx_guid log_guid;	 /* 32 */
	struct le64 flushed_file_offset; /* 48 */
	struct le64 last_file_offset;	 /* 56 */
};
_Static_assert(sizeof(struct log_entry_disk) == 64, "F 4.1");
_Static_assert(offsetof(struct log_entry_disk, flushed_file_offset) == 48, "F 4.1");

/* Both kinds; the first 16 bytes after the signature depend on it. */
struct log_descriptor_disk {
	char signature[4]; /*  0: zero or data */
	union {
		struct {
			struct le32 reserved;	 /*  4 */
			struct le64 zero_length; /*  8 */
		} zero;
		struct {
			uint8_t trailing_bytes[4]; /*  4: bytes 4092 to 4095 of the page */
			uint8_t leading_bytes[8];  /*  8: bytes 0 to 7 of the page */
		} data;
	};
	struct le64 file_offset;     /* 16 */
	struct le64 sequence_number; /* 24 */
};
_Static_assert(sizeof(struct log_descriptor_disk) == 32, "F 4.1");
_Static_assert(offsetof(struct log_descriptor_disk, data.leading_bytes) == 8, "F 4.1");
_Static_assert(offsetof(struct log_descriptor_disk, file_offset) == 16, "F 4.1");

#define LOG_LEADING_SIZE  8u
#define LOG_MIDDLE_SIZE	  4084u
#define LOG_TRAILING_SIZE 4u

struct log_sector_disk {
	char signature[4];	       /*    0 */
	struct le32 sequence_high;     /*    4 */
	uint8_t data[LOG_MIDDLE_SIZE]; /*    8: bytes 8 to 4091 of the page */
	struct le32 sequence_low;      /* 4092 */
};
_Static_assert(sizeof(struct log_sector_disk) == LOG_SECTOR_SIZE, "F 4.1");
_Static_assert(LOG_LEADING_SIZE + LOG_MIDDLE_SIZE + LOG_TRAILING_SIZE == LOG_SECTOR_SIZE, "F 4.1");

/* ---- F 5: metadata ---- */

#define METADATA_SIGNATURE  "metadata"
#define METADATA_TABLE_SIZE (64 * KIB)

#define ITEM_IS_USER	     0x1u
#define ITEM_IS_VIRTUAL_DISK 0x2u
#define ITEM_IS_REQUIRED     0x4u
#define ITEM_ALL_FLAGS	     0x7u

struct metadata_entry_disk {
	struct vhdx_guid item_id; /*  0 */
	struct le32 offset;	  /* 16: from the start of the region */
	struct le32 length;	  /* 20 */
	struct le32 flags;	  /* 24 */
	struct le32 reserved;	  /* 28 */
};
_Static_assert(sizeof(struct metadata_entry_disk) == 32, "F 5");

struct metadata_table_disk {
	char signature[8];			       /*  0 */
	struct le16 reserved;			       /*  8 */
	struct le16 entry_count;		       /* 10 */
	uint8_t reserved2[20];			       /* 12 */
	struct metadata_entry_disk entries[MAX_ITEMS]; /* 32 */
};
_Static_assert(sizeof(struct metadata_table_disk) == METADATA_TABLE_SIZE, "F 5");
_Static_assert(offsetof(struct metadata_table_disk, entries) == 32, "F 5");

#define PARAMETER_LEAVE_BLOCKS_ALLOCATED 0x1u
#define PARAMETER_HAS_PARENT		 0x2u
#define PARAMETER_ALL_FLAGS		 0x3u

struct file_parameters_disk {
	struct le32 block_size; /* 0 */
	struct le32 flags;	/* 4 */
};
_Static_assert(sizeof(struct file_parameters_disk) == 8, "F 5");

/* ---- F 6: BAT ---- */

#define BAT_ENTRY_SIZE 8u

enum block_state {
	BLOCK_NOT_PRESENT = 0,
	BLOCK_UNDEFINED = 1,
	BLOCK_ZERO = 2,
	BLOCK_UNMAPPED = 3,
	BLOCK_RESERVED_4 = 4,
	BLOCK_UNMAPPED_OLD = 5, /* UNMAPPED of version 0.95 */
	BLOCK_FULLY_PRESENT = 6,
	BLOCK_PARTIALLY_PRESENT = 7,
};

enum bitmap_state {
	BITMAP_NOT_PRESENT = 0,
	BITMAP_PRESENT = 6,
};

#define BAT_STATE_MASK	  ((uint64_t)0x7)
#define BAT_RESERVED_MASK ((uint64_t)0xffff8)

static inline unsigned bat_entry_state(uint64_t entry)
{
	return entry & BAT_STATE_MASK;
}

static inline uint64_t bat_entry_reserved(uint64_t entry)
{
	return entry & BAT_RESERVED_MASK;
}

/* In bytes: a multiple of 1 MiB up to 2^64 - 1 MiB. */
static inline uint64_t bat_entry_offset(uint64_t entry)
{
	return entry & ~(MIB - 1);
}

/* @file_offset is a multiple of 1 MiB. */
static inline uint64_t bat_entry_make(unsigned state, uint64_t file_offset)
{
	return file_offset | state;
}

/* ---- F 7: sector bitmap ---- */

#define BITMAP_BLOCK_SIZE (1 * MIB)
#define CHUNK_SECTORS	  ((uint64_t)1 << 23) /* bits of a bitmap block */

/* ---- F 8: parent locator ---- */

struct locator_disk {
	struct vhdx_guid type;	     /*  0 */
	struct le16 reserved;	     /* 16 */
	struct le16 key_value_count; /* 18 */
};
_Static_assert(sizeof(struct locator_disk) == 20, "F 8");

struct locator_pair_disk {
	struct le32 key_offset;	  /*  0: from the start of the item */
	struct le32 value_offset; /*  4 */
	struct le16 key_length;	  /*  8: in bytes */
	struct le16 value_length; /* 10 */
};
_Static_assert(sizeof(struct locator_pair_disk) == 12, "F 8");

/* ---- F 0: GUIDs, in the byte order of the disk ---- */

/* clang-format off */
#define GUID(...) ((struct vhdx_guid){{__VA_ARGS__}})

#define REGION_BAT \
	GUID(0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08)
#define REGION_METADATA \
	GUID(0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e)
#define ITEM_FILE_PARAMETERS \
	GUID(0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b)
#define ITEM_VIRTUAL_DISK_SIZE \
	GUID(0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8)
#define ITEM_VIRTUAL_DISK_ID \
	GUID(0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46)
#define ITEM_LOGICAL_SECTOR_SIZE \
	GUID(0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f)
#define ITEM_PHYSICAL_SECTOR_SIZE \
	GUID(0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56)
#define ITEM_PARENT_LOCATOR \
	GUID(0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c)
#define ITEM_INCOMPLETE_MARKER \
	GUID(0xf0, 0x85, 0xcc, 0x71, 0x69, 0x1b, 0x28, 0x4e, 0x95, 0x58, 0xc3, 0xbf, 0x83, 0xae, 0x75, 0xd3)
#define LOCATOR_TYPE_VHDX \
	GUID(0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13)
/* clang-format on */

#endif

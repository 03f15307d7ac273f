/* SPDX-License-Identifier: MIT */
/*
 * What an input of a fuzz target is: a base image, and records that damage it or are done with it. Bytes of
 * any kind are some input. corpus/make.py writes the same form, mutate.c changes it.
 *
 *   byte 0: the base's number (4 bits), flags of the target (3 bits), MEND
 *   then records: kind (2 bits) | layer (2 bits) | area (4 bits), offset (24 bits), length (8 bits), payload
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "fuzz/base.h"

#define INPUT_BASE   0x0fu
#define INPUT_FLAGS  0x70u
#define INPUT_FLAG_1 0x10u
#define INPUT_FLAG_2 0x20u
#define INPUT_FLAG_3 0x40u
#define INPUT_MEND   0x80u /* make the checksums right after all damage */

#define RECORD_HEAD 5u

enum record_kind {
	RECORD_BYTES,  /* the payload replaces what is there */
	RECORD_VALUE,  /* a number that means something in this image: struct record_value */
	RECORD_LOG,    /* a valid log entry, whatever it says: see input.c */
	RECORD_ACTION, /* area ACTION_SIZE: the file's size, in sectors of 512; else the target's */
};

#define ACTION_SIZE 15u

/* Where a record's offset counts from. */
enum input_area {
	AREA_IDENTIFIER,
	AREA_HEADER_1,
	AREA_HEADER_2,
	AREA_TABLE_1,
	AREA_TABLE_2,
	AREA_LOG,
	AREA_METADATA,
	AREA_ITEMS, /* behind the table */
	AREA_BAT,
	AREA_BLOCK_ENTRY, /* the BAT entry of a block that is not NOT_PRESENT; offset / 8 chooses */
	AREA_BITMAP,	  /* the first */
	AREA_BITMAP_ENTRY, /* of the first chunk that has a bitmap */
	AREA_LOCATOR,
	AREA_LOG_ENTRY, /* offset / 4096 chooses among what looks like one */
	AREA_ITEM,	/* the value of an item; offset / 4096 chooses */
	AREA_PAYLOAD,	/* of a block with space; offset / 65536 chooses */
	AREAS,
};

/* What a value begins with; a small number of units is added. */
enum input_symbol {
	SYMBOL_NUMBER, /* the argument */
	SYMBOL_POWER,  /* 2 to the argument */
	SYMBOL_MINUS,  /* minus the argument */
	SYMBOL_FILE_SIZE,
	SYMBOL_LOG,
	SYMBOL_LOG_LENGTH,
	SYMBOL_BAT,
	SYMBOL_BAT_LENGTH,
	SYMBOL_METADATA,
	SYMBOL_METADATA_LENGTH,
	SYMBOL_BLOCK, /* the offset of a block: the argument chooses */
	SYMBOL_BITMAP,
	SYMBOL_BLOCK_SIZE,
	SYMBOL_DISK_SIZE,
	SYMBOL_END,
	SYMBOL_THERE, /* what stands there already */
	SYMBOLS,
};

/* The payload of RECORD_VALUE, a byte each. */
struct record_value {
	uint8_t width;	/* 1, 2, 4 or 8 by its low 2 bits */
	uint8_t symbol; /* modulo SYMBOLS */
	uint8_t argument;
	int8_t delta;
	uint8_t unit; /* 1, 512, 4 KiB or 1 MiB by its low 2 bits */
	uint8_t bits; /* its low 3 are or'ed to the value: states of BAT entries */
};

struct action {
	unsigned kind; /* 0 to 14 */
	unsigned layer;
	uint32_t offset;
	unsigned length;
	const uint8_t *payload; /* of the input */
};

#define MOST_ACTIONS 48u

/* An input, carried out. */
struct fuzz_case {
	const struct base *base;
	struct cow files[MAX_LAYERS];
	unsigned depth;
	unsigned flags; /* INPUT_FLAG_* */
	struct action actions[MOST_ACTIONS];
	unsigned action_count;
};

/* -1 when there is no input: it is empty. */
int fuzz_case_make(enum base_kind kind, const uint8_t *data, size_t size,
		   struct fuzz_case *ret_case);
void fuzz_case_free(struct fuzz_case *fuzz_case);

/* Makes the checksums of headers, region tables and of what looks like a log entry right. */
void fuzz_mend_checksums(struct cow *file, struct area log);

#endif

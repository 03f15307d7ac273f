/* SPDX-License-Identifier: MIT */
/* Damage to the headers, the log and the region tables of a repair_case. */
#ifndef TESTS_SUPPORT_HEADCASE_H
#define TESTS_SUPPORT_HEADCASE_H

#include "support/log.h"
#include "support/repaircase.h"

/* Fields of a header (F 2). */
#define HEAD_NUMBER	 8
#define HEAD_FILE_GUID	 16
#define HEAD_DATA_GUID	 32
#define HEAD_LOG_GUID	 48
#define HEAD_LOG_VERSION 64
#define HEAD_VERSION	 66
#define HEAD_LOG_LENGTH	 68
#define HEAD_LOG_OFFSET	 72

#define BAT_REGION	"2DC27766-F623-4200-9D64-115E9BFD4A08"
#define METADATA_REGION "8B7CA206-4790-4B9A-B8FE-575F050F886E"
#define OTHER_REGION	"FEDCBA98-7654-3210-FEDC-BA9876543210"

static inline uint64_t head(unsigned slot)
{
	return (slot + 1) * 64 * T_KIB;
}

static inline uint64_t regions(unsigned copy)
{
	return (copy + 3) * 64 * T_KIB;
}

/* The slot of the current header, by its number. */
unsigned head_current(const struct repair_case *c);

/* Makes the checksums of headers and region tables fit what stands there. */
void head_fit(struct repair_case *c);

/* Puts a field into both headers, whose checksums fit. */
void head_put(struct repair_case *c, uint64_t field, uint64_t value, unsigned width);

/* Flips bits of one byte. */
void head_flip(struct repair_case *c, uint64_t offset);

void head_zero(struct repair_case *c, uint64_t offset, uint64_t length);

/* Where in table @copy the entry of that GUID is. */
uint64_t region_entry(const struct repair_case *c, unsigned copy, const char *guid);

/* Puts a number into the entry of that GUID in both tables, whose checksums fit. */
void region_put(struct repair_case *c, const char *guid, uint64_t field, uint64_t value,
		unsigned width);

/* Adds an entry behind the last of both tables. */
void region_add(struct repair_case *c, const char *guid, uint64_t offset, uint64_t length,
		uint32_t required);

/* ---- The log ---- */

/* What an entry of the log says. */
struct head_log {
	uint8_t guid; /* of its session: each byte */
	uint64_t position;
	uint64_t tail;
	uint64_t sequence;
	uint64_t flushed; /* 0: the file's size */
	uint64_t last;	  /* 0: the file's size */
};

/* Writes an entry of @count changes into the log, which is where F 2 usually has it. */
void head_log_put(struct repair_case *c, const struct head_log *log,
		  const struct log_change_spec *changes, uint32_t count);

/* Empties the log, and names the session in both headers, or none: 0. */
void head_log_open(struct repair_case *c, uint8_t guid);

/* Moves the first page of the BAT into an entry of the log: the file holds zeros there. */
void head_log_bat(struct repair_case *c, struct head_log log);

#endif

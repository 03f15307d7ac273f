/* SPDX-License-Identifier: MIT */
/*
 * The rules that keep an image whole through a crash, by name, where the code obeys them. A build with
 * VHDX_BREAKABLE, for tests, can break any one of them: whoever relies on a rule can show that it matters.
 */
#ifndef VHDX_BASE_RULES_H
#define VHDX_BASE_RULES_H

#include <stdbool.h>

enum rule {
	NO_RULE = 0,
	/* Starting and stopping the log */
	RULE_ENTRY_BEFORE_HEADER, /* the first entry is durable before a header names its LogGuid */
	RULE_GUIDS_BEFORE_CHANGE, /* the header with the new GUIDs is durable before anything changes */
	RULE_OTHER_HEADER_DURABLE, /* a header is written when the other's last write is durable */
	RULE_SAME_GUIDS,	   /* both headers carry the same GUIDs */
	RULE_STOP_APPLIED,	   /* what was applied is durable before LogGuid becomes zero */
	RULE_CUT_LAST,		   /* the file is cut when a header with LogGuid zero is durable */
	/* Transactions */
	RULE_WHOLE_TRANSACTION, /* one entry holds a transaction */
	RULE_CAPTURE_COPIES,	/* log and apply use the copies that the capture made */
	RULE_KEEP_LOGGED_PAGES, /* a page is dropped when it is neither dirty nor logged */
	RULE_DATA_FIRST,	/* payload that must not be missed is durable before the entry */
	RULE_FLUSH_ENTRY,	/* a commit is over when its entry is durable */
	RULE_JOIN_NEXT_COMMIT,	/* a flush that comes during a commit joins the next one */
	/* Applying, and the space of the log */
	RULE_APPLY_DURABLE,   /* what is applied is durable in the log */
	RULE_APPLY_ORDER,     /* entries are applied in the order of the log */
	RULE_TAIL,	      /* Tail names the oldest entry whose application is not durable */
	RULE_DURABLE_TAIL,    /* free log space is what the Tail of the last durable entry leaves */
	RULE_RESERVED_SECTOR, /* a full log has room for the empty entry that frees it */
	/* Sizes and space */
	RULE_LAST_FILE_OFFSET, /* LastFileOffset is behind every structure */
	RULE_FLUSHED_FILE_OFFSET, /* FlushedFileOffset was the file's size when a completed flush began */
	RULE_FREED_DURABLE,	  /* space is used again when what freed it is durable */
	RULE_PUNCH_BEFORE_FREE, /* freed space is fresh only when it was punched before */
	RULE_CLEAN_RECYCLED,	/* what recycled space held is overwritten */
	RULE_NEW_BITMAP_ZERO,	/* a new bitmap block is zero before its entry is durable */
	RULE_ALL_BITS,		/* a block that becomes PARTIALLY_PRESENT gets all of its bits */
	RULE_HIDE_PARENT,	/* only NOT_PRESENT becomes PARTIALLY_PRESENT */
	/* Tables and sizes */
	RULE_SWITCH_LAST, /* what a new place of the BAT or size shows is durable before the switch */
	RULE_CLEAR_BEHIND_END, /* what a disk grows by reads as zeros before it has that size */
	RULE_TABLES_TOGETHER,  /* one entry changes both region tables */
	/* Errors */
	RULE_NO_SPACE_KEEPS, /* a log write or an apply without space loses no page */
	RULE_FAILURE_STOPS,  /* after a failed flush nothing is written any more */
	/* Merging into a parent */
	RULE_LINK_BOTH,	   /* while a merge runs, the child names the DataWriteGuid of before too */
	RULE_LINK_DURABLE, /* the child names the new one durably before the parent's header has it */
	/* Repair */
	RULE_UNDO_FIRST, /* the undo file is durable before the image changes */
	RULE_UNDO_LAST,	 /* it says that the repair ended when the image is durable */
	RULES,
};

#ifdef VHDX_BREAKABLE
extern enum rule vhdx_broken_rule;
#define OBEYS(rule) (vhdx_broken_rule != (rule))
#else
#define OBEYS(rule) true
#endif

#endif

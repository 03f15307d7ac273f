/* SPDX-License-Identifier: MIT */
/* What a file is that is no VHDX, by what stands in it: another format, an archive, a raw disk. */
#ifndef CLI_FOREIGN_H
#define CLI_FOREIGN_H

#include <stdbool.h>

struct foreign {
	const char *name;   /* with its article: "a qcow2 image" */
	const char *advice; /* what makes a raw disk or a VHDX of it */
	bool is_disk;	    /* its bytes are a disk's: a raw disk, not a format */
};

/* What the file is, by its content. NULL: nothing that is known here, or it cannot be read. */
const struct foreign *foreign_find(const char *path);

/* Does the name's suffix belong to another format? */
bool foreign_suffix(const char *name);

#endif

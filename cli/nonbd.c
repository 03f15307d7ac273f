/* SPDX-License-Identifier: MIT */
/* Stands for nbd.c where the command is built without libnbd. */
#include "nbd.h"
#include "report.h"

int nbdio_open(const char *uri, bool writing, struct vhdx_io *ret_io)
{
	(void)writing;
	(void)ret_io;
	return report_error(uri, "this vhdx was built without NBD");
}

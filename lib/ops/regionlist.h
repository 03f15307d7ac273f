/* SPDX-License-Identifier: MIT */
/* The regions of an image under repair, as its two tables have them, however damaged they are. */
#ifndef VHDX_OPS_REGIONLIST_H
#define VHDX_OPS_REGIONLIST_H

#include "ops/mend.h"

struct region_list {
	struct region *regions; /* room for MAX_REGIONS */
	uint32_t count;
	bool changed;	    /* it is not what the table says that counts */
	uint8_t *tables[2]; /* as they lie */
};

/* Where the regions of a list come from. */
enum region_source {
	REGIONS_VALID,	 /* from the table that counts */
	REGIONS_PROVED,	 /* from both: put together, they fit their checksum */
	REGIONS_TRUSTED, /* from the better one, though its checksum or count is wrong */
};

/* Fills in a list. -ENOMEM, or as the storage fails. To be freed with vhdx_region_list_free. */
int vhdx_region_list_read(const struct image *image, struct region_list *ret_list,
			  enum region_source *ret_source);

void vhdx_region_list_free(struct region_list *list);

/* Behind the header section, inside the file, and not empty. */
bool vhdx_region_lies_in_file(const struct image *image, const struct region *region);

/* Does it lie in the file, on a MiB, and begin with the metadata's signature? Or as the storage fails. */
int vhdx_region_is_metadata(const struct image *image, const struct region *region, bool *ret_is);

/* How often @guid stands in the list; *ret_first, which may be NULL, is the first index. */
uint32_t vhdx_region_list_find(const struct region_list *list, const struct vhdx_guid *guid,
			       uint32_t *ret_first);

/* Takes every entry of its GUID out and puts @region in the first one's place, else at the end, if there is room. */
bool vhdx_region_list_put(struct region_list *list, const struct region *region);

void vhdx_region_list_remove(struct region_list *list, uint32_t index);

/* Told of each entry of either table whose GUID is @guid, or is left of it; not 0 ends the walk. */
typedef int region_visitor(void *opaque, const struct region *region);
int vhdx_region_tables_walk(const struct region_list *list, const struct vhdx_guid *guid,
			    region_visitor *visit, void *opaque);

/* Writes both tables: the list where it changed, else copy @table over the other. As the storage fails. */
int vhdx_region_list_write(const struct repair *repair, const struct region_list *list,
			   unsigned table);

#endif

/* SPDX-License-Identifier: MIT */
/* The parent locator (F 8): bytes to keys and values and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guid.h"
#include "base/utf16.h"
#include "format/locator.h"

struct string_place {
	char name[16]; /* in messages: "key 0" */
	size_t entry;  /* where the table says the rest */
	size_t offset;
	size_t length;
};

static struct string_place place_of(const char *kind, unsigned index, struct le32 offset,
				    struct le16 length)
{
	struct string_place place = {
		.entry = sizeof(struct locator_disk) + index * sizeof(struct locator_pair_disk),
		.offset = le32_get(offset),
		.length = le16_get(length),
	};

	snprintf(place.name, sizeof(place.name), "%s %u", kind, index);
	return place;
}

/* Decodes one string to *@text and moves *@text on behind it. */
static int decode_string(const void *buf, size_t size, const struct string_place *place,
			 char **text, const char **ret_string, struct fault *ret_fault)
{
	if (!place->offset || !place->length || !range_within(place->offset, place->length, size))
		return vhdx_fault_set(
			ret_fault, PROBLEM_LOCATOR_TABLE, place->entry,
			"parent locator: %s is %zu bytes at %zu (expected inside the item's %zu bytes)",
			place->name, place->length, place->offset, size);
	if (place->length % 2)
		return vhdx_fault_set(
			ret_fault, PROBLEM_LOCATOR_STRING, place->entry,
			"parent locator: %s is %zu bytes long (expected an even number)",
			place->name, place->length);
	const char *utf16 = (const char *)buf + place->offset;

	for (size_t i = 0; i < place->length; i += 2)
		if (!utf16[i] && !utf16[i + 1])
			return vhdx_fault_set(ret_fault, PROBLEM_LOCATOR_STRING, place->offset + i,
					      "parent locator: %s holds a NUL (expected none)",
					      place->name);
	if (vhdx_utf16_decode(utf16, place->length, *text))
		return vhdx_fault_set(ret_fault, PROBLEM_LOCATOR_STRING, place->offset,
				      "parent locator: %s is not UTF-16 (expected UTF-16)",
				      place->name);
	*ret_string = *text;
	*text += strlen(*text) + 1;
	return 0;
}

static const struct locator_pair_disk *pairs_of(const void *buf)
{
	return (const struct locator_pair_disk *)((const char *)buf + sizeof(struct locator_disk));
}

static int decode_pair(const void *buf, size_t size, unsigned index, char **text,
		       struct locator *locator, struct fault *ret_fault)
{
	const struct locator_pair_disk *disk = &pairs_of(buf)[index];
	struct string_place key = place_of("key", index, disk->key_offset, disk->key_length);
	struct string_place value =
		place_of("value", index, disk->value_offset, disk->value_length);
	struct locator_pair *pair = &locator->pairs[index];

	locator->has_odd_place |= (key.offset | value.offset) & 1;
	int ret = decode_string(buf, size, &key, text, &pair->key, ret_fault);

	if (!ret)
		ret = decode_string(buf, size, &value, text, &pair->value, ret_fault);
	for (unsigned i = 0; i < index && !ret; i++)
		if (!strcmp(locator->pairs[i].key, pair->key))
			ret = vhdx_fault_set(
				ret_fault, PROBLEM_LOCATOR_DUPLICATE, key.entry,
				"parent locator: key %.64s stands there twice (expected once)",
				pair->key);
	return ret;
}

/* Bytes that all strings take on disk. */
static size_t strings_size(const void *buf, unsigned count)
{
	const struct locator_pair_disk *pairs = pairs_of(buf);
	size_t size = 0;

	for (unsigned i = 0; i < count; i++)
		size += (size_t)le16_get(pairs[i].key_length) + le16_get(pairs[i].value_length);
	return size;
}

int vhdx_locator_decode(const void *buf, size_t size, struct locator *ret_locator,
			struct fault *ret_fault)
{
	const struct locator_disk *disk = buf;

	if (size < sizeof(*disk))
		return vhdx_fault_set(ret_fault, PROBLEM_LOCATOR_TABLE, 0,
				      "parent locator: %zu bytes long (expected at least %zu)",
				      size, sizeof(*disk));
	struct locator locator = {
		.type = disk->type,
		.reserved = le16_get(disk->reserved),
		.count = le16_get(disk->key_value_count),
	};

	if (locator.count > MAX_LOCATOR_PAIRS ||
	    sizeof(*disk) + locator.count * sizeof(struct locator_pair_disk) > size)
		return vhdx_fault_set(
			ret_fault, PROBLEM_LOCATOR_TABLE,
			offsetof(struct locator_disk, key_value_count),
			"parent locator: KeyValueCount is %u (expected at most %u, within the item's %zu bytes)",
			locator.count, MAX_LOCATOR_PAIRS, size);
	size_t strings = strings_size(buf, locator.count);

	if (strings > MAX_ITEM_LENGTH) /* strings may share bytes, but not so as to fill memory */
		return vhdx_fault_set(
			ret_fault, PROBLEM_LOCATOR_TABLE, sizeof(*disk),
			"parent locator: strings of %zu bytes in all (expected at most %" PRIu64
			")",
			strings, MAX_ITEM_LENGTH);
	locator.pairs = calloc(locator.count + 1u, sizeof(*locator.pairs));
	locator.text_size = UTF8_SIZE(strings / 2) + 2 * (size_t)locator.count;
	locator.text = malloc(locator.text_size);
	int ret = locator.pairs && locator.text ? 0 : vhdx_fail_memory();
	char *text = locator.text;

	for (unsigned i = 0; i < locator.count && !ret; i++)
		ret = decode_pair(buf, size, i, &text, &locator, ret_fault);
	if (ret)
		vhdx_locator_free(&locator);
	else
		*ret_locator = locator;
	return ret;
}

void vhdx_locator_free(struct locator *locator)
{
	free(locator->pairs);
	free(locator->text);
	*locator = (struct locator){0};
}

const char *vhdx_locator_get(const struct locator *locator, const char *key)
{
	for (unsigned i = 0; i < locator->count; i++)
		if (!strcmp(locator->pairs[i].key, key))
			return locator->pairs[i].value;
	return NULL;
}

bool vhdx_locator_has_linkage(const struct locator *locator)
{
	const char *linkage = vhdx_locator_get(locator, KEY_LINKAGE);
	struct vhdx_guid guid;

	return linkage && !vhdx_guid_parse(linkage, &guid);
}

bool vhdx_locator_has_path(const struct locator *locator)
{
	return vhdx_locator_get(locator, KEY_RELATIVE_PATH) ||
	       vhdx_locator_get(locator, KEY_VOLUME_PATH) ||
	       vhdx_locator_get(locator, KEY_WIN32_PATH);
}

bool vhdx_locator_is_usable(const struct locator *locator)
{
	return guid_equal(&locator->type, &LOCATOR_TYPE_VHDX) &&
	       vhdx_locator_has_linkage(locator) && vhdx_locator_has_path(locator);
}

static bool same_string(const void *buf, size_t size, struct le32 a, struct le16 a_length,
			struct le32 b, struct le16 b_length)
{
	size_t length = le16_get(a_length);

	return length == le16_get(b_length) && range_within(le32_get(a), length, size) &&
	       range_within(le32_get(b), length, size) &&
	       !memcmp((const char *)buf + le32_get(a), (const char *)buf + le32_get(b), length);
}

static bool same_pair(const void *buf, size_t size, const struct locator_pair_disk *a,
		      const struct locator_pair_disk *b)
{
	return same_string(buf, size, a->key_offset, a->key_length, b->key_offset, b->key_length) &&
	       same_string(buf, size, a->value_offset, a->value_length, b->value_offset,
			   b->value_length);
}

static bool repeats_another(const void *buf, size_t size, unsigned index)
{
	const struct locator_pair_disk *pairs = pairs_of(buf);

	for (unsigned i = 0; i < index; i++)
		if (same_pair(buf, size, &pairs[i], &pairs[index]))
			return true;
	return false;
}

/* Strings may share bytes with the table, which then cannot change. */
static bool strings_are_behind_table(const void *buf, unsigned count)
{
	const struct locator_pair_disk *pairs = pairs_of(buf);
	size_t end = sizeof(struct locator_disk) + count * sizeof(*pairs);

	for (unsigned i = 0; i < count; i++)
		if (le32_get(pairs[i].key_offset) < end || le32_get(pairs[i].value_offset) < end)
			return false;
	return true;
}

bool vhdx_locator_drop_repeat(void *buf, size_t size)
{
	struct locator_disk *disk = buf;
	struct locator_pair_disk *pairs = (struct locator_pair_disk *)(disk + 1);
	unsigned count = le16_get(disk->key_value_count);
	unsigned index = 1;

	while (index < count && !repeats_another(buf, size, index))
		index++;
	if (index >= count || !strings_are_behind_table(buf, count))
		return false;
	memmove(&pairs[index], &pairs[index + 1], (count - index - 1) * sizeof(*pairs));
	memset(&pairs[count - 1], 0, sizeof(*pairs));
	disk->key_value_count = le16_from((uint16_t)(count - 1));
	return true;
}

/* Appends @text at *@used as UTF-16; its length must fit the table's 16 bits. */
static int encode_string(const char *text, char *buf, size_t size, size_t *used,
			 struct le32 *ret_offset, struct le16 *ret_length)
{
	size_t length;
	int ret = vhdx_utf16_encode(text, buf + *used, size - *used, &length);

	if (ret)
		return ret;
	if (length > UINT16_MAX)
		return -ENAMETOOLONG;
	*ret_offset = le32_from((uint32_t)*used);
	*ret_length = le16_from((uint16_t)length);
	*used += length;
	return 0;
}

int vhdx_locator_encode(const struct locator_pair *pairs, unsigned count, void *ret_buf,
			size_t size, size_t *ret_size)
{
	struct locator_disk disk = {.type = LOCATOR_TYPE_VHDX,
				    .key_value_count = le16_from((uint16_t)count)};
	size_t used = sizeof(disk) + count * sizeof(struct locator_pair_disk);
	char *buf = ret_buf;

	if (count > MAX_LOCATOR_PAIRS || used > size)
		return -ENAMETOOLONG;
	memcpy(buf, &disk, sizeof(disk));
	for (unsigned i = 0; i < count; i++) {
		struct locator_pair_disk pair;
		int ret = encode_string(pairs[i].key, buf, size, &used, &pair.key_offset,
					&pair.key_length);

		if (!ret)
			ret = encode_string(pairs[i].value, buf, size, &used, &pair.value_offset,
					    &pair.value_length);
		if (ret)
			return ret;
		memcpy(buf + sizeof(disk) + i * sizeof(pair), &pair, sizeof(pair));
	}
	*ret_size = used;
	return 0;
}

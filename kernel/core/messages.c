// SPDX-License-Identifier: GPL-2.0-or-later
#include "messages.h"
#include "bytes.h"

/* Where a message may come: before the HELLO of its stream, or after it. */
enum when { EARLY, LATE };

/* What the header names: nothing, a volume, or a volume and a request. */
enum numbers { NONE, VOLUME, TAG };

/* No volume has more, so that no region's number is as high. */
#define REGIONS_MAX	(BRAID_DATA_BYTES_MAX >> BRAID_REGION_SHIFT)

/*
 * struct row - what the header of a type may say
 * @name: for people
 * @body: exact bytes of the body
 * @payload_max: most bytes after it; the least is none
 * @flags: those that may be set
 * @when: before or after HELLO
 * @numbers: those that it carries; the others are 0
 */
static const struct row {
	const char *name;
	u32 body;
	u32 payload_max;
	u8 flags;
	enum when when;
	enum numbers numbers;
} rows[BRAID_MSG_COUNT] = {
	[BRAID_MSG_HELLO] = { "HELLO", BRAID_HELLO_BYTES, 0, 0, EARLY, NONE },
	[BRAID_MSG_STATE] = { "STATE", BRAID_STATE_BYTES, 0, 0, LATE, NONE },
	[BRAID_MSG_VOLUME] = { "VOLUME", BRAID_VOLUME_BYTES, 0, 0, LATE, VOLUME },
	[BRAID_MSG_PING] = { "PING", BRAID_PING_BYTES, 0, 0, LATE, NONE },
	[BRAID_MSG_PONG] = { "PONG", BRAID_PING_BYTES, 0, 0, LATE, NONE },
	[BRAID_MSG_GOODBYE] = { "GOODBYE", 0, 0, 0, LATE, NONE },
	[BRAID_MSG_STABLE] = { "STABLE", BRAID_DATA_BYTES, 0, 0, LATE, VOLUME },
	[BRAID_MSG_TOKEN] = { "TOKEN", BRAID_TOKEN_BYTES, 0, 0, LATE, NONE },
	[BRAID_MSG_REPLY] = { "REPLY", BRAID_REPLY_BYTES, BRAID_PAYLOAD_MAX, BRAID_MF_MORE, LATE,
			      TAG },
	[BRAID_MSG_WRITE] = { "WRITE", BRAID_DATA_BYTES, BRAID_PAYLOAD_MAX,
			      BRAID_MF_FUA | BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_ZEROES] = { "ZEROES", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC | BRAID_MF_UNMAP,
			       LATE, TAG },
	[BRAID_MSG_READ] = { "READ", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_FLUSH] = { "FLUSH", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_CSUM] = { "CSUM", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_MARKS] = { "MARKS", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_DIRTY] = { "DIRTY", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
	[BRAID_MSG_SETTLED] = { "SETTLED", BRAID_DATA_BYTES, 0, BRAID_MF_RESYNC, LATE, TAG },
};

static const char *const result_names[] = {
	[BRAID_MESSAGE_OK] = "no error",
	[BRAID_MESSAGE_MAGIC] = "protocol error: not a message",
	[BRAID_MESSAGE_TYPE] = "protocol error: unknown type",
	[BRAID_MESSAGE_FLAGS] = "protocol error: flags or reserved bytes",
	[BRAID_MESSAGE_LENGTH] = "protocol error: length",
	[BRAID_MESSAGE_EARLY] = "protocol error: out of order",
	[BRAID_MESSAGE_FIELD] = "protocol error: field out of range",
	[BRAID_MESSAGE_CRC] = "protocol error: damaged on the way",
	[BRAID_MESSAGE_WINDOW] = "protocol error: more requests than were granted",
};

const char *braid_message_result_name(enum braid_message_result result)
{
	return result_names[result];
}

const char *braid_message_name(u8 type)
{
	return type < BRAID_MSG_COUNT && rows[type].name ? rows[type].name : "unknown";
}

u32 braid_body_bytes(u8 type)
{
	return type < BRAID_MSG_COUNT ? rows[type].body : 0;
}

static bool zero(const u8 *from, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes; i++)
		if (from[i])
			return false;
	return true;
}

void braid_header_encode(const struct braid_header *header, u8 *to)
{
	braid_put_le16(to, BRAID_WIRE_MAGIC);
	to[2] = header->type;
	to[3] = header->flags;
	braid_put_le16(to + 4, header->volume);
	braid_put_le16(to + 6, 0);
	braid_put_le32(to + 8, header->tag);
	braid_put_le32(to + 12, header->length);
	braid_put_le32(to + BRAID_HEADER_CRC, header->crc);
}

enum braid_message_result braid_header_decode(struct braid_header *header, const u8 *from,
					      bool greeted)
{
	const struct row *row;

	header->type = from[2];
	header->flags = from[3];
	header->volume = braid_get_le16(from + 4);
	header->tag = braid_get_le32(from + 8);
	header->length = braid_get_le32(from + 12);
	header->crc = braid_get_le32(from + BRAID_HEADER_CRC);

	if (braid_get_le16(from) != BRAID_WIRE_MAGIC)
		return BRAID_MESSAGE_MAGIC;
	if (header->type >= BRAID_MSG_COUNT || !rows[header->type].name)
		return BRAID_MESSAGE_TYPE;
	row = &rows[header->type];
	if (row->when != (greeted ? LATE : EARLY))
		return BRAID_MESSAGE_EARLY;
	if (header->flags & ~row->flags || !zero(from + 6, 2) || (header->crc && !greeted))
		return BRAID_MESSAGE_FLAGS;
	if ((row->numbers == NONE && header->volume) || (row->numbers != TAG && header->tag) ||
	    header->tag >= BRAID_WINDOW_REQUESTS_MAX)
		return BRAID_MESSAGE_FIELD;
	if (header->length < row->body || header->length > row->body + row->payload_max)
		return BRAID_MESSAGE_LENGTH;
	return BRAID_MESSAGE_OK;
}

void braid_hello_encode(const struct braid_hello *hello, u8 *to)
{
	memset(to, 0, BRAID_HELLO_BYTES);
	braid_put_le32(to, hello->protocol_min);
	braid_put_le32(to + 4, hello->protocol_max);
	braid_put_le64(to + 16, hello->session);
	braid_put_le32(to + 24, hello->node);
	braid_put_le32(to + 28, hello->peer);
	braid_put_le32(to + 32, hello->window_requests);
	braid_put_le32(to + 36, hello->window_bytes);
	braid_put_le32(to + 40, hello->flags);
	memcpy(to + 48, hello->name, BRAID_NAME_BYTES);
}

/* Ends within its field, with nothing after its end. */
static bool name_ok(const char *name)
{
	u32 end;

	for (end = 0; end < BRAID_NAME_BYTES && name[end];)
		end++;
	return end < BRAID_NAME_BYTES && zero((const u8 *)name + end, BRAID_NAME_BYTES - end);
}

enum braid_message_result braid_hello_decode(struct braid_hello *hello, const u8 *from)
{
	hello->protocol_min = braid_get_le32(from);
	hello->protocol_max = braid_get_le32(from + 4);
	hello->session = braid_get_le64(from + 16);
	hello->node = braid_get_le32(from + 24);
	hello->peer = braid_get_le32(from + 28);
	hello->window_requests = braid_get_le32(from + 32);
	hello->window_bytes = braid_get_le32(from + 36);
	hello->flags = braid_get_le32(from + 40);
	memcpy(hello->name, from + 48, BRAID_NAME_BYTES);
	if (hello->flags & ~BRAID_HELLO_CRC || !zero(from + 8, 8) || !zero(from + 44, 4) ||
	    !zero(from + 112, 48))
		return BRAID_MESSAGE_FLAGS;
	if (!hello->protocol_min || hello->protocol_max < hello->protocol_min ||
	    hello->node >= BRAID_MAX_NODES || hello->peer >= BRAID_MAX_NODES ||
	    !hello->window_requests || hello->window_requests > BRAID_WINDOW_REQUESTS_MAX ||
	    hello->window_bytes < BRAID_PAYLOAD_MAX || !name_ok(hello->name))
		return BRAID_MESSAGE_FIELD;
	return BRAID_MESSAGE_OK;
}

void braid_state_encode(const struct braid_state *state, u8 *to)
{
	memset(to, 0, BRAID_STATE_BYTES);
	memcpy(to, state->lineage, 16);
	braid_put_le64(to + 16, state->epoch);
	braid_put_le64(to + 24, state->id);
	braid_put_le64(to + 32, state->instance);
	braid_put_le64(to + 40, state->last.epoch);
	braid_put_le64(to + 48, state->last.id);
	braid_put_le64(to + 56, state->last.instance);
	braid_put_le32(to + 64, state->flags);
	braid_put_le32(to + 68, state->lease_ms);
	braid_put_le32(to + 72, state->writer);
	braid_put_le64(to + 80, state->stamp);
}

enum braid_message_result braid_state_decode(struct braid_state *state, const u8 *from)
{
	memcpy(state->lineage, from, 16);
	state->epoch = braid_get_le64(from + 16);
	state->id = braid_get_le64(from + 24);
	state->instance = braid_get_le64(from + 32);
	state->last.epoch = braid_get_le64(from + 40);
	state->last.id = braid_get_le64(from + 48);
	state->last.instance = braid_get_le64(from + 56);
	state->flags = braid_get_le32(from + 64);
	state->lease_ms = braid_get_le32(from + 68);
	state->writer = braid_get_le32(from + 72);
	state->stamp = braid_get_le64(from + 80);
	if (state->flags & ~BRAID_STATE_FLAGS || !zero(from + 76, 4))
		return BRAID_MESSAGE_FLAGS;
	if (state->writer >= BRAID_MAX_NODES && state->writer != BRAID_NO_WRITER)
		return BRAID_MESSAGE_FIELD;
	return BRAID_MESSAGE_OK;
}

static bool size_ok(u64 bytes)
{
	return bytes % BRAID_BLOCK_SIZE == 0 && bytes <= BRAID_DATA_BYTES_MAX;
}

void braid_volume_encode(const struct braid_volume_state *volume, u8 *to)
{
	memset(to, 0, BRAID_VOLUME_BYTES);
	braid_put_le64(to, volume->size);
	braid_put_le32(to + 8, volume->block_size);
	braid_put_le32(to + 12, volume->flags);
	braid_put_le32(to + 16, volume->discard_granularity);
	braid_put_le32(to + 20, volume->physical_block_size);
	braid_put_le64(to + 24, volume->volume_bytes);
}

enum braid_message_result braid_volume_decode(struct braid_volume_state *volume, const u8 *from)
{
	volume->size = braid_get_le64(from);
	volume->block_size = braid_get_le32(from + 8);
	volume->flags = braid_get_le32(from + 12);
	volume->discard_granularity = braid_get_le32(from + 16);
	volume->physical_block_size = braid_get_le32(from + 20);
	volume->volume_bytes = braid_get_le64(from + 24);
	if (volume->flags & ~BRAID_VOLUME_FLAGS)
		return BRAID_MESSAGE_FLAGS;
	if (!size_ok(volume->size) || !size_ok(volume->volume_bytes))
		return BRAID_MESSAGE_FIELD;
	if (volume->flags & BRAID_VOLUME_ATTACHED &&
	    volume->block_size != 512 && volume->block_size != 4096)
		return BRAID_MESSAGE_FIELD;
	return BRAID_MESSAGE_OK;
}

void braid_ping_encode(const struct braid_ping *ping, u8 *to)
{
	braid_put_le64(to, ping->time);
	braid_put_le64(to + 8, ping->epoch);
	braid_put_le64(to + 16, ping->id);
	braid_put_le32(to + 24, ping->flags);
	braid_put_le32(to + 28, ping->term_ms);
}

enum braid_message_result braid_ping_decode(struct braid_ping *ping, const u8 *from)
{
	ping->time = braid_get_le64(from);
	ping->epoch = braid_get_le64(from + 8);
	ping->id = braid_get_le64(from + 16);
	ping->flags = braid_get_le32(from + 24);
	ping->term_ms = braid_get_le32(from + 28);
	return ping->flags & ~BRAID_PING_LEASE ? BRAID_MESSAGE_FLAGS : BRAID_MESSAGE_OK;
}

void braid_token_encode(const struct braid_token *token, u8 *to)
{
	memset(to, 0, BRAID_TOKEN_BYTES);
	braid_put_le64(to, token->epoch);
	braid_put_le64(to + 8, token->id);
	braid_put_le64(to + 16, token->grant);
	braid_put_le32(to + 24, token->flags);
}

enum braid_message_result braid_token_decode(struct braid_token *token, const u8 *from)
{
	token->epoch = braid_get_le64(from);
	token->id = braid_get_le64(from + 8);
	token->grant = braid_get_le64(from + 16);
	token->flags = braid_get_le32(from + 24);
	return token->flags & ~BRAID_TOKEN_WITHDRAWN || !zero(from + 28, 4) ? BRAID_MESSAGE_FLAGS :
									      BRAID_MESSAGE_OK;
}

void braid_data_encode(const struct braid_data *data, u8 *to)
{
	braid_put_le64(to, data->epoch);
	braid_put_le64(to + 8, data->id);
	braid_put_le64(to + 16, data->generation);
	braid_put_le64(to + 24, data->stable);
	braid_put_le64(to + 32, data->offset);
	braid_put_le32(to + 40, data->bytes);
	memset(to + 44, 0, 4);
	braid_put_le64(to + 48, data->instance);
}

/* Ranges lie on 512 bytes, are not empty, and lie within one region. */
static bool range_ok(const struct braid_data *data)
{
	return data->bytes && !(data->bytes % 512) && !(data->offset % 512) &&
	       data->offset < BRAID_DATA_BYTES_MAX && data->bytes <= BRAID_REGION_SIZE &&
	       data->offset % BRAID_REGION_SIZE + data->bytes <= BRAID_REGION_SIZE;
}

enum braid_message_result braid_data_decode(struct braid_data *data,
					    const struct braid_header *header, const u8 *from)
{
	u32 payload = header->length - BRAID_DATA_BYTES;

	data->epoch = braid_get_le64(from);
	data->id = braid_get_le64(from + 8);
	data->generation = braid_get_le64(from + 16);
	data->stable = braid_get_le64(from + 24);
	data->offset = braid_get_le64(from + 32);
	data->bytes = braid_get_le32(from + 40);
	data->instance = braid_get_le64(from + 48);
	if (!zero(from + 44, 4) || (data->instance && header->type != BRAID_MSG_DIRTY))
		return BRAID_MESSAGE_FLAGS;
	if (data->generation > BRAID_GENERATION_MAX || data->stable > BRAID_GENERATION_MAX)
		return BRAID_MESSAGE_FIELD;
	/* A write cannot be stable before it is done. */
	if ((header->type == BRAID_MSG_WRITE || header->type == BRAID_MSG_ZEROES) &&
	    data->stable >= data->generation)
		return BRAID_MESSAGE_FIELD;

	switch (header->type) {
	case BRAID_MSG_WRITE:
		if (payload != data->bytes)
			return BRAID_MESSAGE_LENGTH;
		return range_ok(data) ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD;
	case BRAID_MSG_READ:
	case BRAID_MSG_CSUM:
		if (data->bytes > BRAID_PAYLOAD_MAX)
			return BRAID_MESSAGE_FIELD;
		fallthrough;
	case BRAID_MSG_ZEROES:
		return range_ok(data) ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD;
	case BRAID_MSG_DIRTY:
		if (data->bytes >= BRAID_MAX_NODES)
			return BRAID_MESSAGE_FIELD;
		fallthrough;
	case BRAID_MSG_MARKS:
		return data->offset <= REGIONS_MAX ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD;
	case BRAID_MSG_SETTLED:
		return size_ok(data->offset) ? BRAID_MESSAGE_OK : BRAID_MESSAGE_FIELD;
	default:
		return BRAID_MESSAGE_OK;
	}
}

void braid_reply_encode(const struct braid_reply *reply, u8 *to)
{
	braid_put_le32(to, reply->status);
	braid_put_le32(to + 4, 0);
	braid_put_le64(to + 8, reply->next);
}

enum braid_message_result braid_reply_decode(struct braid_reply *reply,
					     const struct braid_header *header, const u8 *from)
{
	reply->status = braid_get_le32(from);
	reply->next = braid_get_le64(from + 8);
	if (!zero(from + 4, 4))
		return BRAID_MESSAGE_FLAGS;
	if (reply->status >= BRAID_STATUS_COUNT || reply->next > REGIONS_MAX)
		return BRAID_MESSAGE_FIELD;
	if (reply->status != BRAID_STATUS_OK && header->length > BRAID_REPLY_BYTES)
		return BRAID_MESSAGE_LENGTH;
	return BRAID_MESSAGE_OK;
}

void braid_mark_encode(u8 *to, u32 region, u32 state, const u8 *bits)
{
	braid_put_le32(to, region);
	braid_put_le32(to + 4, state);
	if (state == BRAID_REGION_LEAF)
		memcpy(to + 8, bits, BRAID_LEAF_BYTES);
	else
		memset(to + 8, 0, BRAID_LEAF_BYTES);
}

bool braid_mark_decode(const u8 *from, u32 *region, u32 *state, const u8 **bits)
{
	*region = braid_get_le32(from);
	*state = braid_get_le32(from + 4);
	*bits = from + 8;
	if (*region >= REGIONS_MAX)
		return false;
	return *state == BRAID_REGION_LEAF ||
	       (*state == BRAID_REGION_ALL && zero(*bits, BRAID_LEAF_BYTES));
}

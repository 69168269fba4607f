/* SPDX-License-Identifier: MIT */
/*
 * frame.c: frames and their pieces; see frame.h.
 *
 * Invariants, between calls:
 *  - total of a first piece is the sum of len over its chain, and only the first piece may have len
 *    0;
 *  - refs of a block is the number of pieces that view it;
 *  - no piece ends behind `used` of its block;
 *  - the view that a block holds views that block, or is idle while others do.
 */
#include "stack/checksum.h"
#include "stack/stack.h"

#define VIEWS_PER_CHUNK 31

struct weir__frame_views {
	struct weir__frame_views *next;
	struct weir__frame view[VIEWS_PER_CHUNK];
};

/* ---- blocks and views ------------------------------------------------------------------------ */

static void view_init(struct weir__frame *view, struct weir__block *block, unsigned char *data,
		      uint32_t len)
{
	view->next = NULL;
	view->queued = NULL;
	view->block = block;
	view->data = data;
	view->len = len;
	view->total = len;
	view->sum = 0;
	view->charged = 0;
	view->flags = 0;
	view->segment_bytes = 0;
	view->checksum_start = 0;
	view->checksum_offset = 0;
}

struct weir__frame *weir__block_init(struct weir__block *block, unsigned char *base, uint32_t size,
				     uint32_t true_bytes, void (*release)(struct weir__block *))
{
	WEIR_STACK_ASSERT(true_bytes >= size && release != NULL);
	block->base = base;
	block->size = size;
	block->true_bytes = true_bytes;
	block->refs = 1;
	block->used = size;
	block->release = release;
	view_init(&block->first, block, base, size);
	return &block->first;
}

void weir__frame_memory_init(struct weir__frame_memory *mem, struct weir__netstack_owner *owner,
			     uint32_t block_bytes, uint64_t *refused)
{
	*mem = (struct weir__frame_memory){ .owner = owner,
					    .block_bytes = block_bytes,
					    .refused = refused };
}

void weir__frame_memory_fini(struct weir__frame_memory *mem)
{
	struct weir__frame_views *chunk;

	WEIR_STACK_ASSERT(mem->views_used == 0);
	while ((chunk = mem->chunks) != NULL) {
		mem->chunks = chunk->next;
		mem->owner->ops->free(mem->owner, chunk, sizeof(*chunk));
	}
	mem->views = NULL;
}

static bool more_views(struct weir__frame_memory *mem)
{
	struct weir__frame_views *chunk = mem->owner->ops->alloc(mem->owner, sizeof(*chunk));

	if (chunk == NULL) {
		(*mem->refused)++;
		return false;
	}
	chunk->next = mem->chunks;
	mem->chunks = chunk;
	for (unsigned i = 0; i < VIEWS_PER_CHUNK; i++) {
		chunk->view[i].next = mem->views;
		mem->views = &chunk->view[i];
	}
	return true;
}

/* Makes another view of bytes of a block. */
static struct weir__frame *view_new(struct weir__frame_memory *mem, struct weir__block *block,
				    unsigned char *data, uint32_t len)
{
	struct weir__frame *view;

	if (mem->views == NULL && !more_views(mem))
		return NULL;
	view = mem->views;
	mem->views = view->next;
	mem->views_used++;
	block->refs++;
	view_init(view, block, data, len);
	return view;
}

static void view_free(struct weir__frame_memory *mem, struct weir__frame *view)
{
	struct weir__block *block = view->block;

	WEIR_STACK_ASSERT(block->refs > 0);
	if (view != &block->first) {
		view->next = mem->views;
		mem->views = view;
		mem->views_used--;
	}
	if (--block->refs == 0)
		block->release(block);
}

static void pieces_free(struct weir__frame_memory *mem, struct weir__frame *piece)
{
	struct weir__frame *next;

	for (; piece != NULL; piece = next) {
		next = piece->next;
		view_free(mem, piece);
	}
}

struct weir__frame *weir__frame_new(struct weir__frame_memory *mem, uint32_t headroom,
				    uint32_t room)
{
	struct weir__frame *frame;

	if (headroom > mem->block_bytes || room > mem->block_bytes - headroom)
		return NULL;
	frame = mem->owner->ops->block_alloc(mem->owner, headroom + room);
	if (frame == NULL) {
		(*mem->refused)++;
		return NULL;
	}
	WEIR_STACK_ASSERT(frame->block->refs == 1 && frame->block->size >= headroom + room);
	frame->data = frame->block->base + headroom;
	frame->len = 0;
	frame->total = 0;
	frame->block->used = headroom;
	return frame;
}

void weir__frame_free(struct weir__frame_memory *mem, struct weir__frame *frame)
{
	WEIR_STACK_ASSERT(frame == NULL || frame->charged == 0);
	pieces_free(mem, frame);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Finds the piece with byte *offset, and makes *offset relative to it. NULL beyond the end. */
static const struct weir__frame *piece_at(const struct weir__frame *frame, uint32_t *offset)
{
	while (frame != NULL && *offset >= frame->len) {
		*offset -= frame->len;
		frame = frame->next;
	}
	return frame;
}

static struct weir__frame *last_piece(struct weir__frame *frame)
{
	while (frame->next != NULL)
		frame = frame->next;
	return frame;
}

uint32_t weir__frame_copy_out(const struct weir__frame *frame, uint32_t offset, void *to,
			      uint32_t len)
{
	const struct weir__frame *piece = piece_at(frame, &offset);
	uint32_t done = 0, part;

	for (; piece != NULL && done < len; piece = piece->next, offset = 0) {
		part = piece->len - offset;
		if (part > len - done)
			part = len - done;
		memcpy((unsigned char *)to + done, piece->data + offset, part);
		done += part;
	}
	return done;
}

const unsigned char *weir__frame_peek(const struct weir__frame *frame, uint32_t offset,
				      uint32_t len, void *scratch)
{
	const struct weir__frame *piece;
	uint32_t at = offset;

	if (WEIR_STACK_LIKELY(offset <= frame->len && len <= frame->len - offset))
		return frame->data + offset;
	if (offset > frame->total || len > frame->total - offset)
		return NULL;
	piece = piece_at(frame, &at);
	if (piece != NULL && len <= piece->len - at)
		return piece->data + at;
	weir__frame_copy_out(frame, offset, scratch, len);
	return scratch;
}

uint32_t weir__frame_true_bytes(const struct weir__frame *frame)
{
	uint32_t bytes = 0;

	for (; frame != NULL; frame = frame->next)
		bytes += frame->block->true_bytes;
	return bytes;
}

unsigned weir__frame_pieces(const struct weir__frame *frame)
{
	unsigned pieces = 0;

	for (; frame != NULL; frame = frame->next)
		pieces++;
	return pieces;
}

static uint32_t piece_sum(const struct weir__frame *piece, uint32_t offset)
{
	if (offset == 0 && piece->flags & WEIR_FRAME_SUMMED)
		return piece->sum;
	return weir__checksum(piece->data + offset, piece->len - offset);
}

uint32_t weir__frame_sum(const struct weir__frame *frame, uint32_t offset)
{
	const struct weir__frame *piece = piece_at(frame, &offset);
	uint32_t sum = 0, part;
	bool odd = false;

	for (; piece != NULL; piece = piece->next, offset = 0) {
		part = piece_sum(piece, offset);
		sum = weir__checksum_add(sum, odd ? weir__checksum_odd(part) : part);
		odd ^= (piece->len - offset) & 1;
	}
	return sum;
}

void weir__frame_sum_pieces(struct weir__frame *frame)
{
	for (; frame != NULL; frame = frame->next) {
		frame->sum = piece_sum(frame, 0);
		frame->flags |= WEIR_FRAME_SUMMED;
	}
}

static void forget_sum(struct weir__frame *piece)
{
	piece->flags &= (uint16_t)~WEIR_FRAME_SUMMED;
}

/* ---- changing ------------------------------------------------------------------------------- */

/* The number of bytes behind a piece into which only this piece can grow. */
static uint32_t room_behind(struct weir__frame *piece)
{
	struct weir__block *block = piece->block;
	uint32_t end = (uint32_t)(piece->data + piece->len - block->base);

	if (block->refs == 1)
		block->used = end;
	return end == block->used ? block->size - end : 0;
}

unsigned char *weir__frame_push(struct weir__frame *frame, uint32_t len)
{
	if (frame->block->refs != 1 || (size_t)(frame->data - frame->block->base) < len)
		return NULL;
	forget_sum(frame);
	frame->data -= len;
	frame->len += len;
	frame->total += len;
	if (frame->flags & WEIR_FRAME_CHECKSUM)
		frame->checksum_start += (uint16_t)len;
	return frame->data;
}

static unsigned char *extend_piece(struct weir__frame *frame, struct weir__frame *last,
				   uint32_t len)
{
	unsigned char *end = last->data + last->len;

	last->len += len;
	last->block->used += len;
	frame->total += len;
	return end;
}

unsigned char *weir__frame_extend(struct weir__frame *frame, uint32_t len)
{
	struct weir__frame *last = last_piece(frame);

	if (room_behind(last) < len)
		return NULL;
	forget_sum(last);
	return extend_piece(frame, last, len);
}

void weir__frame_pull(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t len)
{
	struct weir__frame *piece = frame, *next;
	uint32_t part;

	if (len > frame->total)
		len = frame->total;
	frame->total -= len;
	while (len > 0) {
		part = len < piece->len ? len : piece->len;
		forget_sum(piece);
		piece->data += part;
		piece->len -= part;
		len -= part;
		next = piece->next;
		if (piece->len == 0 && piece != frame) {
			frame->next = next;
			view_free(mem, piece);
		}
		if (len > 0)
			piece = next;
	}
}

void weir__frame_trim(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t len)
{
	struct weir__frame *piece = frame;
	uint32_t left = len;

	if (len >= frame->total)
		return;
	frame->total = len;
	while (left > piece->len) {
		left -= piece->len;
		piece = piece->next;
	}
	if (left < piece->len) {
		forget_sum(piece);
		piece->len = left;
	}
	pieces_free(mem, piece->next);
	piece->next = NULL;
}

void weir__frame_append(struct weir__frame_memory *mem, struct weir__frame *frame,
			struct weir__frame *tail)
{
	struct weir__frame *pieces = tail;

	WEIR_STACK_ASSERT(tail->charged == 0);
	frame->total += tail->total;
	if (tail->len == 0) {
		pieces = tail->next;
		view_free(mem, tail);
	}
	last_piece(frame)->next = pieces;
}

/* Makes a piece inside a chain the first of a frame of its own. */
static void become_first(struct weir__frame *piece, uint32_t total)
{
	piece->queued = NULL;
	piece->total = total;
	piece->charged = 0;
	piece->flags &= WEIR_FRAME_SUMMED;
	piece->segment_bytes = 0;
}

int weir__frame_split(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t at,
		      struct weir__frame **ret_tail)
{
	struct weir__frame *piece = frame, *tail;
	uint32_t left = at;

	WEIR_STACK_ASSERT(at > 0 && at < frame->total);
	while (left > piece->len) {
		left -= piece->len;
		piece = piece->next;
	}
	if (left < piece->len) {
		tail = view_new(mem, piece->block, piece->data + left, piece->len - left);
		if (tail == NULL)
			return -ENOMEM;
		tail->next = piece->next;
		piece->len = left;
		forget_sum(piece);
	} else {
		tail = piece->next;
	}
	piece->next = NULL;
	become_first(tail, frame->total - at);
	frame->total = at;
	*ret_tail = tail;
	return 0;
}

int weir__frame_clone(struct weir__frame_memory *mem, const struct weir__frame *frame,
		      uint32_t offset, uint32_t len, struct weir__frame **ret_clone)
{
	const struct weir__frame *from = frame;
	struct weir__frame *clone = NULL, **end = &clone, *view;
	uint32_t at = offset, left = len, part;

	if (len == 0 || offset > frame->total || len > frame->total - offset)
		return -EINVAL;
	for (from = piece_at(frame, &at); left > 0; from = from->next, at = 0) {
		part = from->len - at < left ? from->len - at : left;
		view = view_new(mem, from->block, from->data + at, part);
		if (view == NULL) {
			pieces_free(mem, clone);
			return -ENOMEM;
		}
		if (part == from->len && from->flags & WEIR_FRAME_SUMMED) {
			view->flags = WEIR_FRAME_SUMMED;
			view->sum = from->sum;
		}
		*end = view;
		end = &view->next;
		left -= part;
	}
	clone->total = len;
	*ret_clone = clone;
	return 0;
}

/* ---- copies --------------------------------------------------------------------------------- */

/* Copies to the end of a piece that has the room, and updates its sum. */
static void fill_piece(struct weir__frame *frame, struct weir__frame *last, const void *from,
		       uint32_t len)
{
	bool summed = last->len == 0 || last->flags & WEIR_FRAME_SUMMED;
	bool odd = last->len & 1;
	uint32_t sum = last->len == 0 ? 0 : last->sum;
	uint32_t part = weir__checksum_copy(extend_piece(frame, last, len), from, len);

	if (summed) {
		last->sum = weir__checksum_add(sum, odd ? weir__checksum_odd(part) : part);
		last->flags |= WEIR_FRAME_SUMMED;
	}
}

/* Allocates empty blocks for len bytes, as a list by next. NULL without memory. */
static struct weir__frame *blocks_for(struct weir__frame_memory *mem, uint32_t len)
{
	struct weir__frame *list = NULL, **end = &list;
	uint32_t want;

	for (;;) {
		want = len < mem->block_bytes ? len : mem->block_bytes;
		*end = weir__frame_new(mem, 0, want);
		if (*end == NULL) {
			pieces_free(mem, list);
			return NULL;
		}
		if (len <= (*end)->block->size)
			return list;
		len -= (*end)->block->size;
		end = &(*end)->next;
	}
}

int weir__frame_copy_in(struct weir__frame_memory *mem, struct weir__frame *frame, const void *from,
			uint32_t len)
{
	struct weir__frame *last = last_piece(frame), *blocks = NULL, *next;
	const unsigned char *at = from;
	uint32_t part = room_behind(last);

	if (part > len)
		part = len;
	if (part < len && (blocks = blocks_for(mem, len - part)) == NULL)
		return -ENOMEM;
	if (part > 0)
		fill_piece(frame, last, at, part);
	for (; blocks != NULL; blocks = next) {
		next = blocks->next;
		blocks->next = NULL;
		last->next = blocks;
		last = blocks;
		at += part;
		len -= part;
		part = len < last->block->size ? len : last->block->size;
		fill_piece(frame, last, at, part);
	}
	return 0;
}

struct heap_block {
	struct weir__block block;
	struct weir__netstack_owner *owner;
	size_t bytes;
	unsigned char data[];
};

static void heap_release(struct weir__block *block)
{
	struct heap_block *heap = WEIR_STACK_CONTAINER(block, struct heap_block, block);

	heap->owner->ops->free(heap->owner, heap, heap->bytes);
}

int weir__frame_copy_room(struct weir__frame_memory *mem, const struct weir__frame *frame,
			  uint32_t room, struct weir__frame **ret_copy)
{
	size_t bytes = sizeof(struct heap_block) + frame->total + room;
	struct heap_block *heap = mem->owner->ops->alloc(mem->owner, bytes);
	struct weir__frame *copy;

	if (heap == NULL) {
		(*mem->refused)++;
		return -ENOMEM;
	}
	heap->owner = mem->owner;
	heap->bytes = bytes;
	weir__frame_copy_out(frame, 0, heap->data, frame->total);
	copy = weir__block_init(&heap->block, heap->data, frame->total + room, (uint32_t)bytes,
				heap_release);
	copy->len = frame->total;
	copy->total = frame->total;
	heap->block.used = frame->total;
	*ret_copy = copy;
	return 0;
}

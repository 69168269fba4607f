/* SPDX-License-Identifier: MIT */
/*
 * frame.h: frames as chains of pieces, each a view over a counted block of memory.
 *
 *	 frame (its first piece)          next                 next
 *	+----------------------+     +------------+       +------------+
 *	| total, flags, control|---->| data, len  |------>| data, len  |----> NULL
 *	| data, len            |     +-----|------+       +-----|------+
 *	+-----|----------------+           |                    |
 *	      v                            v                    v
 *	 block (refs 1)               block (refs 2: another frame views it as well)
 *	[headroom|bytes.....|room]   [......|bytes...|.......................]
 *
 * - The first piece identifies a frame, and stays the first when bytes are pushed,
 * pulled or appended.
 *   The first piece may be empty; the others never are.
 * - Bytes that more than one piece views are never written. A piece may grow to the front if its
 *   block has no other view, and to the back into bytes that no piece has viewed yet (block.used).
 * - A block contains the struct of its first view, so a frame of one block costs one allocation.
 *   Further views come from a free list in struct weir__frame_memory.
 * - true_bytes of a block is the memory that its owner uses for it. Queues are charged that size,
 *   so that small frames in large blocks cannot use more memory than the limit allows.
 * - A piece may store the sum of its bytes (WEIR_FRAME_SUMMED). Every function here updates
 * the sum or
 *   clears the flag. A caller that writes into a piece clears the flag itself.
 *
 * The life of a block:
 *
 *	weir__block_init -> refs 1 --clone, split--> refs n --every view is freed--> release()
 *
 * There are no locks: only one thread at a time may use a frame and its clones. A function that
 * fails has changed nothing.
 */
#ifndef WEIR_STACK_FRAME_H
#define WEIR_STACK_FRAME_H

#include "stack/base.h"

struct weir__block;
struct weir__netstack_owner;

/* Room for headers in front of a new frame: Ethernet and IP of either family, and more. */
#define WEIR_FRAME_HEADROOM 128u
#define WEIR_FRAME_CONTROL_BYTES 72u

enum weir_frame_flag {
	/* Received: the owner has verified the checksums, or this instance has sent the frame. */
	WEIR_FRAME_CHECKED = 1u << 0,
	/* To send: the owner has to write the checksum of the bytes from checksum_start to the end
	 * to checksum_start + checksum_offset. That field contains the sum of the pseudo-header,
	 * not inverted. */
	WEIR_FRAME_CHECKSUM = 1u << 1,
	/* Any piece: sum is the sum of its bytes. */
	WEIR_FRAME_SUMMED = 1u << 2,
	/* Received as a broadcast or multicast of the link. */
	WEIR_FRAME_BROADCAST = 1u << 3,
	/* Sent by this instance to itself. */
	WEIR_FRAME_LOOPED = 1u << 4,
	/* Received: the control bytes begin with the hash of its flow (tcp_burst.c). */
	WEIR_FRAME_HASHED = 1u << 5,
};

struct weir__frame {
	struct weir__frame *next;	/* the next piece */
	struct weir__frame *queued;	/* first piece: the next frame of the queue that has it */
	struct weir__block *block;
	unsigned char *data;
	uint32_t len;			/* bytes at data */
	uint32_t total;			/* first piece: bytes of all pieces */
	uint32_t sum;			/* with WEIR_FRAME_SUMMED */
	uint32_t charged;		/* first piece: the charge of weir__netstack_charge */
	uint16_t flags;			/* weir_frame_flag; all but SUMMED on the first piece */
	/* First piece. A super-frame carries several segments with a payload of segment_bytes (to
	 * send: the owner splits it; received: the owner has joined them); 0: an ordinary frame. */
	uint16_t segment_bytes;
	uint16_t checksum_start;	/* offset from data of the first piece */
	uint16_t checksum_offset;
	/* First piece: for the layer that has queued the frame; see WEIR_FRAME_CONTROL. */
	union {
		unsigned char control[WEIR_FRAME_CONTROL_BYTES];
		uint64_t control_aligns;
	};
};

/* The control bytes of a frame as a struct of the layer that has queued it. */
#define WEIR_FRAME_CONTROL(frame, type) \
	((type *)(void *)((frame)->control + \
			  0 * sizeof(char[sizeof(type) <= WEIR_FRAME_CONTROL_BYTES ? 1 : -1])))

/*
 * A block of memory for frames. Its owner embeds it in an object of its own: a packet buffer of
 * DPDK, or memory that a program lends for a send. weir__block_init initialises it.
 */
struct weir__block {
	unsigned char *base;
	uint32_t size;			/* bytes at base */
	uint32_t true_bytes;		/* all the memory that it uses */
	uint32_t refs;			/* views */
	uint32_t used;			/* bytes from base that some piece may view */
	/* Called once, when the last view is freed. */
	void (*release)(struct weir__block *block);
	struct weir__frame first;	/* the first view */
};

/*
 * Initialises a block over memory of its owner and returns the first view, which covers all of it.
 * release is called when the last view is freed. true_bytes is at least size.
 */
struct weir__frame *weir__block_init(struct weir__block *block, unsigned char *base, uint32_t size,
				     uint32_t true_bytes, void (*release)(struct weir__block *));

/* ---- where frames come from -------------------------------------------------------------- */

/* The frame memory of an instance. */
struct weir__frame_memory {
	struct weir__netstack_owner *owner;
	uint32_t block_bytes;		/* the largest block of the owner's block_alloc */
	struct weir__frame *views;	/* free views, linked by next */
	struct weir__frame_views *chunks;
	size_t views_used;		/* for the leak check at the end */
	uint64_t *refused;		/* the counter of failed allocations */
};

void weir__frame_memory_init(struct weir__frame_memory *mem, struct weir__netstack_owner *owner,
			     uint32_t block_bytes, uint64_t *refused);
/* All views must have been freed. */
void weir__frame_memory_fini(struct weir__frame_memory *mem);

/*
 * Allocates an empty frame with headroom bytes in front and at least room bytes behind. NULL: out
 * of memory, or both together exceed block_bytes.
 */
struct weir__frame *weir__frame_new(struct weir__frame_memory *mem, uint32_t headroom,
				    uint32_t room);
/* Frees every piece. The frame must be in no queue and not charged. NULL is allowed. */
void weir__frame_free(struct weir__frame_memory *mem, struct weir__frame *frame);

/* ---- looking ------------------------------------------------------------------------------ */

/*
 * Returns a pointer to len contiguous bytes from offset on: in place if one piece has them, else
 * copied to scratch, which has room for len bytes. NULL: the frame is too short.
 */
const unsigned char *weir__frame_peek(const struct weir__frame *frame, uint32_t offset,
				      uint32_t len, void *scratch);
/* Copies up to len bytes from offset on; returns the number copied. */
uint32_t weir__frame_copy_out(const struct weir__frame *frame, uint32_t offset, void *to,
			      uint32_t len);
/* The sum of true_bytes over the blocks of its pieces. */
uint32_t weir__frame_true_bytes(const struct weir__frame *frame);
unsigned weir__frame_pieces(const struct weir__frame *frame);
/*
 * The sum (checksum.h) of the bytes from offset on. It uses the stored sums of the pieces, so bytes
 * that were summed when they were copied are not read again.
 */
uint32_t weir__frame_sum(const struct weir__frame *frame, uint32_t offset);
/* Computes the sum of each piece and stores it there, for frames that are sent by reference. */
void weir__frame_sum_pieces(struct weir__frame *frame);

/* ---- changing ------------------------------------------------------------------------------ */

/* Adds len bytes in front, which the caller writes. NULL if there is no headroom or if another
 * frame views the block. */
unsigned char *weir__frame_push(struct weir__frame *frame, uint32_t len);
/* Adds len bytes at the end, likewise. NULL if the block has no room that only the
 * last piece uses. */
unsigned char *weir__frame_extend(struct weir__frame *frame, uint32_t len);
/* Removes up to len bytes from the front. Pieces that become empty are freed. */
void weir__frame_pull(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t len);
/* Shortens the frame to len bytes. Does nothing if it is shorter. */
void weir__frame_trim(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t len);
/* Moves the pieces of tail to the end of frame. Then tail is no frame any more. */
void weir__frame_append(struct weir__frame_memory *mem, struct weir__frame *frame,
			struct weir__frame *tail);
/* Cuts a frame in two: the frame keeps `at` bytes, the rest becomes a new frame; 0 < at < total.
 * The charge stays with the front. -ENOMEM. */
int weir__frame_split(struct weir__frame_memory *mem, struct weir__frame *frame, uint32_t at,
		      struct weir__frame **ret_tail);
/* Makes a frame that views len bytes of this one, from offset on, without a copy. The new
 * frame does not get the control bytes and flags. -ENOMEM; -EINVAL if the frame is too short
 * or len is 0. */
int weir__frame_clone(struct weir__frame_memory *mem, const struct weir__frame *frame,
		      uint32_t offset, uint32_t len, struct weir__frame **ret_clone);
/*
 * Appends a copy of len bytes and computes their sum during the copy. A program that sends from its
 * own memory causes only this copy. Room in the last piece is used first. -ENOMEM.
 */
int weir__frame_copy_in(struct weir__frame_memory *mem, struct weir__frame *frame, const void *from,
			uint32_t len);
/*
 * Copies a whole frame into one block of the owner's general memory, with `room` free bytes behind
 * it. A layer keeps the copy instead of the frame when frame memory is scarce. -ENOMEM.
 */
int weir__frame_copy_room(struct weir__frame_memory *mem, const struct weir__frame *frame,
			  uint32_t room, struct weir__frame **ret_copy);

static inline int weir__frame_copy(struct weir__frame_memory *mem, const struct weir__frame *frame,
				   struct weir__frame **ret_copy)
{
	return weir__frame_copy_room(mem, frame, 0, ret_copy);
}

/* ---- queues of frames ---------------------------------------------------------------------- */

struct weir__frame_queue {
	struct weir__frame *first, *last;
};

static inline void weir__frame_queue_push(struct weir__frame_queue *queue,
					  struct weir__frame *frame)
{
	frame->queued = NULL;
	if (queue->first == NULL)
		queue->first = frame;
	else
		queue->last->queued = frame;
	queue->last = frame;
}

static inline struct weir__frame *weir__frame_queue_pop(struct weir__frame_queue *queue)
{
	struct weir__frame *frame = queue->first;

	if (frame != NULL) {
		queue->first = frame->queued;
		frame->queued = NULL;
	}
	return frame;
}

#endif

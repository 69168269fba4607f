/* SPDX-License-Identifier: MIT */
/*
 * script_segment.h: the segments of scripts: parsed from a line, converted to and from
 * bytes, compared, printed.
 *
 * The same struct describes a segment that a script sends, one that it expects, and one that it has
 * received. Numbers are ranges; those of a sent or received segment have one value. Sequence
 * numbers, timestamps and windows are relative to a struct script_base.
 */
#ifndef WEIR_TESTS_STACK_SCRIPT_SEGMENT_H
#define WEIR_TESTS_STACK_SCRIPT_SEGMENT_H

#include "tests/stack/script_text.h"

enum script_flag {
	SCRIPT_FIN = 0x01,
	SCRIPT_SYN = 0x02,
	SCRIPT_RST = 0x04,
	SCRIPT_PSH = 0x08,
	SCRIPT_ACK = 0x10,
};

enum script_option_kind {
	SCRIPT_EOL = 0,
	SCRIPT_NOP = 1,
	SCRIPT_MSS = 2,
	SCRIPT_WSCALE = 3,
	SCRIPT_SACK_OK = 4,
	SCRIPT_SACK = 5,
	SCRIPT_TS = 8,
	SCRIPT_RAW = 256,	/* any bytes */
};

#define SCRIPT_OPTIONS 40u

struct script_option {
	unsigned kind;		/* script_option_kind, or the kind of an unknown option */
	unsigned count;
	struct script_range values[8];
	unsigned char raw[SCRIPT_OPTIONS];
};

struct script_segment {
	uint8_t flags;
	struct script_range seq, ack, window, len;	/* the window in bytes */
	bool has_window;		/* sent: not the flow's default window */
	bool any_sack;
	unsigned sack_count;		/* blocks; a received segment has them in `options`, too */
	struct script_range sack[4][2];
	bool has_options;		/* the list is complete and in order */
	unsigned option_count;
	struct script_option options[SCRIPT_OPTIONS];
	int fill;			/* the value of each byte; -1: the stream's bytes */
	bool bad_checksum;
	int header_bytes;		/* according to the data offset; -1: the correct value */
};

/* The bases of a segment's numbers. The sequence number is relative to seq; the ACK field and the
 * SACK blocks are relative to ack. Likewise for timestamps. */
struct script_base {
	uint32_t seq, ack;
	uint32_t tsval, tsecr;
	uint8_t shift;		/* window scale, unless the segment is a SYN */
};

/* Parses the rest of the line. A segment to send must not have ranges. */
void script_parse_segment(struct script_segment *segment, bool sends);
/* Reads a TCP segment, and the start of its payload. False: there is no TCP header. */
bool script_read_segment(struct script_segment *segment, const unsigned char *bytes, uint32_t len,
			 const struct script_base *base, uint32_t *ret_header);
/* Writes header and options into SCRIPT_HEADER_ROOM bytes; returns their length. The caller writes
 * ports and checksum. */
#define SCRIPT_HEADER_ROOM 2048u
uint32_t script_write_header(const struct script_segment *segment, unsigned char *to,
			     const struct script_base *base);
/* The first difference between the expected and the received segment, as text; NULL if none. */
const char *script_difference(const struct script_segment *expected,
			      const struct script_segment *came);
const char *script_print_segment(const struct script_segment *segment, char to[SCRIPT_TEXT]);

#endif

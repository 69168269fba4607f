/* SPDX-License-Identifier: MIT */
/*
 * script_segment.h: segments as scripts write them: parsed from a line, made into bytes, read from
 * bytes, compared, printed.
 *
 * One struct serves for what a script sends, what it expects and what came. Numbers are ranges; those
 * of a segment that is sent, or that came, have one value. Sequence numbers, timestamps and windows
 * are relative to a struct script_base.
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
	unsigned kind;		/* script_option_kind, or of an option that is unknown here */
	unsigned count;
	struct script_range values[8];
	unsigned char raw[SCRIPT_OPTIONS];
};

struct script_segment {
	uint8_t flags;
	struct script_range seq, ack, window, len;	/* the window in bytes */
	bool has_window;		/* sent: another than the flow's usual one */
	bool any_sack;
	unsigned sack_count;		/* blocks; in `options`, too, of a segment that came */
	struct script_range sack[4][2];
	bool has_options;		/* the list is complete and in order */
	unsigned option_count;
	struct script_option options[SCRIPT_OPTIONS];
	int fill;			/* the value of each byte; -1: the stream's */
	bool bad_checksum;
	int header_bytes;		/* that the header says; -1: the right number */
};

/* What a flow's numbers are relative to. The sender's sequence numbers begin at seq; the other one's,
 * in its ACK field and SACK blocks, at ack. Likewise for timestamps. */
struct script_base {
	uint32_t seq, ack;
	uint32_t tsval, tsecr;
	uint8_t shift;		/* of the window, unless it is a SYN */
};

/* The rest of the line. A segment to be sent has to be exact. */
void script_parse_segment(struct script_segment *segment, bool sends);
/* A TCP segment from bytes, and where its payload begins. False: there is no TCP header. */
bool script_read_segment(struct script_segment *segment, const unsigned char *bytes, uint32_t len,
			 const struct script_base *base, uint32_t *ret_header);
/* Header and options, into SCRIPT_HEADER_ROOM bytes; returns their length. Ports and checksum are left
 * to the caller. */
#define SCRIPT_HEADER_ROOM 2048u
uint32_t script_write_header(const struct script_segment *segment, unsigned char *to,
			     const struct script_base *base);
/* The first difference of what came from what is expected, as text; NULL if there is none. */
const char *script_difference(const struct script_segment *expected,
			      const struct script_segment *came);
const char *script_print_segment(const struct script_segment *segment, char to[SCRIPT_TEXT]);

#endif

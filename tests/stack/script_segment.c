/* SPDX-License-Identifier: MIT */
/* script_segment.c: see script_segment.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/bytes.h"
#include "tests/stack/script_segment.h"

#define HEADER 20u

static const struct {
	char letter;
	uint8_t flag;
} letters[] = { { 'F', 0x01 }, { 'S', 0x02 }, { 'R', 0x04 }, { 'P', 0x08 },
		{ 'A', 0x10 }, { 'U', 0x20 }, { 'E', 0x40 }, { 'C', 0x80 } };

#define LETTERS (sizeof(letters) / sizeof(letters[0]))

/* ---- parsing -------------------------------------------------------------------------------- */

static uint8_t parse_flags(void)
{
	const char *word = script_need("the flags of a segment, such as SA");
	uint8_t flags = 0;

	for (const char *at = word; strcmp(word, "-") != 0 && *at != '\0'; at++) {
		unsigned i = 0;

		while (i < LETTERS && letters[i].letter != *at)
			i++;
		if (i == LETTERS)
			script_wrong("\"%s\" are no flags; these are letters out of FSRPAUEC, or - "
				     "for none",
				     word);
		flags |= letters[i].flag;
	}
	return flags;
}

/* Parses START:END. False: the word has no colon. */
static bool parse_pair(const char *word, struct script_range pair[2])
{
	const char *colon = strchr(word, ':');
	char start[SCRIPT_TEXT / 8];

	if (colon == NULL)
		return false;
	snprintf(start, sizeof(start), "%.*s", (int)(colon - word), word);
	if (!script_parse_range(start, script_parse_number, &pair[0]) ||
	    !script_parse_range(colon + 1, script_parse_number, &pair[1]))
		script_wrong("\"%s\" is no START:END, such as 1:1001", word);
	return true;
}

static void parse_sequence(struct script_segment *segment)
{
	const char *word = script_need("a sequence number, or START:END");
	struct script_range pair[2];

	segment->len = script_one(0);
	if (!parse_pair(word, pair)) {
		if (!script_parse_range(word, script_parse_number, &segment->seq))
			script_wrong("\"%s\" is no sequence number; those are relative, such as 1 "
				     "or 1:1001",
				     word);
		return;
	}
	segment->seq = pair[0];
	if (pair[1].low != pair[1].high)
		segment->len = script_anything;
	else if (pair[0].low != pair[0].high)
		script_wrong("\"%s\" has an end without a start", word);
	else
		segment->len = script_one(pair[1].low - pair[0].low);
	if (segment->len.high < 0)
		script_wrong("\"%s\" ends before it begins", word);
}

static void parse_blocks(struct script_segment *segment)
{
	while (segment->sack_count < 4 && script_line.next < script_line.count &&
	       parse_pair(script_line.words[script_line.next],
			  segment->sack[segment->sack_count])) {
		segment->sack_count++;
		script_line.next++;
	}
}

static void parse_sack(struct script_segment *segment)
{
	segment->any_sack = script_take("*");
	if (segment->any_sack)
		return;
	parse_blocks(segment);
	if (segment->sack_count == 0)
		script_wrong("sack needs blocks, such as 1001:2001, or *");
}

/* Whether a word is a byte: two hexadecimal digits. No option has such a name. */
static bool is_byte(const char *word, unsigned char *ret_byte)
{
	char *end;
	unsigned long byte = strtoul(word, &end, 16);

	*ret_byte = (unsigned char)byte;
	return strlen(word) == 2 && *end == '\0';
}

static void parse_raw(struct script_option *option)
{
	option->kind = SCRIPT_RAW;
	while (option->count < SCRIPT_OPTIONS && script_line.next < script_line.count &&
	       is_byte(script_line.words[script_line.next], &option->raw[option->count])) {
		option->count++;
		script_line.next++;
	}
	if (option->count == 0)
		script_wrong("raw needs bytes of two hexadecimal digits, such as 0a");
}

static struct script_range need_number(const char *what)
{
	return script_need_range(what, script_parse_number);
}

static void parse_option(struct script_segment *segment, const char *word)
{
	struct script_option *option = &segment->options[segment->option_count++];

	*option = (struct script_option){ 0 };
	if (strcmp(word, "nop") == 0) {
		option->kind = SCRIPT_NOP;
	} else if (strcmp(word, "eol") == 0) {
		option->kind = SCRIPT_EOL;
	} else if (strcmp(word, "sackOK") == 0) {
		option->kind = SCRIPT_SACK_OK;
	} else if (strcmp(word, "mss") == 0) {
		option->kind = SCRIPT_MSS;
		option->values[option->count++] = need_number("an MSS");
	} else if (strcmp(word, "wscale") == 0) {
		option->kind = SCRIPT_WSCALE;
		option->values[option->count++] = need_number("a shift");
	} else if (strcmp(word, "ts") == 0) {
		option->kind = SCRIPT_TS;
		option->values[option->count++] = need_number("the timestamp's value");
		option->values[option->count++] = need_number("the timestamp's echo");
	} else if (strcmp(word, "sack") == 0) {
		option->kind = SCRIPT_SACK;
		parse_blocks(segment);
		for (unsigned i = 0; i < segment->sack_count; i++) {
			option->values[option->count++] = segment->sack[i][0];
			option->values[option->count++] = segment->sack[i][1];
		}
	} else if (strcmp(word, "raw") == 0) {
		parse_raw(option);
	} else {
		script_wrong(
			"\"%s\" is no option; there are mss, sackOK, ts, wscale, sack, nop, eol "
			"and raw",
			word);
	}
}

static void parse_options(struct script_segment *segment)
{
	segment->has_options = true;
	while (!script_take(">")) {
		if (segment->option_count == SCRIPT_OPTIONS)
			script_wrong("there is no room for so many options");
		parse_option(segment, script_need("an option, or >"));
	}
}

static void parse_part(struct script_segment *segment, const char *word)
{
	if (strcmp(word, "ack") == 0) {
		segment->ack = need_number("an acknowledgment number");
	} else if (strcmp(word, "win") == 0) {
		segment->window = need_number("a window in bytes");
		segment->has_window = true;
	} else if (strcmp(word, "len") == 0) {
		segment->len = need_number("a length");
	} else if (strcmp(word, "sack") == 0) {
		parse_sack(segment);
	} else if (strcmp(word, "<") == 0) {
		parse_options(segment);
	} else if (strcmp(word, "fill") == 0) {
		segment->fill = (int)(script_need_number("a byte") & 255);
	} else if (strcmp(word, "badsum") == 0) {
		segment->bad_checksum = true;
	} else if (strcmp(word, "header") == 0) {
		segment->header_bytes = (int)script_need_number("the bytes of the header");
	} else {
		script_wrong(
			"\"%s\" is no part of a segment; there are ack, win, len, sack, <...>, "
			"fill, badsum and header",
			word);
	}
}

static void need_one(struct script_range range, const char *what)
{
	if (range.low != range.high)
		script_wrong("a segment that is sent needs one %s, no range", what);
}

static void check_sent(const struct script_segment *segment)
{
	need_one(segment->seq, "sequence number");
	need_one(segment->len, "length");
	if (segment->flags & SCRIPT_ACK)
		need_one(segment->ack, "ack N");
	if (segment->has_window)
		need_one(segment->window, "window");
	for (unsigned i = 0; i < segment->sack_count; i++) {
		need_one(segment->sack[i][0], "start of a block");
		need_one(segment->sack[i][1], "end of a block");
	}
}

void script_parse_segment(struct script_segment *segment, bool sends)
{
	const char *word;

	memset(segment, 0, offsetof(struct script_segment, options));
	segment->fill = -1;
	segment->bad_checksum = false;
	segment->header_bytes = -1;
	segment->ack = script_anything;
	segment->window = script_anything;
	segment->flags = parse_flags();
	parse_sequence(segment);
	while ((word = script_word()) != NULL)
		parse_part(segment, word);
	if (sends)
		check_sent(segment);
}

/* ---- bytes out ------------------------------------------------------------------------------ */

static unsigned char *put_option(unsigned char *at, const struct script_option *option,
				 const struct script_base *base)
{
	const struct script_range *values = option->values;

	switch (option->kind) {
	case SCRIPT_RAW:
		memcpy(at, option->raw, option->count);
		return at + option->count;
	case SCRIPT_NOP:
	case SCRIPT_EOL:
		*at = (unsigned char)option->kind;
		return at + 1;
	case SCRIPT_MSS:
		memcpy(at, "\2\4", 2);
		weir__put16(at + 2, (uint16_t)values[0].low);
		return at + 4;
	case SCRIPT_WSCALE:
		memcpy(at, "\3\3", 2);
		at[2] = (unsigned char)values[0].low;
		return at + 3;
	case SCRIPT_SACK_OK:
		memcpy(at, "\4\2", 2);
		return at + 2;
	case SCRIPT_TS:
		memcpy(at, "\10\12", 2);
		weir__put32(at + 2, (uint32_t)values[0].low + base->tsval);
		weir__put32(at + 6, (uint32_t)values[1].low + base->tsecr);
		return at + 10;
	default:
		at[0] = SCRIPT_SACK;
		at[1] = (unsigned char)(2 + 4 * option->count);
		for (unsigned i = 0; i < option->count; i++)
			weir__put32(at + 2 + 4 * i, (uint32_t)values[i].low + base->ack);
		return at + at[1];
	}
}

uint32_t script_write_header(const struct script_segment *segment, unsigned char *to,
			     const struct script_base *base)
{
	uint8_t shift = segment->flags & SCRIPT_SYN ? 0 : base->shift;
	unsigned char *at = to + HEADER;
	uint32_t bytes;

	for (unsigned i = 0; i < segment->option_count; i++)
		at = put_option(at, &segment->options[i], base);
	while ((at - to) % 4 != 0)
		*at++ = SCRIPT_EOL;
	bytes = (uint32_t)(at - to);
	if (bytes > 60)
		script_wrong("the options do not fit into 40 bytes");
	memset(to, 0, HEADER);
	weir__put32(to + 4, (uint32_t)segment->seq.low + base->seq);
	if (segment->flags & SCRIPT_ACK)
		weir__put32(to + 8, (uint32_t)segment->ack.low + base->ack);
	to[12] = (unsigned char)((segment->header_bytes >= 0 ? (uint32_t)segment->header_bytes
							     : bytes) /
					 4
				 << 4);
	to[13] = segment->flags;
	weir__put16(to + 14, (uint16_t)(segment->window.low >> shift));
	return bytes;
}

/* ---- bytes in ------------------------------------------------------------------------------- */

/* Numbers just below the base become negative. */
static struct script_range relative(uint32_t value, uint32_t base)
{
	return script_one((int32_t)(value - base));
}

static void read_sack(struct script_segment *segment, struct script_option *option,
		      const unsigned char *at, uint32_t base)
{
	for (unsigned i = 0; i + 8 <= at[1] - 2u && segment->sack_count < 4; i += 8) {
		struct script_range *block = segment->sack[segment->sack_count++];

		block[0] = relative(weir__get32(at + 2 + i), base);
		block[1] = relative(weir__get32(at + 6 + i), base);
		option->values[option->count++] = block[0];
		option->values[option->count++] = block[1];
	}
}

static void read_option(struct script_segment *segment, const unsigned char *at,
			const struct script_base *base)
{
	struct script_option *option = &segment->options[segment->option_count++];

	*option = (struct script_option){ .kind = at[0] };
	switch (at[0]) {
	case SCRIPT_MSS:
		option->values[option->count++] = script_one(weir__get16(at + 2));
		break;
	case SCRIPT_WSCALE:
		option->values[option->count++] = script_one(at[2]);
		break;
	case SCRIPT_TS:
		option->values[option->count++] = relative(weir__get32(at + 2), base->tsval);
		option->values[option->count++] = relative(weir__get32(at + 6), base->tsecr);
		break;
	case SCRIPT_SACK:
		read_sack(segment, option, at, base->ack);
		break;
	default:
		break;
	}
}

static bool read_options(struct script_segment *segment, const unsigned char *at,
			 const unsigned char *end, const struct script_base *base)
{
	segment->has_options = true;
	while (at < end) {
		unsigned len = *at <= SCRIPT_NOP ? 1 : at + 1 < end ? at[1] : 0;

		if (len == 0 || len > end - at)
			return false;
		read_option(segment, at, base);
		at += len;
	}
	return true;
}

bool script_read_segment(struct script_segment *segment, const unsigned char *bytes, uint32_t len,
			 const struct script_base *base, uint32_t *ret_header)
{
	uint32_t header = len < HEADER ? 0 : (bytes[12] >> 4) * 4u;
	uint8_t shift;

	if (header < HEADER || header > len)
		return false;
	memset(segment, 0, offsetof(struct script_segment, options));
	segment->flags = bytes[13];
	shift = segment->flags & SCRIPT_SYN ? 0 : base->shift;
	segment->seq = relative(weir__get32(bytes + 4), base->seq);
	segment->ack = relative(weir__get32(bytes + 8),
				segment->flags & SCRIPT_ACK ? base->ack : 0);
	segment->window = script_one((int64_t)weir__get16(bytes + 14) << shift);
	segment->len = script_one(len - header);
	*ret_header = header;
	return read_options(segment, bytes + HEADER, bytes + header, base);
}

/* ---- text ----------------------------------------------------------------------------------- */

struct text {
	char *at;
	unsigned left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text->at, text->left, fmt, args);
	va_end(args);
	if (len < 0 || (unsigned)len >= text->left)
		len = (int)text->left - 1;
	text->at += len;
	text->left -= (unsigned)len;
}

static void add_range(struct text *text, const char *before, struct script_range range)
{
	char number[64];

	script_print_range(range, false, number, sizeof(number));
	add(text, "%s%s", before, number);
}

static void add_option(struct text *text, const struct script_option *option)
{
	static const char *const names[] = { "eol",    "nop",  "mss", "wscale", "sackOK",
					     "sack", NULL, NULL, "ts" };

	if (option->kind < sizeof(names) / sizeof(names[0]) && names[option->kind] != NULL)
		add(text, "%s", names[option->kind]);
	else
		add(text, "kind %u", option->kind);
	for (unsigned i = 0; i < option->count && option->kind != SCRIPT_RAW; i++)
		add_range(text, option->kind == SCRIPT_SACK && i % 2 == 1 ? ":" : " ",
			  option->values[i]);
}

static void add_flags(struct text *text, uint8_t flags)
{
	static const char order[] = "SFRPAUEC";

	for (const char *letter = order; *letter != '\0'; letter++)
		for (unsigned i = 0; i < LETTERS; i++)
			if (letters[i].letter == *letter && flags & letters[i].flag)
				add(text, "%c", *letter);
	if (flags == 0)
		add(text, "-");
}

const char *script_print_segment(const struct script_segment *segment, char to[SCRIPT_TEXT])
{
	struct text text = { to, SCRIPT_TEXT };

	add_flags(&text, segment->flags);
	add_range(&text, " ", segment->seq);
	if (segment->len.low == segment->len.high && segment->len.low > 0 &&
	    segment->seq.low == segment->seq.high)
		add_range(&text, ":", script_one(segment->seq.low + segment->len.low));
	else if (segment->len.low != 0 || segment->len.high != 0)
		add_range(&text, " len ", segment->len);
	if (segment->flags & SCRIPT_ACK)
		add_range(&text, " ack ", segment->ack);
	add_range(&text, " win ", segment->window);
	for (unsigned i = 0; i < segment->sack_count && !segment->has_options; i++) {
		add_range(&text, i == 0 ? " sack " : " ", segment->sack[i][0]);
		add_range(&text, ":", segment->sack[i][1]);
	}
	if (segment->any_sack)
		add(&text, " sack *");
	for (unsigned i = 0; i < segment->option_count; i++) {
		add(&text, i == 0 ? " <" : ", ");
		add_option(&text, &segment->options[i]);
	}
	if (segment->option_count > 0)
		add(&text, ">");
	return to;
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* PSH is left to the sender (RFC 9293 3.9.1.2), unless a script asks for it. */
static bool same_flags(const struct script_segment *expected, const struct script_segment *came)
{
	uint8_t freedom = expected->flags & SCRIPT_PSH ? 0 : SCRIPT_PSH;

	return ((expected->flags ^ came->flags) & ~freedom) == 0;
}

static bool same_blocks(const struct script_segment *expected, const struct script_segment *came)
{
	if (expected->any_sack || expected->has_options)
		return true;
	if (expected->sack_count != came->sack_count)
		return false;
	for (unsigned i = 0; i < came->sack_count; i++)
		if (!script_has(expected->sack[i][0], came->sack[i][0].low) ||
		    !script_has(expected->sack[i][1], came->sack[i][1].low))
			return false;
	return true;
}

static bool same_option(const struct script_option *expected, const struct script_option *came)
{
	if (expected->kind != came->kind || expected->count != came->count)
		return false;
	for (unsigned i = 0; i < came->count; i++)
		if (!script_has(expected->values[i], came->values[i].low))
			return false;
	return true;
}

static bool same_options(const struct script_segment *expected, const struct script_segment *came)
{
	if (!expected->has_options)
		return true;
	if (expected->option_count != came->option_count)
		return false;
	for (unsigned i = 0; i < came->option_count; i++)
		if (!same_option(&expected->options[i], &came->options[i]))
			return false;
	return true;
}

const char *script_difference(const struct script_segment *expected,
			      const struct script_segment *came)
{
	if (!same_flags(expected, came))
		return "other flags";
	if (!script_has(expected->seq, came->seq.low))
		return "another sequence number";
	if (!script_has(expected->len, came->len.low))
		return "another length";
	if (came->flags & SCRIPT_ACK && !script_has(expected->ack, came->ack.low))
		return "another acknowledgment";
	if (!script_has(expected->window, came->window.low))
		return "another window";
	if (!same_blocks(expected, came))
		return "other SACK blocks";
	return same_options(expected, came) ? NULL : "other options";
}

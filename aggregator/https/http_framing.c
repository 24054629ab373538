/* http_framing.c: see http_framing.h. One function a place: it looks at one byte, moves on, and says what is wrong
 * with it. Only the bytes of bodies and chunks are skipped in one piece. */
#include "https/http_framing.h"

#include <string.h>

static const char line_end[] = "a line ends with CR LF, and neither stands alone";

static bool is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of a value or an extension: anything that is not a control character, and the tab. */
static const char *text_fault(uint8_t c)
{
    if (c == '\n')
        return line_end;
    return (c < 0x20 && c != '\t') || c == 0x7f ? "a control character stands in the head" : NULL;
}

static const char *request_line(rd_framing *f, uint8_t c)
{
    static const char form[] = "the first line is METHOD, target and HTTP/1.1, with one space between two of them";
    if (c == '\n')
        return line_end;
    if (c != '\r' && c != ' ' && (c < 0x21 || c > 0x7e))
        return "the first line holds a byte that is no visible character of ASCII";
    if (c == '\r' || c == ' ') {
        const bool fits = !f->behind_space && (c == ' ' ? f->spaces < 2 : f->spaces == 2);
        f->spaces += c == ' ';
        f->behind_space = c == ' ';
        f->behind_cr = c == '\r';
        return fits ? NULL : form;
    }
    f->behind_space = false;
    return NULL;
}

static const char *start(rd_framing *f, uint8_t c)
{
    f->behind_cr = c == '\r';
    if (f->behind_cr)
        return NULL;
    f->place = RD_FRAMING_REQUEST_LINE;
    f->spaces = 0;
    f->behind_space = true; /* a space in front of the method is one too many */
    return request_line(f, c);
}

static const char *line(rd_framing *f, uint8_t c)
{
    f->behind_cr = c == '\r';
    if (f->behind_cr)
        return NULL;
    if (c == '\n')
        return line_end;
    if (c == ' ' || c == '\t')
        return "a header goes on in the next line";
    f->place = RD_FRAMING_NAME;
    return is_token(c) ? NULL : "a header's name is made of letters, digits and !#$%&'*+-.^_`|~";
}

static const char *name(rd_framing *f, uint8_t c)
{
    if (c == ':')
        f->place = RD_FRAMING_VALUE;
    return c == ':' || is_token(c) ? NULL : "a header's name is followed by something else than its colon";
}

static const char *value(rd_framing *f, uint8_t c)
{
    f->behind_cr = c == '\r';
    return f->behind_cr ? NULL : text_fault(c);
}

static const char *chunk_size(rd_framing *f, uint8_t c)
{
    int digit = hex_digit(c);
    f->behind_cr = c == '\r';
    if (digit < 0) {
        if (c == ';')
            f->place = RD_FRAMING_CHUNK_EXTENSION;
        return f->digits > 0 && (c == ';' || c == '\r') ? NULL : "a chunk begins with its size in hexadecimal digits";
    }
    if (f->left >> 60 != 0)
        return "the size of a chunk is beyond all bounds";
    f->left = f->left << 4 | (uint64_t)digit;
    f->digits++;
    return NULL;
}

static const char *chunk_data_end(rd_framing *f, uint8_t c)
{
    f->behind_cr = c == '\r';
    return f->behind_cr ? NULL : "a chunk ends elsewhere than its size says";
}

static void begin_chunk(rd_framing *f)
{
    f->place = RD_FRAMING_CHUNK_SIZE;
    f->count = f->digits = 0;
    f->left = 0;
}

/* The LF behind a CR: where the line it ends leads to. */
static void end_line(rd_framing *f)
{
    switch (f->place) {
    case RD_FRAMING_REQUEST_LINE:
    case RD_FRAMING_VALUE:
        f->place = RD_FRAMING_LINE;
        break;
    case RD_FRAMING_LINE: /* the empty one */
        f->place = f->in_trailer ? RD_FRAMING_START : RD_FRAMING_HEAD_END;
        f->in_trailer = false;
        break;
    case RD_FRAMING_CHUNK_SIZE:
    case RD_FRAMING_CHUNK_EXTENSION:
        f->in_trailer = f->left == 0;
        f->place = f->in_trailer ? RD_FRAMING_LINE : RD_FRAMING_CHUNK_DATA;
        f->count = 0;
        break;
    case RD_FRAMING_CHUNK_DATA_END:
        begin_chunk(f);
        break;
    default: /* an empty line in front of a request */
        break;
    }
}

static const char *look_at(rd_framing *f, uint8_t c)
{
    if (f->behind_cr) {
        f->behind_cr = false;
        if (c != '\n')
            return line_end;
        end_line(f);
        return NULL;
    }
    if (f->in_trailer && ++f->count > RD_FRAMING_TRAILER_MAX)
        return "what follows the last chunk is longer than 16384 bytes";
    switch (f->place) {
    case RD_FRAMING_START:
        return start(f, c);
    case RD_FRAMING_REQUEST_LINE:
        return request_line(f, c);
    case RD_FRAMING_LINE:
        return line(f, c);
    case RD_FRAMING_NAME:
        return name(f, c);
    case RD_FRAMING_VALUE:
        return value(f, c);
    case RD_FRAMING_CHUNK_DATA_END:
        return chunk_data_end(f, c);
    default:
        if (c != '\r' && ++f->count > RD_FRAMING_CHUNK_LINE_MAX)
            return "the line in front of a chunk is longer than 256 bytes";
        return f->place == RD_FRAMING_CHUNK_SIZE ? chunk_size(f, c) : value(f, c);
    }
}

size_t rd_framing_take(rd_framing *f, const uint8_t *bytes, size_t count, const char **fault)
{
    *fault = NULL;
    if (f->place == RD_FRAMING_BODY || f->place == RD_FRAMING_CHUNK_DATA) {
        size_t n = f->left < count ? (size_t)f->left : count;
        f->left -= n;
        if (f->left == 0)
            f->place = f->place == RD_FRAMING_BODY ? RD_FRAMING_START : RD_FRAMING_CHUNK_DATA_END;
        return n;
    }
    for (size_t i = 0; i < count; i++) {
        const bool line_ends = f->behind_cr;
        if (f->place == RD_FRAMING_HEAD_END)
            return i;
        *fault = look_at(f, bytes[i]);
        if (*fault != NULL)
            return i;
        if (line_ends && (f->place == RD_FRAMING_START || f->place == RD_FRAMING_CHUNK_DATA))
            return i + 1;
    }
    return count;
}

void rd_framing_begin_body(rd_framing *f, bool chunked, uint64_t length)
{
    begin_chunk(f);
    if (chunked)
        return;
    f->place = length > 0 ? RD_FRAMING_BODY : RD_FRAMING_START;
    f->left = length;
}

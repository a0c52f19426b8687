#include "pack.h"

#include <stdlib.h>
#include <string.h>

void buffer_free(Buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (Buffer){0};
}

static unsigned char *grow(Buffer *buffer, size_t more)
{
    if (buffer->failed) {
        return NULL;
    }
    if (buffer->length + more > buffer->room) {
        size_t room = buffer->room * 2 > buffer->length + more ? buffer->room * 2 : buffer->length + more + 512;
        unsigned char *bytes = realloc(buffer->bytes, room);
        if (bytes == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->bytes = bytes;
        buffer->room = room;
    }
    unsigned char *at = buffer->bytes + buffer->length;
    buffer->length += more;
    return at;
}

void pack_raw(Buffer *buffer, const void *bytes, size_t length)
{
    unsigned char *at = grow(buffer, length);
    if (at != NULL && length > 0) {
        memcpy(at, bytes, length);
    }
}

/* A first byte, and a number of so many bytes, big-endian. */
static void pack_tagged(Buffer *buffer, unsigned char tag, uint64_t number, int bytes)
{
    unsigned char *at = grow(buffer, 1 + (size_t)bytes);
    if (at != NULL) {
        *at++ = tag;
        while (bytes-- > 0) {
            *at++ = (unsigned char)(number >> 8 * bytes);
        }
    }
}

void pack_int(Buffer *buffer, int64_t number)
{
    if (number >= -32 && number < 128) {
        pack_tagged(buffer, (unsigned char)number, 0, 0);
    }
    else if (number >= INT32_MIN && number <= INT32_MAX) {
        pack_tagged(buffer, 0xd2, (uint64_t)number, 4);
    }
    else {
        pack_tagged(buffer, 0xd3, (uint64_t)number, 8);
    }
}

/* A header: `fix` for lengths below `limit`, else with 16 or 32 bits of length. */
static void pack_header(Buffer *buffer, unsigned char fix, uint32_t limit, unsigned char tag16, uint32_t length)
{
    if (length < limit) {
        pack_tagged(buffer, (unsigned char)(fix | length), 0, 0);
    }
    else if (length < 1 << 16) {
        pack_tagged(buffer, tag16, length, 2);
    }
    else {
        pack_tagged(buffer, (unsigned char)(tag16 + 1), length, 4);
    }
}

void pack_text(Buffer *buffer, const char *utf8, size_t length)
{
    pack_header(buffer, 0xa0, 32, 0xda, (uint32_t)length);
    pack_raw(buffer, utf8, length);
}

void pack_array(Buffer *buffer, uint32_t items)
{
    pack_header(buffer, 0x90, 16, 0xdc, items);
}

void pack_map(Buffer *buffer, uint32_t items)
{
    pack_header(buffer, 0x80, 16, 0xde, items);
}

/* All in the smallest width that holds every one of them, little-endian; the width is the extension's type. */
void pack_column(Buffer *buffer, const int64_t *numbers, size_t count)
{
    int64_t low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        low = numbers[i] < low ? numbers[i] : low;
        high = numbers[i] > high ? numbers[i] : high;
    }
    int width = low >= INT8_MIN && high <= INT8_MAX     ? 1
                : low >= INT16_MIN && high <= INT16_MAX ? 2
                : low >= INT32_MIN && high <= INT32_MAX ? 4
                                                        : 8;
    pack_tagged(buffer, 0xc9, count * (size_t)width, 4);
    unsigned char *at = grow(buffer, 1 + count * (size_t)width);
    if (at == NULL) {
        return;
    }
    *at++ = (unsigned char)width;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)numbers[i];
        for (int byte = 0; byte < width; byte++) {
            *at++ = (unsigned char)(number >> 8 * byte);
        }
    }
}

size_t frame_begin(Buffer *buffer, int type, uint32_t fields)
{
    size_t begun = buffer->length;
    grow(buffer, 4); /* the length of the payload, once it is known */
    pack_array(buffer, 2);
    pack_int(buffer, type);
    pack_map(buffer, fields);
    return begun;
}

void frame_end(Buffer *buffer, size_t begun)
{
    if (!buffer->failed) {
        size_t length = buffer->length - begun - 4;
        for (int byte = 0; byte < 4; byte++) {
            buffer->bytes[begun + (size_t)byte] = (unsigned char)(length >> 8 * (3 - byte));
        }
    }
}

void pack_field(Buffer *buffer, const char *name)
{
    pack_text(buffer, name, strlen(name));
}

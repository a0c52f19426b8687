/* msgpack, as much of it as the collector's messages need, in frames of the wire. */
#ifndef ASYNCTOP_PACK_H
#define ASYNCTOP_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Grows as it is written to. Once memory has run out, `failed`, and writing does nothing any more. */
typedef struct {
    unsigned char *bytes;
    size_t length, room;
    bool failed;
} Buffer;

void buffer_free(Buffer *);
void pack_raw(Buffer *, const void *bytes, size_t length);
void pack_int(Buffer *, int64_t);
void pack_text(Buffer *, const char *utf8, size_t length);
void pack_array(Buffer *, uint32_t items);
void pack_map(Buffer *, uint32_t items);
void pack_column(Buffer *, const int64_t *numbers, size_t count);

/* A frame with one message of a type: `[type, {field: value, ...}]` with so many fields, which follow. Returns
 * where it began, for `frame_end`. */
size_t frame_begin(Buffer *, int type, uint32_t fields);
void frame_end(Buffer *, size_t begun);
void pack_field(Buffer *, const char *name);

#endif

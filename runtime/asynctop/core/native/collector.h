/* What changed since a console's cursor, as frames of the wire. */
#ifndef ASYNCTOP_COLLECTOR_H
#define ASYNCTOP_COLLECTOR_H

#include "native.h"
#include "pack.h"

/* How far one console has been told. All zero at the beginning. */
typedef struct Cursor {
    uint32_t version, texts, kinds; /* what it knows */
    uint32_t after;                 /* in the batch under way: changes since this version */
    int phase;
    TaskRecord **records; /* what the batch lists, held */
    size_t count, at;
    int kind; /* the next one whose sums are to be told */
    struct Cursor *previous, *next; /* of those that know something */
} Cursor;

void collector_drain(void);
void cursor_begin(Cursor *);            /* a batch: everything that changed since the last one */
bool cursor_next(Cursor *, Buffer *);   /* append a message of it, a tick at last; false where there are no more */
void cursor_free(Cursor *);
bool collector_name(void);
void collector_faults(unsigned char *packed, size_t length); /* what each tick says: an array of texts; taken over */
void collector_forget(void);

#endif

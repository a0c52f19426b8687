/* Memory for records, cut from slabs: a million tasks cost what their records take, and the memory of a burst goes
 * back to the system. */
#include "native.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__ /* `make sanitize`: it knows of malloc's memory, but not of ours */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)0)
#endif

#define SLAB_BYTES (64 * 1024)

typedef struct Slab {
    struct Slab *previous, *next; /* among those with room */
    TaskRecord *freed;            /* linked through `next` */
    int used, cut;
} Slab;

#define SLAB_RECORDS ((int)((SLAB_BYTES - sizeof(Slab)) / sizeof(TaskRecord)))

static pthread_mutex_t slab_lock = PTHREAD_MUTEX_INITIALIZER;
static Slab *with_room;

static Slab *slab_new(void)
{
    /* Aligned to its size, so that a record knows its slab. */
    char *memory = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    char *aligned = (char *)(((uintptr_t)memory + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1));
    if (aligned != memory) {
        munmap(memory, (size_t)(aligned - memory));
    }
    munmap(aligned + SLAB_BYTES, (size_t)(memory + SLAB_BYTES - aligned));
    return (Slab *)aligned;
}

static void slab_link(Slab *slab)
{
    slab->previous = NULL;
    slab->next = with_room;
    if (with_room != NULL) {
        with_room->previous = slab;
    }
    with_room = slab;
}

static void slab_unlink(Slab *slab)
{
    if (slab->previous != NULL) {
        slab->previous->next = slab->next;
    }
    else {
        with_room = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->previous = slab->previous;
    }
}

/* A few records that the loops' side has given back, for its next ones: without the lock, and with their hold on
 * the loop. */
#define SPARE_RECORDS 256
static TaskRecord *spare[SPARE_RECORDS];
static int spares;

TaskRecord *slab_take(void)
{
    if (spares > 0) {
        return spare[--spares];
    }
    pthread_mutex_lock(&slab_lock);
    Slab *slab = with_room;
    if (slab == NULL) {
        slab = slab_new();
        if (slab == NULL) {
            pthread_mutex_unlock(&slab_lock);
            return NULL;
        }
        slab_link(slab);
    }
    TaskRecord *record = slab->freed;
    if (record != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(record, sizeof(*record));
        slab->freed = record->next;
    }
    else {
        record = (TaskRecord *)(slab + 1) + slab->cut++;
    }
    record->stats = NULL;
    if (++slab->used == SLAB_RECORDS) {
        slab_unlink(slab);
    }
    pthread_mutex_unlock(&slab_lock);
    return record;
}

void slab_give(TaskRecord *record)
{
    Slab *slab = (Slab *)((uintptr_t)record & ~(uintptr_t)(SLAB_BYTES - 1));
    bool empty = false;
    pthread_mutex_lock(&slab_lock);
    if (slab->used-- == SLAB_RECORDS) {
        slab_link(slab);
    }
    record->next = slab->freed;
    slab->freed = record;
    ASAN_POISON_MEMORY_REGION(record, sizeof(*record));
    if (slab->used == 0 && (slab->previous != NULL || slab->next != NULL)) {
        slab_unlink(slab);
        empty = true;
    }
    pthread_mutex_unlock(&slab_lock);
    if (empty) {
        ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_BYTES);
        munmap(slab, SLAB_BYTES);
    }
}

/* False where there are enough. */
bool slab_keep(TaskRecord *record)
{
    bool keeps = spares < SPARE_RECORDS;
    if (keeps) {
        spare[spares++] = record;
    }
    return keeps;
}

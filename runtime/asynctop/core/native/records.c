/* Tasks: their records, and how the live ones are found. The loops' side, except what the collector frees. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

Core core;
_Thread_local PyObject *factory_now;
pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
bool unborn_held;
pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

/* -- the live tasks: a hash table by the address of the task -- */

typedef struct {
    PyObject *task;
    TaskRecord *record;
} Slot;

#define SMALLEST_TABLE 256

static Slot *slots;
static size_t slots_size, slots_used;

static size_t slot_of(const void *task, size_t size)
{
    return spread(task) & (size - 1);
}

static int slots_resize(size_t size)
{
    Slot *grown = calloc(size, sizeof(Slot));
    if (grown == NULL) {
        return -1;
    }
    for (size_t i = 0; i < slots_size; i++) {
        if (slots[i].task != NULL) {
            size_t at = slot_of(slots[i].task, size);
            while (grown[at].task != NULL) {
                at = (at + 1) & (size - 1);
            }
            grown[at] = slots[i];
        }
    }
    free(slots);
    slots = grown;
    slots_size = size;
    return 0;
}

TaskRecord *record_find(PyObject *task)
{
    if (slots_used == 0) {
        return NULL;
    }
    for (size_t at = slot_of(task, slots_size); slots[at].task != NULL; at = (at + 1) & (slots_size - 1)) {
        if (slots[at].task == task) {
            return slots[at].record;
        }
    }
    return NULL;
}

static void slots_remove(PyObject *task)
{
    size_t mask = slots_size - 1, at = slot_of(task, slots_size);
    while (slots[at].task != task) {
        if (slots[at].task == NULL) {
            return;
        }
        at = (at + 1) & mask;
    }
    /* Those behind it that had to make way move up. */
    size_t hole = at;
    for (;;) {
        at = (at + 1) & mask;
        if (slots[at].task == NULL) {
            break;
        }
        size_t home = slot_of(slots[at].task, slots_size);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole].task = NULL;
    slots_used--;
    if (slots_size > SMALLEST_TABLE && slots_used * 8 < slots_size) {
        slots_resize(slots_size / 4 < SMALLEST_TABLE ? SMALLEST_TABLE : slots_size / 4);
    }
}

TaskRecord *record_next(size_t *position)
{
    while (*position < slots_size) {
        Slot *slot = &slots[(*position)++];
        if (slot->task != NULL) {
            return slot->record;
        }
    }
    return NULL;
}

/* -- records -- */

/* A record without a task. NULL, without an error set, where there is no memory. */
TaskRecord *record_new(LoopStats *stats, KindStats *part)
{
    TaskRecord *record = slab_take();
    if (record == NULL) {
        return NULL;
    }
    LoopStats *held = record->stats; /* by a spare one: most often the same */
    memset(record, 0, sizeof(*record));
    record->id = ++core.last_id;
    record->stats = stats;
    if (held != stats) {
        loop_hold(stats);
        if (held != NULL) {
            loop_release(held);
        }
    }
    record->part = part;
    record->kind = (uint16_t)part->kind->number;
    record->created_ns = record->since_ns = now_ns();
    return record;
}

static void free_texts(TaskRecord *record)
{
    if (!(record->name & 1)) {
        free((void *)record->name);
    }
    details_free(record);
}

static void give_back(TaskRecord *record)
{
    LoopStats *stats = record->stats;
    slab_give(record);
    loop_release(stats);
}

/* The loops' side has no use for it, and the collector does not know it. */
void record_drop(TaskRecord *record)
{
    free_texts(record);
    if (!slab_keep(record)) {
        give_back(record);
    }
}

/* On either side. */
void record_free(TaskRecord *record)
{
    free_texts(record);
    give_back(record);
}

/* The record is the task's from now on. -1 where there is no memory, or the task has a record already. */
int record_register(TaskRecord *record, PyObject *task)
{
    if ((slots_used + 1) * 3 > slots_size * 2
        && slots_resize(slots_size == 0 ? SMALLEST_TABLE : slots_size * 2) < 0
        && slots_used + 1 >= slots_size) {
        return -1;
    }
    size_t at = slot_of(task, slots_size);
    while (slots[at].task != NULL) {
        if (slots[at].task == task) {
            return -1;
        }
        at = (at + 1) & (slots_size - 1);
    }
    slots[at].task = task;
    slots[at].record = record;
    slots_used++;
    record->task = task;
    ADD(record->part->spawned, 1);
    record->dirty = 1;
    if (unborn_try()) {
        STORE(record->flags, UNBORN);
        record->previous = core.unborn_last;
        *(core.unborn_last != NULL ? &core.unborn_last->next : &core.unborn_first) = record;
        core.unborn_last = record;
        unborn_release();
    }
    else {
        record->dirty = 0;
        record_changed(record); /* the collector has the list: it finds this one the other way */
    }
    return 0;
}

/* While the task is being freed, it must not come to life again. */
PyObject *record_task(const TaskRecord *record)
{
    return record->task != NULL && Py_REFCNT(record->task) > 0 ? Py_NewRef(record->task) : NULL;
}

/* The task has ended, or is gone. */
void record_unregister(TaskRecord *record)
{
    if (record->task != NULL) {
        slots_remove(record->task);
        record->task = NULL;
    }
}

/* To be called after the change. */
void record_changed(TaskRecord *record)
{
    if (HAS(record, FORGOTTEN) || __atomic_exchange_n(&record->dirty, 1, __ATOMIC_SEQ_CST)) {
        return;
    }
    record->changed = LOAD(core.changed);
    while (!__atomic_compare_exchange_n(&core.changed, &record->changed, record, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
}

/* N of "Task-N"; -1 for any other name. */
static int64_t default_name(const char *name, Py_ssize_t length)
{
    if (length < 6 || length > 16 || memcmp(name, "Task-", 5) != 0 || name[5] == '0') {
        return -1;
    }
    int64_t number = 0;
    for (Py_ssize_t i = 5; i < length; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return -1;
        }
        number = number * 10 + (name[i] - '0');
    }
    return number;
}

/* Remember a task's name. */
void record_name(TaskRecord *record, PyObject *name)
{
    if (PyUnicode_CheckExact(name) && PyUnicode_IS_COMPACT_ASCII(name)) {
        const char *text = PyUnicode_DATA(name);
        int64_t number = default_name(text, PyUnicode_GET_LENGTH(name));
        if (number >= 0) {
            uintptr_t tagged = (uintptr_t)number * 2 + 1;
            if (record->name == tagged) {
                return;
            }
            if (record->name == 0) {
                STORE(record->name, tagged);
                SET(record, RENAMED);
                return;
            }
        }
    }
    char *text = text_clipped(name);
    if (text == NULL) {
        return;
    }
    uintptr_t before = record->name;
    if (before != 0 && !(before & 1) && strcmp((char *)before, text) == 0) {
        free(text);
        return;
    }
    pthread_mutex_lock(&names_lock);
    __atomic_store_n(&record->name, (uintptr_t)text, __ATOMIC_RELEASE);
    SET(record, RENAMED);
    pthread_mutex_unlock(&names_lock);
    if (!(before & 1)) {
        free((void *)before);
    }
}

/* The live tasks are no longer known. */
void records_unlist(void)
{
    for (size_t i = 0; i < slots_size; i++) {
        if (slots[i].task != NULL) {
            slots[i].record->task = NULL;
        }
    }
    free(slots);
    slots = NULL;
    slots_size = slots_used = 0;
}

/* Where the statistics live, and how they are found. Everything here is the loops' side, except what the
 * collector frees.
 *
 * Records are cut from slabs, so that a million tasks cost what their records take, and so that the memory of
 * a burst goes back to the system. */
#include "native.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__ /* `make sanitize`: it knows of malloc's memory, but not of ours */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)0)
#endif

Core core;
_Thread_local PyObject *factory_now;
pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
bool unborn_held;
pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static PyObject *s_cr_code, *s_gi_code, *s_ag_code, *s_qualname, *s_module, *s_uvloop;
static PyObject *s_get_debug, *s_time, *s_check_closed;

/* -- slabs -- */

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

/* A few records that the loops' side has given back, for its next ones: without the lock. */
#define SPARE_RECORDS 16
static TaskRecord *spare[SPARE_RECORDS];
static int spares;

static TaskRecord *slab_take(void)
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
    if (++slab->used == SLAB_RECORDS) {
        slab_unlink(slab);
    }
    pthread_mutex_unlock(&slab_lock);
    return record;
}

static void slab_give(TaskRecord *record)
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
    /* Objects lie 16 bytes apart at least; the multiplication spreads what is left. */
    return (size_t)(((uintptr_t)task >> 4) * 0x9E3779B97F4A7C15u >> 20) & (size - 1);
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

size_t records_live(void)
{
    return slots_used;
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
    memset(record, 0, sizeof(*record));
    record->id = ++core.last_id;
    record->stats = stats;
    loop_hold(stats);
    record->part = part;
    record->kind = (uint16_t)part->kind->number;
    record->created_ns = record->since_ns = now_ns();
    return record;
}

static void texts_free(TaskRecord *record)
{
    if (!(record->name & 1)) {
        free((void *)record->name);
    }
    free(record->exception);
}

/* The loops' side has no use for it, and the collector does not know it. */
void record_drop(TaskRecord *record)
{
    if (spares == SPARE_RECORDS) {
        record_free(record);
        return;
    }
    texts_free(record);
    spare[spares++] = record;
    loop_release(record->stats);
}

/* On either side. */
void record_free(TaskRecord *record)
{
    texts_free(record);
    LoopStats *stats = record->stats;
    slab_give(record);
    loop_release(stats);
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
        SET(record, UNBORN);
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

void record_unpin(TaskRecord *record)
{
    /* Without its last pin, one that is not forgotten is the collector's to free. */
    bool ours = HAS(record, FORGOTTEN);
    if (__atomic_sub_fetch(&record->pins, 1, __ATOMIC_RELEASE) == 0 && ours) {
        record_drop(record);
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

/* -- kinds -- */

static Kind further = {.archive.kind = &further}; /* number 0 gathers what is beyond MAX_KINDS */
static Kind *kinds[MAX_KINDS + 1] = {&further};
static int kinds_made; /* the last one's number */

Kind *kind_number(int number)
{
    return kinds[number];
}

int kinds_count(void)
{
    return __atomic_load_n(&kinds_made, __ATOMIC_ACQUIRE);
}

void sums_add(KindStats *to, const KindStats *from)
{
    /* Ends are read before spawns, so that live tasks are never fewer than none. */
    to->returned += LOAD(from->returned);
    to->raised += LOAD(from->raised);
    to->cancelled += LOAD(from->cancelled);
    to->destroyed += LOAD(from->destroyed);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    to->spawned += LOAD(from->spawned);
    to->busy_ns += LOAD(from->busy_ns);
    to->scheduled_ns += LOAD(from->scheduled_ns);
    int64_t longest = LOAD(from->max_poll_ns);
    if (longest > to->max_poll_ns) {
        to->max_poll_ns = longest;
    }
    for (int i = 0; i < BUCKETS; i++) {
        to->histogram[i] += LOAD(from->histogram[i]);
    }
}

static Kind *kind_new(const Kind *like, int number)
{
    Kind *kind = calloc(1, sizeof(Kind));
    if (kind != NULL) {
        *kind = *like;
        kind->number = number;
        kind->archive.kind = kind;
        kinds[number] = kind;
    }
    return kind;
}

/* The kind with these names and lines, a new one where there is none. Only reached for what a loop has not
 * spawned before. */
static Kind *kind_like(const Kind *wanted)
{
    for (int number = 1; number <= kinds_made; number++) {
        Kind *kind = kinds[number];
        if (kind->name == wanted->name && kind->defined_file == wanted->defined_file
            && kind->spawned_file == wanted->spawned_file && kind->defined_line == wanted->defined_line
            && kind->spawned_line == wanted->spawned_line) {
            return kind;
        }
    }
    if (kinds_made == MAX_KINDS) {
        return kinds[0];
    }
    Kind *kind = kind_new(wanted, kinds_made + 1);
    if (kind != NULL) {
        __atomic_store_n(&kinds_made, kinds_made + 1, __ATOMIC_RELEASE);
    }
    return kind;
}

static size_t part_slot(const LoopStats *stats, const void *code, const void *site, int lasti)
{
    size_t mixed = ((uintptr_t)code >> 4) * 0x9E3779B97F4A7C15u ^ ((uintptr_t)site >> 4) * 0xC2B2AE3D27D4EB4Fu
                   ^ (size_t)lasti * 0x165667B19E3779F9u;
    return (mixed >> 20) & (stats->kinds_size - 1);
}

static KindStats *part_find(const LoopStats *stats, const void *code, const void *site, int lasti)
{
    if (stats->kinds_used == 0) {
        return NULL;
    }
    size_t at = part_slot(stats, code, site, lasti);
    for (KindStats *part; (part = stats->kinds[at]) != NULL; at = (at + 1) & (stats->kinds_size - 1)) {
        if (part->code == code && part->site == site && part->lasti == lasti) {
            return part;
        }
    }
    return NULL;
}

static void part_insert(LoopStats *stats, KindStats *part)
{
    size_t at = part_slot(stats, part->code, part->site, part->lasti);
    while (stats->kinds[at] != NULL) {
        at = (at + 1) & (stats->kinds_size - 1);
    }
    stats->kinds[at] = part;
}

static int parts_grow(LoopStats *stats)
{
    size_t before = stats->kinds_size;
    KindStats **parts = stats->kinds, **grown = calloc(before ? before * 2 : 64, sizeof(KindStats *));
    if (grown == NULL) {
        return -1;
    }
    stats->kinds = grown;
    stats->kinds_size = before ? before * 2 : 64;
    for (size_t i = 0; i < before; i++) {
        if (parts[i] != NULL) {
            part_insert(stats, parts[i]);
        }
    }
    free(parts);
    return 0;
}

static KindStats *part_new(LoopStats *stats, Kind *kind, PyObject *code, PyObject *site, int lasti)
{
    if (kind->number == 0) {
        code = site = NULL;
        lasti = 0;
        KindStats *part = part_find(stats, NULL, NULL, 0);
        if (part != NULL) {
            return part;
        }
    }
    KindStats *part = NULL;
    if ((stats->kinds_used * 2 < stats->kinds_size || parts_grow(stats) == 0)
        && (part = calloc(1, sizeof(KindStats))) != NULL) {
        part->kind = kind;
        part->code = Py_XNewRef(code);
        part->site = Py_XNewRef(site);
        part->lasti = lasti;
        part_insert(stats, part);
        stats->kinds_used++;
        pthread_mutex_lock(&registry_lock);
        part->next = kind->archive.next;
        kind->archive.next = part;
        pthread_mutex_unlock(&registry_lock);
    }
    return part;
}

/* The code object of a coroutine, else its type: a new reference. */
static PyObject *code_of(PyObject *coroutine)
{
    if (PyCoro_CheckExact(coroutine)) {
#if PY_VERSION_HEX >= 0x030C0000
        return (PyObject *)PyGen_GetCode((PyGenObject *)coroutine);
#else
        return Py_NewRef(((PyCoroObject *)coroutine)->cr_code);
#endif
    }
    PyObject *names[] = {s_cr_code, s_gi_code, s_ag_code};
    for (int i = 0; i < 3; i++) {
        PyObject *code = PyObject_GetAttr(coroutine, names[i]);
        if (code == NULL) {
            PyErr_Clear();
        }
        else if (PyCode_Check(code)) {
            return code;
        }
        Py_XDECREF(code);
    }
    return Py_NewRef(Py_TYPE(coroutine));
}

static uint32_t qualname_text(PyObject *coroutine)
{
    PyObject *name = PyObject_GetAttr(coroutine, s_qualname);
    if (name == NULL || !PyUnicode_Check(name)) {
        PyErr_Clear();
        Py_XDECREF(name);
        name = PyType_GetQualName(Py_TYPE(coroutine));
    }
    uint32_t number = name != NULL ? text_of(name) : 0;
    Py_XDECREF(name);
    PyErr_Clear();
    return number;
}

/* The part of a task's kind on this loop. The task is `spawned` by the code that runs now; else it was there
 * before the hooks, and where it was spawned is not known. NULL, without an error, where there is no memory, or
 * the loop was closed meanwhile. */
KindStats *kind_of(LoopStats *stats, PyObject *coroutine, bool spawned)
{
    unsigned closures = core.closures; /* what follows may run Python code, and with it other threads */
    void *bottom = stats->now.bottom;
    PyObject *code = code_of(coroutine);
    PyCodeObject *site = NULL;
    int lasti = 0;
    if (spawned) {
        spawn_site(code, factory_now, bottom, &site, &lasti);
    }
    KindStats *part = core.closures == closures ? part_find(stats, code, site, lasti) : NULL;
    if (part == NULL) {
        Kind wanted = {.name = qualname_text(coroutine)};
        if (PyCode_Check(code)) {
            wanted.defined_file = text_of(((PyCodeObject *)code)->co_filename);
            wanted.defined_line = ((PyCodeObject *)code)->co_firstlineno;
        }
        if (site != NULL) {
            wanted.spawned_file = text_of(site->co_filename);
            wanted.spawned_line = PyCode_Addr2Line(site, lasti * 2);
        }
        Kind *kind = core.closures == closures ? kind_like(&wanted) : NULL;
        part = kind != NULL ? part_new(stats, kind, code, (PyObject *)site, lasti) : NULL;
    }
    Py_DECREF(code);
    return part;
}

/* -- loops -- */

static LoopStats *latest; /* the loop that was asked for last */
static PyObject *base_loop;

LoopStats *loop_known(PyObject *loop)
{
    if (latest != NULL && latest->loop == loop) {
        return latest;
    }
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        if (stats->loop == loop) {
            return latest = stats;
        }
    }
    return NULL;
}

LoopStats *loop_after(int number)
{
    LoopStats *stats = core.loops;
    while (stats != NULL && stats->number <= number) {
        stats = stats->next;
    }
    return stats;
}

bool loop_listed(const LoopStats *wanted)
{
    const LoopStats *stats = core.loops;
    while (stats != NULL && stats != wanted) {
        stats = stats->next;
    }
    return stats != NULL;
}

static PyObject *loop_collected(PyObject *Py_UNUSED(self), PyObject *weak)
{
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        if (stats->weak == weak) {
            loop_closed(stats);
            break;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef collected_def = {"loop_collected", loop_collected, METH_O, NULL};
static PyObject *collected;

static bool inherits(PyObject *loop, PyObject *name)
{
    PyObject *its = PyObject_GetAttr((PyObject *)Py_TYPE(loop), name);
    PyObject *ours = PyObject_GetAttr(base_loop, name);
    bool same = its != NULL && its == ours;
    Py_XDECREF(its);
    Py_XDECREF(ours);
    PyErr_Clear();
    return same;
}

static bool is_uvloop(PyObject *loop)
{
    PyObject *module = PyObject_GetAttr((PyObject *)Py_TYPE(loop), s_module);
    bool found = module != NULL && PyUnicode_Check(module)
                 && PyUnicode_Tailmatch(module, s_uvloop, 0, PyUnicode_GET_LENGTH(module), -1) > 0;
    Py_XDECREF(module);
    PyErr_Clear();
    return found;
}

static void drop_long_polls(LoopStats *stats)
{
    for (LongPoll poll; long_poll_take(stats, &poll);) {
        Py_XDECREF(poll.name);
    }
}

/* Closed loops beyond the newest few are no longer listed. */
static void forget_oldest(void)
{
    int closed = 0;
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        closed += stats->loop == NULL;
    }
    LoopStats *gone = NULL;
    pthread_mutex_lock(&registry_lock);
    for (LoopStats **link = &core.loops; *link != NULL && closed > CLOSED_LOOPS;) {
        LoopStats *stats = *link;
        if (stats->loop != NULL) {
            link = &stats->next;
            continue;
        }
        *link = stats->next;
        stats->next = gone;
        gone = stats;
        closed--;
    }
    pthread_mutex_unlock(&registry_lock);
    while (gone != NULL) {
        LoopStats *stats = gone;
        gone = stats->next;
        drop_long_polls(stats);
        loop_release(stats);
    }
}

LoopStats *loop_stats(PyObject *loop)
{
    LoopStats *stats = loop_known(loop);
    if (stats != NULL || !core.open) {
        return stats;
    }
    stats = calloc(1, sizeof(LoopStats));
    PyObject *weak = stats != NULL ? PyWeakref_NewRef(loop, collected) : NULL;
    if (weak == NULL) {
        PyErr_Clear();
        free(stats);
        return NULL;
    }
    stats->weak = weak;
    stats->loop = loop;
    stats->references = 1;
    stats->room = core.retained;
    stats->stock_debug = inherits(loop, s_get_debug);
    stats->stock_time = inherits(loop, s_time);
    stats->stock_checks = inherits(loop, s_check_closed);
    stats->runtime = is_uvloop(loop) ? "uvloop" : "asyncio";
    forget_oldest();
    pthread_mutex_lock(&registry_lock);
    stats->number = ++core.loops_seen;
    LoopStats **last = &core.loops;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = stats;
    pthread_mutex_unlock(&registry_lock);
    return latest = stats;
}

void loop_hold(LoopStats *stats)
{
    __atomic_add_fetch(&stats->references, 1, __ATOMIC_RELAXED);
}

/* On either side. */
void loop_release(LoopStats *stats)
{
    if (__atomic_sub_fetch(&stats->references, 1, __ATOMIC_ACQ_REL) == 0) {
        free(stats->thread_name);
        free(stats);
    }
}

/* A loop's sums live on in the archives. */
static void retire(LoopStats *stats)
{
    core.closures++;
    latest = NULL;
    KindStats **parts = stats->kinds;
    size_t size = stats->kinds_size, position = 0;
    for (TaskRecord *record; (record = record_next(&position)) != NULL;) {
        if (record->stats == stats) {
            record->part = &record->part->kind->archive;
            STORE(record->state, STATE_IDLE);
            record_changed(record);
        }
    }
    pthread_mutex_lock(&registry_lock);
    STORE(stats->loop, NULL);
    stats->kinds = NULL;
    stats->kinds_size = stats->kinds_used = 0;
    for (size_t i = 0; i < size; i++) {
        KindStats *part = parts[i];
        if (part != NULL) {
            KindStats **link = &part->kind->archive.next;
            while (*link != part) {
                link = &(*link)->next;
            }
            *link = part->next;
            sums_add(&part->kind->archive, part);
            /* What it has spawned since the collector looked is news still. */
            part->kind->archive.told_spawned += part->told_spawned;
        }
    }
    pthread_mutex_unlock(&registry_lock);
    PyObject *weak = stats->weak;
    stats->weak = NULL;
    /* From here on anything may happen: objects are let go of. */
    for (size_t i = 0; i < size; i++) {
        if (parts[i] != NULL) {
            Py_XDECREF(parts[i]->code);
            Py_XDECREF(parts[i]->site);
            free(parts[i]);
        }
    }
    free(parts);
    Py_XDECREF(weak);
}

/* A loop was closed or collected. */
void loop_closed(LoopStats *stats)
{
    if (stats->loop == NULL) {
        return;
    }
    loop_hold(stats);
    size_t at = 0;
    for (TaskRecord *record; (record = record_next(&at)) != NULL;) {
        if (record->stats == stats) {
            name_now(record);
        }
    }
    if (stats->loop != NULL) {
        retire(stats);
    }
    loop_release(stats);
}

/* A poll or callback was past the threshold. */
void note_long_poll(LoopStats *stats, int64_t task, int kind, PyObject *name, int64_t started_ns, int64_t took_ns)
{
    if (!loop_listed(stats)) {
        return; /* nobody would take it */
    }
    if (stats->long_polls == NULL) {
        stats->long_polls = calloc(MAX_LONG_POLLS, sizeof(LongPoll));
        if (stats->long_polls == NULL) {
            STORE(stats->long_lost, stats->long_lost + 1);
            return;
        }
    }
    LongPoll *at = &stats->long_polls[(stats->long_first + stats->long_count) % MAX_LONG_POLLS];
    if (stats->long_count == MAX_LONG_POLLS) {
        stats->long_first = (stats->long_first + 1) % MAX_LONG_POLLS;
        STORE(stats->long_lost, stats->long_lost + 1);
        Py_XDECREF(at->name);
    }
    else {
        stats->long_count++;
    }
    *at = (LongPoll){.task = task, .kind = kind, .name = Py_XNewRef(name), .started_ns = started_ns, .took_ns = took_ns};
}

/* `task` has been given a name since its poll, which may have been the latest long one. */
void rename_long_poll(LoopStats *stats, int64_t id, PyObject *task)
{
    if (stats->long_count == 0) {
        return;
    }
    LongPoll *latest = &stats->long_polls[(stats->long_first + stats->long_count - 1) % MAX_LONG_POLLS];
    if (latest->task == id) {
        Py_XSETREF(latest->name, task_name(task));
    }
}

/* Take the oldest one, and its reference to the name. False where there are no more: a closed loop needs their
 * place no longer then. */
bool long_poll_take(LoopStats *stats, LongPoll *taken)
{
    if (stats->long_count > 0) {
        *taken = stats->long_polls[stats->long_first];
        stats->long_first = (stats->long_first + 1) % MAX_LONG_POLLS;
        stats->long_count--;
        return true;
    }
    if (stats->loop == NULL) {
        free(stats->long_polls);
        stats->long_polls = NULL;
    }
    return false;
}

/* -- the beginning and the end -- */

static void intern(PyObject **place, const char *text)
{
    *place = PyUnicode_InternFromString(text);
}

int records_init(PyObject *loop_class)
{
    base_loop = Py_NewRef(loop_class);
    intern(&s_cr_code, "cr_code");
    intern(&s_gi_code, "gi_code");
    intern(&s_ag_code, "ag_code");
    intern(&s_qualname, "__qualname__");
    intern(&s_module, "__module__");
    intern(&s_uvloop, "uvloop");
    intern(&s_get_debug, "get_debug");
    intern(&s_time, "time");
    intern(&s_check_closed, "_check_closed");
    collected = PyCFunction_New(&collected_def, NULL);
    return PyErr_Occurred() ? -1 : 0;
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

/* No record is left but those that handles hold: let go of loops and kinds. */
void records_forget(void)
{
    while (core.loops != NULL) {
        LoopStats *stats = core.loops;
        pthread_mutex_lock(&registry_lock);
        core.loops = stats->next;
        pthread_mutex_unlock(&registry_lock);
        loop_closed(stats);
        drop_long_polls(stats);
        loop_release(stats);
    }
    pthread_mutex_lock(&registry_lock);
    int made = kinds_made;
    __atomic_store_n(&kinds_made, 0, __ATOMIC_RELEASE);
    for (int number = 1; number <= made; number++) {
        free(kinds[number]);
        kinds[number] = NULL;
    }
    further = (Kind){.archive.kind = &further};
    pthread_mutex_unlock(&registry_lock);
    core.last_id = 0;
    core.loops_seen = 0;
}

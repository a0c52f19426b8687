/* Kinds of tasks, and their sums on each loop. The loops' side. */
#include "native.h"

#include <stdlib.h>

static PyObject *s_cr_code, *s_gi_code, *s_ag_code, *s_qualname;

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

void kinds_forget(void)
{
    pthread_mutex_lock(&registry_lock);
    int made = kinds_made;
    __atomic_store_n(&kinds_made, 0, __ATOMIC_RELEASE);
    for (int number = 1; number <= made; number++) {
        free(kinds[number]);
        kinds[number] = NULL;
    }
    further = (Kind){.archive.kind = &further};
    pthread_mutex_unlock(&registry_lock);
}

int kinds_init(void)
{
    const Interned names[] = {
        {&s_cr_code, "cr_code"}, {&s_gi_code, "gi_code"}, {&s_ag_code, "ag_code"}, {&s_qualname, "__qualname__"},
    };
    return intern(names, sizeof(names) / sizeof(names[0]));
}

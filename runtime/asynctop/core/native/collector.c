/* From the records to frames of the wire. Touches no Python object.
 *
 * Each drain is a version. A record carries the version at which it was last seen to change, and the list from
 * `oldest` to `newest` is in that order, so a batch is the tail of it after the console's cursor.
 *
 * - A record that is woken or has ended stands in `core.changed`. The drain clears `dirty` first and reads
 *   afterwards, so whatever changes later puts the record there again. A new one is found among the unborn.
 * - A record that is scheduled or being polled when it is noted, or has no name yet, stays restless: it is noted
 *   again at each drain until it is idle, so that polls need not mark their record a second time.
 * - An ended record is kept for consoles that connect later; `core.retained` of them at most. One that a batch
 *   under way still lists is freed by that batch. */
#include "collector.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 2048              /* rows of one message: a few hundred kilobytes at most */
#define KINDS_AT_ONCE 256      /* kinds of one message: their histograms are long */
#define TEXTS_BYTES (256 * 1024) /* of texts in one message */

/* Numbers of the wire's messages. */
enum { RESET = 5, TEXTS, KINDS, SPAWNED, NAMED, POLLED, ENDED, TOTALS, LOOPS, TICK = 16, HISTORY = 19, HISTOGRAMS };

static pthread_mutex_t collector_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t version;
static uint32_t evicted_version; /* the newest version of an evicted task that consoles may have known alive */
static TaskRecord *oldest, *newest;

typedef struct {
    TaskRecord **items;
    size_t count, room;
} List;

static List restless;
/* The ended ones, in the order of their ends. */
static TaskRecord *retained_first, *retained_last;
static int64_t retained_count;
static size_t nameless; /* of the restless ones: tasks whose names nobody has read, most often because they were not polled yet */

static bool list_add(List *list, TaskRecord *record)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 1024 : list->room * 2;
        TaskRecord **items = realloc(list->items, room * sizeof(TaskRecord *));
        if (items == NULL) {
            return false;
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = record;
    return true;
}

static Cursor *cursors; /* those that know something, or watch */

/* -- watched tasks -- */

static History *unwatched; /* to be freed: a stack, taken whole by `collector_tidy` */

static void stop_watching(Cursor *cursor, int index)
{
    Watched *watched = &cursor->watched[index];
    History *history = watched->history;
    if (--history->watchers == 0) {
        __atomic_store_n(&details_of(watched->record)->history, NULL, __ATOMIC_RELEASE);
        history->next = LOAD(unwatched);
        while (!__atomic_compare_exchange_n(&unwatched, &history->next, history, true, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED)) {
        }
    }
    *watched = cursor->watched[--cursor->watching];
}

/* The record is about to be freed. */
static void stop_all_watching(const TaskRecord *record)
{
    for (Cursor *cursor = cursors; cursor != NULL; cursor = cursor->next) {
        for (int i = cursor->watching; i-- > 0;) {
            if (cursor->watched[i].record == record) {
                stop_watching(cursor, i);
            }
        }
    }
}

static void watch(Cursor *cursor, TaskRecord *record)
{
    Details *details = details_make(record);
    History *history = details != NULL ? details->history : NULL;
    if (details != NULL && history == NULL) {
        history = calloc(1, sizeof(History));
        __atomic_store_n(&details->history, history, __ATOMIC_RELEASE);
    }
    if (history != NULL) {
        uint64_t count = __atomic_load_n(&history->count, __ATOMIC_ACQUIRE);
        uint64_t at = count > POLLS_KEPT ? count - POLLS_KEPT : 0;
        history->watchers++;
        cursor->watched[cursor->watching++] = (Watched){record, history, at, at, -1, 0};
    }
}

static bool listed(const int64_t *ids, int count, int64_t id)
{
    for (int i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool watches(const Cursor *cursor, const TaskRecord *record)
{
    for (int i = 0; i < cursor->watching; i++) {
        if (cursor->watched[i].record == record) {
            return true;
        }
    }
    return false;
}

void collector_tidy(void)
{
    History *first = __atomic_exchange_n(&unwatched, NULL, __ATOMIC_ACQUIRE);
    while (first != NULL) {
        History *next = first->next;
        free(first);
        first = next;
    }
    trace_tidy();
}

/* -- draining -- */

static void unlink_record(TaskRecord *record)
{
    *(record->previous != NULL ? &record->previous->next : &oldest) = record->next;
    *(record->next != NULL ? &record->next->previous : &newest) = record->previous;
}

static void link_newest(TaskRecord *record)
{
    record->previous = newest;
    record->next = NULL;
    *(newest != NULL ? &newest->next : &oldest) = record;
    newest = record;
}

static void retain(TaskRecord *record)
{
    record->retained = NULL;
    *(retained_count > 0 ? &retained_last->retained : &retained_first) = record;
    retained_last = record;
    retained_count++;
}

/* At the start of a drain: a console that keeps up has seen the last one whole. */
static void evict(void)
{
    for (int64_t over = retained_count - core.retained; over > 0; over--) {
        TaskRecord *record = retained_first;
        retained_first = record->retained;
        retained_count--;
        if (__atomic_load_n(&record->pins, __ATOMIC_ACQUIRE) || LOAD(record->dirty) || HAS(record, RESTLESS)) {
            retain(record); /* its loop is not done with it, or it is listed still: the others need not wait */
            continue;
        }
        unlink_record(record);
        stop_all_watching(record);
        if (record->born < record->version && record->version > evicted_version) {
            evicted_version = record->version;
        }
        if (record->holds > 0) {
            SET(record, EVICTED);
        }
        else {
            record_free(record);
        }
    }
}

static bool polled_now(const TaskRecord *record)
{
    return __atomic_load_n(&record->stats->now.task, __ATOMIC_ACQUIRE) == record;
}

/* It may have changed: it is of this version now. */
static void note(TaskRecord *record)
{
    if (record->born == 0) {
        record->born = version;
    }
    else {
        unlink_record(record);
    }
    if (HAS(record, RENAMED)) {
        CLEAR(record, RENAMED);
        SET(record, NAME_IS_NEWS);
    }
    else {
        CLEAR(record, NAME_IS_NEWS);
    }
    record->version = version;
    link_newest(record);
    kind_number(record->kind)->totals_version = version;
    int state = __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
    if (state == STATE_DONE) {
        if (!HAS(record, KEPT)) { /* it may come once more, in `core.changed` */
            retain(record);
            SET(record, KEPT);
        }
    }
    else if (state == STATE_SCHEDULED || polled_now(record) || LOAD(record->name) == 0) {
        if (!HAS(record, RESTLESS) && list_add(&restless, record)) {
            SET(record, RESTLESS);
            ADD(nameless, LOAD(record->name) == 0);
        }
    }
}

static void unborn_take(void)
{
    while (!unborn_try()) {
        sched_yield();
    }
}

#define UNBORN_AT_ONCE 128 /* a few microseconds, in which the loops' side has to go another way */

static void drain_unborn(void)
{
    TaskRecord *taken[UNBORN_AT_ONCE];
    int count;
    do {
        count = 0;
        unborn_take();
        while (count < UNBORN_AT_ONCE && core.unborn_first != NULL) {
            TaskRecord *record = core.unborn_first;
            core.unborn_first = record->next;
            CLEAR(record, UNBORN);
            taken[count++] = record;
        }
        *(core.unborn_first != NULL ? &core.unborn_first->previous : &core.unborn_last) = NULL;
        unborn_release();
        for (int i = 0; i < count; i++) {
            __atomic_store_n(&taken[i]->dirty, 0, __ATOMIC_SEQ_CST);
        }
        for (int i = 0; i < count; i++) {
            note(taken[i]);
        }
    } while (count == UNBORN_AT_ONCE);
}

static void drain_changed(void)
{
    TaskRecord *first = __atomic_exchange_n(&core.changed, NULL, __ATOMIC_ACQUIRE);
    while (first != NULL) {
        TaskRecord *record = first;
        first = record->changed;
        __atomic_store_n(&record->dirty, 0, __ATOMIC_SEQ_CST);
        note(record);
    }
}

static void drain_restless(void)
{
    List before = restless;
    restless = (List){0};
    STORE(nameless, 0);
    for (size_t i = 0; i < before.count; i++) {
        TaskRecord *record = before.items[i];
        CLEAR(record, RESTLESS);
        if (!LOAD(record->dirty)) {
            note(record);
        }
    }
    free(before.items);
}

static void drain_registry(void)
{
    pthread_mutex_lock(&registry_lock);
    for (int number = 0, count = kinds_count(); number <= count; number++) {
        Kind *kind = kind_number(number);
        for (KindStats *part = &kind->archive; part != NULL; part = part->next) {
            int64_t spawned = LOAD(part->spawned);
            if (spawned != part->told_spawned) {
                part->told_spawned = spawned;
                kind->totals_version = version;
            }
        }
    }
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        STORE(stats->room, core.retained);
        if (LOAD(stats->lag_ns) > stats->lag_ever_ns) {
            stats->lag_ever_ns = LOAD(stats->lag_ns);
        }
        if (LOAD(stats->worst.took_ns) > stats->turn_ever_ns) {
            stats->turn_ever_ns = LOAD(stats->worst.took_ns);
        }
    }
    pthread_mutex_unlock(&registry_lock);
}

/* Take note of what changed since the last drain. */
void collector_drain(void)
{
    pthread_mutex_lock(&collector_lock);
    clock_tie();
    trace_drain(); /* before the rest: whose polls these are is found below */
    evict();
    version++;
    drain_restless();
    drain_unborn();
    drain_changed();
    drain_registry();
    pthread_mutex_unlock(&collector_lock);
}

static int compare_ids(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Those of a loop: of all the last drain knew, or of the `wanted` ones, whose ids are in order. */
void collector_live(int loop, const int64_t *wanted, size_t count, Buffer *out)
{
    pthread_mutex_lock(&collector_lock);
    for (const TaskRecord *record = oldest; record != NULL; record = record->next) {
        PyObject *task = LOAD(record->task);
        if (task != NULL && record->stats->number == loop
            && (wanted == NULL || bsearch(&record->id, wanted, count, sizeof(*wanted), compare_ids) != NULL)) {
            int64_t found[] = {record->id, (int64_t)(intptr_t)task};
            pack_raw(out, found, sizeof(found));
        }
    }
    pthread_mutex_unlock(&collector_lock);
}

/* On the loops' side: read the names of restless tasks. Where the loop is stuck they may stay so for
 * long. Whether there were any. */
bool collector_name(void)
{
    if (LOAD(nameless) == 0 || pthread_mutex_trylock(&collector_lock) != 0) {
        return false;
    }
    /* Their methods may be the program's own, which must not run under the lock. */
    TaskRecord **found = malloc(nameless * sizeof(TaskRecord *));
    size_t count = 0;
    for (size_t i = 0; found != NULL && i < restless.count && count < nameless; i++) {
        TaskRecord *record = restless.items[i];
        if (record->name == 0 && record->task != NULL) {
            record->pins++;
            found[count++] = record;
        }
    }
    STORE(nameless, 0);
    pthread_mutex_unlock(&collector_lock);
    for (size_t i = 0; i < count; i++) {
        name_now(found[i]);
        record_unpin(found[i]);
    }
    free(found);
    return true;
}

/* -- batches -- */

enum { AT_RESET, AT_KINDS, AT_TASKS, AT_HISTORY, AT_TRACE, AT_HISTOGRAMS, AT_TOTALS, AT_LOOPS, AT_TICK, AT_END };

static int64_t column[12][ROWS];

/* The batch is done with the next so many of what it lists. */
static void let_go(Cursor *cursor, size_t count)
{
    for (size_t end = cursor->at + count; cursor->at < end; cursor->at++) {
        TaskRecord *record = cursor->records[cursor->at];
        if (--record->holds == 0 && HAS(record, EVICTED)) {
            record_free(record);
        }
    }
}

static void release(Cursor *cursor)
{
    let_go(cursor, cursor->count - cursor->at);
    free(cursor->records);
    cursor->records = NULL;
    cursor->at = cursor->count = 0;
}

static void stop_tracing(Cursor *cursor)
{
    if (cursor->trace != NULL) {
        trace_leave(cursor->trace);
        cursor->trace = NULL;
    }
}

/* It knows nothing now. */
static void unlist(Cursor *cursor)
{
    release(cursor);
    while (cursor->watching > 0) {
        stop_watching(cursor, 0);
    }
    stop_tracing(cursor);
    if (cursor->previous != NULL) {
        cursor->previous->next = cursor->next;
    }
    else if (cursors == cursor) {
        cursors = cursor->next;
    }
    if (cursor->next != NULL) {
        cursor->next->previous = cursor->previous;
    }
    *cursor = (Cursor){.phase = AT_END};
}

static void list(Cursor *cursor)
{
    if (cursor->previous == NULL && cursors != cursor) {
        cursor->next = cursors;
        if (cursors != NULL) {
            cursors->previous = cursor;
        }
        cursors = cursor;
    }
}

void cursor_begin(Cursor *cursor)
{
    pthread_mutex_lock(&collector_lock);
    release(cursor);
    list(cursor);
    cursor->after = cursor->version;
    cursor->phase = AT_KINDS;
    if (cursor->version == 0 || cursor->version < evicted_version) {
        cursor->after = 0;
        cursor->phase = AT_RESET;
    }
    size_t count = 0;
    for (TaskRecord *record = newest; record != NULL && record->version > cursor->after; record = record->previous) {
        count++;
    }
    if (count > 0) {
        cursor->records = malloc(count * sizeof(TaskRecord *));
    }
    if (count == 0 || cursor->records != NULL) { /* else they are told the next time */
        cursor->version = version;
        cursor->count = count;
        TaskRecord *record = newest;
        for (size_t i = count; i-- > 0; record = record->previous) {
            record->holds++;
            cursor->records[i] = record;
        }
    }
    for (int i = 0; i < cursor->watching; i++) {
        Watched *watched = &cursor->watched[i];
        watched->until = __atomic_load_n(&watched->history->count, __ATOMIC_ACQUIRE);
        if (watched->until - watched->at > POLLS_KEPT) {
            watched->lost += (int64_t)(watched->until - watched->at - POLLS_KEPT);
            watched->at = watched->until - POLLS_KEPT;
        }
    }
    if (cursor->trace != NULL) {
        cursor->trace_until = trace_drained(cursor->trace);
    }
    cursor->kind = cursor->told = 0;
    pthread_mutex_unlock(&collector_lock);
}

/* At most MOST_WATCHED. What it watches already goes on; a task that is not known is left out. */
void cursor_watch(Cursor *cursor, const int64_t *tasks, int count)
{
    pthread_mutex_lock(&collector_lock);
    for (int i = cursor->watching; i-- > 0;) {
        if (!listed(tasks, count, cursor->watched[i].record->id)) {
            stop_watching(cursor, i);
        }
    }
    if (count > 0) {
        list(cursor);
    }
    for (TaskRecord *record = newest; record != NULL && cursor->watching < count; record = record->previous) {
        if (listed(tasks, count, record->id) && !watches(cursor, record)) {
            watch(cursor, record);
        }
    }
    pthread_mutex_unlock(&collector_lock);
}

/* One that traces already goes on. */
void cursor_trace(Cursor *cursor, int64_t after)
{
    pthread_mutex_lock(&collector_lock);
    if (cursor->trace == NULL && (cursor->trace = trace_join()) != NULL) {
        uint64_t count = trace_count(cursor->trace);
        list(cursor);
        if (after < 0) {
            cursor->trace_at = count > TRACED_SAFELY ? count - TRACED_SAFELY : 0;
        }
        else {
            cursor->trace_at = after > 0 && (uint64_t)after < count ? (uint64_t)after : count;
        }
        cursor->trace_until = 0;
        cursor->trace_lost = 0;
    }
    pthread_mutex_unlock(&collector_lock);
}

void cursor_untrace(Cursor *cursor)
{
    pthread_mutex_lock(&collector_lock);
    stop_tracing(cursor);
    pthread_mutex_unlock(&collector_lock);
}

void cursor_free(Cursor *cursor)
{
    pthread_mutex_lock(&collector_lock);
    unlist(cursor);
    pthread_mutex_unlock(&collector_lock);
}

static void field(Buffer *out, const char *name, int number, size_t rows)
{
    pack_field(out, name);
    pack_column(out, column[number], rows);
}

/* Fields by these names, the first of them from column `first`. */
static void fields(Buffer *out, const char *const names[], int count, int first, size_t rows)
{
    for (int i = 0; i < count; i++) {
        field(out, names[i], first + i, rows);
    }
}

/* Texts are numbered as rows are built, so this goes out before the message that was built. */
static void put_texts(Cursor *cursor, Buffer *out)
{
    uint32_t count = texts_count();
    while (cursor->texts < count) {
        uint32_t first = cursor->texts + 1, last = first;
        size_t bytes = 0, length;
        for (; last <= count && last - first < ROWS; last++) {
            text_at(last, &length);
            if (last > first && bytes + length > TEXTS_BYTES) {
                break;
            }
            bytes += length;
        }
        size_t frame = frame_begin(out, TEXTS, 2);
        pack_field(out, "first");
        pack_int(out, first);
        pack_field(out, "texts");
        pack_array(out, last - first);
        for (uint32_t number = first; number < last; number++) {
            const char *text = text_at(number, &length);
            pack_text(out, text, length);
        }
        frame_end(out, frame);
        cursor->texts = last - 1;
    }
}

static bool put_kinds(Cursor *cursor, Buffer *out)
{
    uint32_t first = cursor->kinds + 1, count = (uint32_t)kinds_count();
    size_t rows = count < first ? 0 : count + 1 - first > ROWS ? ROWS : count + 1 - first;
    if (rows == 0) {
        return false;
    }
    for (size_t row = 0; row < rows; row++) {
        const Kind *kind = kind_number((int)(first + row));
        column[0][row] = kind->name;
        column[1][row] = kind->defined_file;
        column[2][row] = kind->defined_line;
        column[3][row] = kind->spawned_file;
        column[4][row] = kind->spawned_line;
    }
    put_texts(cursor, out);
    size_t frame = frame_begin(out, KINDS, 6);
    pack_field(out, "first");
    pack_int(out, first);
    static const char *const names[] = {"name", "defined_file", "defined_line", "spawned_file", "spawned_line"};
    fields(out, names, 5, 0, rows);
    frame_end(out, frame);
    cursor->kinds += (uint32_t)rows;
    return true;
}

static int by_id(const void *one, const void *other)
{
    int64_t first = (*(TaskRecord *const *)one)->id, second = (*(TaskRecord *const *)other)->id;
    return (first > second) - (first < second);
}

static void put_spawned(const Cursor *cursor, Buffer *out, TaskRecord **records, size_t count)
{
    TaskRecord *born[ROWS];
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i]->born > cursor->after) {
            born[rows++] = records[i];
        }
    }
    if (rows == 0) {
        return;
    }
    qsort(born, rows, sizeof(TaskRecord *), by_id);
    for (size_t row = 0; row < rows; row++) {
        column[0][row] = born[row]->id;
        column[1][row] = born[row]->kind;
        column[2][row] = born[row]->stats->number;
        column[3][row] = born[row]->parent > 0 ? born[row]->parent : 0;
        column[4][row] = born[row]->created_ns;
    }
    size_t frame = frame_begin(out, SPAWNED, 5);
    static const char *const names[] = {"id", "kind", "loop", "parent", "created_ns"};
    fields(out, names, 5, 0, rows);
    frame_end(out, frame);
}

static void pack_name(Buffer *out, const TaskRecord *record)
{
    uintptr_t name = __atomic_load_n(&record->name, __ATOMIC_ACQUIRE);
    if (name & 1) {
        char text[32];
        pack_text(out, text, (size_t)snprintf(text, sizeof(text), "Task-%llu", (unsigned long long)(name / 2)));
    }
    else {
        const char *text = name != 0 ? (const char *)name : "";
        pack_text(out, text, strlen(text));
    }
}

static void put_named(const Cursor *cursor, Buffer *out, TaskRecord **records, size_t count)
{
    TaskRecord *named[ROWS];
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        TaskRecord *record = records[i];
        /* A console that has missed a drain may have missed a name. */
        if (record->born > cursor->after || HAS(record, NAME_IS_NEWS) || cursor->after + 1 < record->version) {
            column[0][rows] = record->id;
            named[rows++] = record;
        }
    }
    if (rows == 0) {
        return;
    }
    size_t frame = frame_begin(out, NAMED, 2);
    field(out, "id", 0, rows);
    pack_field(out, "names");
    pack_array(out, (uint32_t)rows);
    pthread_mutex_lock(&names_lock);
    for (size_t row = 0; row < rows; row++) {
        pack_name(out, named[row]);
    }
    pthread_mutex_unlock(&names_lock);
    frame_end(out, frame);
}

static void polled_rows(TaskRecord **records, size_t count)
{
    for (size_t row = 0; row < count; row++) {
        const TaskRecord *record = records[row];
        int state = __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
        int64_t since = LOAD(record->since_ns), waker = LOAD(record->waker);
        if (state != STATE_DONE && polled_now(record)) {
            state = STATE_POLLING;
            since = LOAD(record->stats->now.since_ns);
        }
        column[0][row] = record->id;
        column[1][row] = state;
        column[2][row] = since;
        column[3][row] = LOAD(record->polls);
        column[4][row] = LOAD(record->busy_ns);
        column[5][row] = LOAD(record->scheduled_ns);
        column[6][row] = LOAD(record->max_poll_ns);
        /* A wake leads to one poll: those that were not polled yet are the one that is under way. */
        column[7][row] = column[3][row] + (state == STATE_SCHEDULED || state == STATE_POLLING);
        column[8][row] = LOAD(record->self_wakes);
        column[9][row] = waker_source(waker);
        column[10][row] = waker > 0 ? waker : 0;
        column[11][row] = waker_name(waker);
    }
}

static void put_polled(Cursor *cursor, Buffer *out, TaskRecord **records, size_t rows)
{
    static const char *const names[] = {"id", "state", "since_ns", "polls", "busy_ns", "scheduled_ns",
                                        "max_poll_ns", "wakes", "self_wakes", "waker_source", "waker_task",
                                        "waker_name"};
    polled_rows(records, rows);
    put_texts(cursor, out);
    size_t frame = frame_begin(out, POLLED, 12);
    fields(out, names, 12, 0, rows);
    frame_end(out, frame);
}

/* Those whose end was told by `put_polled`, whose columns still stand: one may have ended since. */
static void put_ended(Cursor *cursor, Buffer *out, TaskRecord **records, size_t count)
{
    static int64_t ended[4][ROWS];
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (column[1][i] == STATE_DONE) {
            const TaskRecord *record = records[i];
            ended[0][rows] = record->id;
            ended[1][rows] = record->outcome ? record->outcome : UNKNOWN;
            ended[2][rows] = record->since_ns;
            const char *exception = details_told(record);
            ended[3][rows] = exception != NULL ? text_number(exception, strlen(exception)) : 0;
            rows++;
        }
    }
    if (rows == 0) {
        return;
    }
    memcpy(column, ended, sizeof(ended));
    put_texts(cursor, out);
    size_t frame = frame_begin(out, ENDED, 4);
    static const char *const names[] = {"id", "outcome", "ended_ns", "exception"};
    fields(out, names, 4, 0, rows);
    frame_end(out, frame);
}

static bool put_tasks(Cursor *cursor, Buffer *out)
{
    size_t count = cursor->count - cursor->at;
    if (count == 0) {
        return false;
    }
    count = count > ROWS ? ROWS : count;
    TaskRecord **records = cursor->records + cursor->at;
    put_spawned(cursor, out, records, count);
    put_named(cursor, out, records, count);
    put_polled(cursor, out, records, count);
    put_ended(cursor, out, records, count);
    let_go(cursor, count);
    return true;
}

static void history_row(size_t row, int64_t task, const WatchedPoll *poll)
{
    column[0][row] = task;
    column[1][row] = poll->woken_ns;
    column[2][row] = waker_source(poll->waker);
    column[3][row] = poll->waker > 0 ? poll->waker : 0;
    column[4][row] = waker_name(poll->waker);
    column[5][row] = poll->started_ns;
    column[6][row] = poll->ended_ns;
}

/* `first` is the number of the first row in a trace, or 0. */
static void put_rows_of_history(Cursor *cursor, Buffer *out, uint64_t first, size_t rows)
{
    static const char *const names[] = {"task", "woken_ns", "waker_source", "waker_task", "waker_name",
                                        "started_ns", "ended_ns", "yielded_file", "yielded_line"};
    int told = first > 0 ? 7 : 9; /* a trace does not have where they have yielded */
    put_texts(cursor, out);
    size_t frame = frame_begin(out, HISTORY, told + 1);
    fields(out, names, told, 0, rows);
    pack_field(out, "first");
    pack_int(out, (int64_t)first);
    frame_end(out, frame);
}

/* A message's worth of polls of watched tasks. */
static bool put_history(Cursor *cursor, Buffer *out)
{
    size_t rows = 0;
    while (cursor->told < cursor->watching && rows < ROWS) {
        Watched *watched = &cursor->watched[cursor->told];
        for (; watched->at < watched->until && rows < ROWS; watched->at++) {
            WatchedPoll poll;
            Place yielded;
            if (!history_poll(watched->history, watched->at, &poll, &yielded)) {
                watched->lost++;
                continue;
            }
            column[7][rows] = yielded.file;
            column[8][rows] = yielded.line;
            history_row(rows++, watched->record->id, &poll);
        }
        cursor->told += watched->at == watched->until;
    }
    if (rows == 0) {
        return false;
    }
    put_rows_of_history(cursor, out, 0, rows);
    return true;
}

/* A message's worth of the trace: polls whose numbers follow each other. */
static bool put_trace(Cursor *cursor, Buffer *out)
{
    size_t rows = 0;
    while (cursor->trace != NULL && cursor->trace_at < cursor->trace_until && rows < ROWS) {
        TracedPoll traced;
        if (trace_read(cursor->trace, cursor->trace_at, &traced)) {
            history_row(rows++, traced.task, &traced.poll);
        }
        else if (rows > 0) {
            break;
        }
        else {
            cursor->trace_lost++;
        }
        cursor->trace_at++;
    }
    if (rows == 0) {
        return false;
    }
    put_rows_of_history(cursor, out, cursor->trace_at - rows + 1, rows); /* the first of all is number 1 */
    return true;
}

static size_t without_empty_end(const int64_t *histogram)
{
    size_t length = BUCKETS;
    while (length > 0 && histogram[length - 1] == 0) {
        length--;
    }
    return length;
}

static void put_histograms(Cursor *cursor, Buffer *out)
{
    static int64_t histograms[2][MOST_WATCHED][BUCKETS];
    static const char *const names[] = {"polls", "scheduled"};
    uint32_t rows = 0;
    for (int i = 0; i < cursor->watching; i++) {
        Watched *watched = &cursor->watched[i];
        const Details *details = details_of(watched->record);
        int64_t polls = LOAD(watched->record->polls);
        if (polls != watched->told_polls && details_histogram(details, POLL_TIMES, histograms[POLL_TIMES][rows])
            && details_histogram(details, WAIT_TIMES, histograms[WAIT_TIMES][rows])) {
            watched->told_polls = polls;
            column[0][rows] = watched->record->id;
            column[1][rows++] = LOAD(details->max_wait_ns);
        }
    }
    if (rows == 0) {
        return;
    }
    size_t frame = frame_begin(out, HISTOGRAMS, 4);
    field(out, "task", 0, rows);
    field(out, "max_scheduled_ns", 1, rows);
    for (int which = POLL_TIMES; which <= WAIT_TIMES; which++) {
        pack_field(out, names[which]);
        pack_array(out, rows);
        for (uint32_t row = 0; row < rows; row++) {
            pack_column(out, histograms[which][row], without_empty_end(histograms[which][row]));
        }
    }
    frame_end(out, frame);
}

static bool put_totals(Cursor *cursor, Buffer *out)
{
    static KindStats sums[KINDS_AT_ONCE];
    static const char *const names[] = {"kind", "spawned", "returned", "raised", "cancelled", "destroyed",
                                        "unknown", "polls", "busy_ns", "scheduled_ns", "max_poll_ns"};
    size_t rows = 0;
    for (; cursor->kind <= (int)cursor->kinds && rows < KINDS_AT_ONCE; cursor->kind++) {
        const Kind *kind = kind_number(cursor->kind);
        if (kind->totals_version <= cursor->after) {
            continue;
        }
        KindStats *sum = &sums[rows];
        memset(sum, 0, sizeof(*sum));
        pthread_mutex_lock(&registry_lock);
        for (const KindStats *part = &kind->archive; part != NULL; part = part->next) {
            sums_add(sum, part);
        }
        pthread_mutex_unlock(&registry_lock);
        int64_t polls = 0;
        for (int i = 0; i < BUCKETS; i++) {
            polls += sum->histogram[i];
        }
        int64_t values[] = {cursor->kind, sum->spawned, sum->returned, sum->raised, sum->cancelled, sum->destroyed,
                            0, polls, sum->busy_ns, sum->scheduled_ns, sum->max_poll_ns};
        for (int i = 0; i < 11; i++) {
            column[i][rows] = values[i];
        }
        rows++;
    }
    if (rows == 0) {
        return false;
    }
    size_t frame = frame_begin(out, TOTALS, 12);
    fields(out, names, 11, 0, rows);
    pack_field(out, "histograms");
    pack_array(out, (uint32_t)rows);
    for (size_t row = 0; row < rows; row++) {
        pack_column(out, sums[row].histogram, without_empty_end(sums[row].histogram));
    }
    frame_end(out, frame);
    return true;
}

/* What a loop runs: the task's or the callback's name. */
static void pack_current(Buffer *out, const LoopStats *stats)
{
    unborn_take(); /* a record that nobody knows of is not freed meanwhile */
    const TaskRecord *record = __atomic_load_n(&stats->now.task, __ATOMIC_ACQUIRE);
    if (record != NULL && LOAD(record->name) != 0) {
        pthread_mutex_lock(&names_lock);
        pack_name(out, record);
        pthread_mutex_unlock(&names_lock);
    }
    else {
        /* In its first poll a task may have no name yet: its function's will do. */
        uint32_t number = record != NULL ? kind_number(record->kind)->name : waker_name(LOAD(stats->now.waker));
        size_t length = 0;
        const char *text = number != 0 ? text_at(number, &length) : "";
        pack_text(out, text, length);
    }
    unborn_release();
}

/* The loops' turns and timers, from column 0 on. The registry is locked. */
static int turns_and_timers(uint32_t rows)
{
    LoopStats *stats = core.loops;
    for (uint32_t row = 0; row < rows; row++, stats = stats->next) {
        column[0][row] = LOAD(stats->turns);
        STORE(stats->turn_mark_ns, 0);
        column[1][row] = __atomic_exchange_n(&stats->worst.took_ns, 0, __ATOMIC_RELAXED);
        column[2][row] = stats->turn_ever_ns;
        column[3][row] = LOAD(stats->worst.began_ns);
        column[4][row] = LOAD(stats->worst.polls);
        column[5][row] = LOAD(stats->worst.longest_ns);
        column[6][row] = LOAD(stats->worst.kind);
        column[7][row] = LOAD(stats->timers);
        column[8][row] = LOAD(stats->timers_fired);
    }
    return 9;
}

static void put_loops(Cursor *cursor, Buffer *out)
{
    int64_t now = now_ns();
    uint32_t rows = 0;
    pthread_mutex_lock(&registry_lock);
    LoopStats *stats;
    for (stats = core.loops; stats != NULL && rows < ROWS; stats = stats->next, rows++) {
        int64_t waker = __atomic_load_n(&stats->now.waker, __ATOMIC_ACQUIRE), since = LOAD(stats->now.since_ns);
        bool runs = waker != 0 || __atomic_load_n(&stats->now.task, __ATOMIC_ACQUIRE) != NULL;
        column[0][rows] = stats->number;
        column[1][rows] = stats->loop == NULL                   ? LOOP_CLOSED
                          : !runs                               ? LOOP_IDLE
                          : now - since > core.threshold_ns ? LOOP_STALLED
                                                                : LOOP_RUNNING;
        column[2][rows] = LOAD(stats->polls);
        column[3][rows] = LOAD(stats->callbacks);
        column[4][rows] = LOAD(stats->busy_ns);
        column[5][rows] = __atomic_exchange_n(&stats->lag_ns, 0, __ATOMIC_RELAXED);
        column[6][rows] = stats->lag_ever_ns;
        column[7][rows] = waker > 0 ? waker : 0;
        column[8][rows] = runs ? since : 0;
        column[9][rows] = LOAD(stats->setter.kind);
        column[10][rows] = LOAD(stats->setter.file);
        column[11][rows] = LOAD(stats->setter.line);
    }
    put_texts(cursor, out);
    size_t frame = frame_begin(out, LOOPS, 24);
    field(out, "id", 0, rows);
    pack_field(out, "thread");
    pack_array(out, rows);
    pthread_mutex_lock(&names_lock);
    stats = core.loops;
    for (uint32_t row = 0; row < rows; row++, stats = stats->next) {
        const char *name = stats->loop != NULL && stats->thread_name != NULL ? stats->thread_name : "";
        pack_text(out, name, strlen(name));
    }
    pthread_mutex_unlock(&names_lock);
    pack_field(out, "runtime");
    pack_array(out, rows);
    stats = core.loops;
    for (uint32_t row = 0; row < rows; row++, stats = stats->next) {
        pack_field(out, stats->runtime);
    }
    static const char *const names[] = {"state", "polls", "callbacks", "busy_ns", "max_lag_ns", "max_lag_ever_ns",
                                        "current_task"};
    fields(out, names, 7, 1, rows);
    pack_field(out, "current");
    pack_array(out, rows);
    stats = core.loops;
    for (uint32_t row = 0; row < rows; row++, stats = stats->next) {
        pack_current(out, stats);
    }
    static const char *const last[] = {"current_since_ns", "timer_kind", "timer_file", "timer_line"};
    fields(out, last, 4, 8, rows);
    static const char *const more[] = {"turns", "max_turn_ns", "max_turn_ever_ns", "max_turn_since_ns",
                                       "max_turn_polls", "max_turn_poll_ns", "max_turn_kind",
                                       "timers", "timers_fired"};
    fields(out, more, turns_and_timers(rows), 0, rows);
    frame_end(out, frame);
    pthread_mutex_unlock(&registry_lock);
}

static unsigned char *faults; /* msgpack of an array of texts */
static size_t faults_length;

void collector_faults(unsigned char *packed, size_t length)
{
    pthread_mutex_lock(&collector_lock);
    free(faults);
    faults = packed;
    faults_length = length;
    pthread_mutex_unlock(&collector_lock);
}

static void put_tick(const Cursor *cursor, Buffer *out)
{
    int64_t lost = 0, polls_lost = 0;
    for (int i = 0; i < cursor->watching; i++) {
        polls_lost += cursor->watched[i].lost;
    }
    pthread_mutex_lock(&registry_lock);
    for (LoopStats *stats = core.loops; stats != NULL; stats = stats->next) {
        lost += LOAD(stats->long_lost);
    }
    pthread_mutex_unlock(&registry_lock);
    size_t frame = frame_begin(out, TICK, 3);
    pack_field(out, "at_ns");
    pack_int(out, now_ns());
    pack_field(out, "dropped");
    pack_map(out, (lost > 0) + (polls_lost > 0) + (cursor->trace_lost > 0));
    if (lost > 0) {
        pack_field(out, "stalls");
        pack_int(out, lost);
    }
    if (polls_lost > 0) {
        pack_field(out, "history");
        pack_int(out, polls_lost);
    }
    if (cursor->trace_lost > 0) {
        pack_field(out, "trace");
        pack_int(out, cursor->trace_lost);
    }
    pack_field(out, "faults");
    if (faults != NULL) {
        pack_raw(out, faults, faults_length);
    }
    else {
        pack_array(out, 0);
    }
    frame_end(out, frame);
}

bool cursor_next(Cursor *cursor, Buffer *out)
{
    pthread_mutex_lock(&collector_lock);
    bool put = false;
    while (!put && cursor->phase != AT_END) {
        switch (cursor->phase) {
        case AT_RESET:
            frame_end(out, frame_begin(out, RESET, 0));
            put = true;
            cursor->phase++;
            continue;
        case AT_KINDS:
            put = put_kinds(cursor, out);
            break;
        case AT_TASKS:
            put = put_tasks(cursor, out);
            break;
        case AT_HISTORY:
            put = put_history(cursor, out);
            break;
        case AT_TRACE:
            put = put_trace(cursor, out);
            break;
        case AT_HISTOGRAMS:
            put_histograms(cursor, out);
            break;
        case AT_TOTALS:
            put = put_totals(cursor, out);
            break;
        case AT_LOOPS:
            put_loops(cursor, out);
            put = true;
            cursor->phase++;
            continue;
        case AT_TICK:
            put_tick(cursor, out);
            put = true;
            cursor->phase++;
            continue;
        }
        cursor->phase += !put;
    }
    pthread_mutex_unlock(&collector_lock);
    return put;
}

/* The hooks are gone: let go of every record that no handle holds. Cursors are at the beginning again. */
void collector_forget(void)
{
    pthread_mutex_lock(&collector_lock);
    while (cursors != NULL) {
        unlist(cursors);
    }
    drain_unborn();
    drain_changed();
    while (oldest != NULL) {
        TaskRecord *record = oldest;
        oldest = record->next;
        if (record->pins > 0) {
            SET(record, FORGOTTEN);
        }
        else {
            record_free(record);
        }
    }
    newest = NULL;
    free(restless.items);
    restless = (List){0};
    retained_first = retained_last = NULL;
    retained_count = 0;
    version = evicted_version = 0;
    STORE(nameless, 0);
    pthread_mutex_unlock(&collector_lock);
}

/* Tasks of schedulers that are not asyncio's: what a hook tells of them, in the words of the recorder. Such a task is
 * an object that answers as an `asyncio.Task` does; its scheduler is what stands for a loop. The loops' side. */
#include "native.h"

static PyObject *any_method; /* a callable to make a bound method of: `woken` wants a step, and finds the task there */

/* A scheduler begins to run: under this name, and its function with this code is what runs the tasks' steps. */
int scheduler_opened(PyObject *loop, PyObject *runtime, PyObject *runs)
{
    LoopStats *stats = loop_stats(loop);
    if (stats == NULL) {
        return 0;
    }
    uint32_t name = text_of(runtime);
    size_t length;
    if (any_method == NULL) {
        any_method = PyObject_GetAttrString((PyObject *)&PyBaseObject_Type, "__repr__");
    }
    if (name != 0) {
        STORE(stats->runtime, text_at(name, &length));
    }
    stats->runs = runs;
    return any_method != NULL ? 0 : -1;
}

/* A task was made ready to run; where no poll is under way, by `source`. Its first time is its spawn. */
int task_scheduled(PyObject *loop, PyObject *task, int source)
{
    LoopStats *stats = loop_stats(loop);
    PyObject *step = stats != NULL ? PyMethod_New(any_method, task) : NULL;
    if (step == NULL) {
        return stats != NULL ? -1 : 0;
    }
    bool outside = stats->now.task == NULL;
    if (outside) {
        stats->now.bottom = frame_running(stats->runs);
    }
    loop_hold(stats);
    TaskRecord *record = woken(loop, step);
    if (outside) {
        stats->now.bottom = NULL;
    }
    if (record != NULL) {
        if (outside && source != BY_UNKNOWN) {
            STORE(record->waker, waker_number(source, 0));
            record_changed(record);
        }
        record_unpin(record);
    }
    loop_release(stats);
    Py_DECREF(step);
    return 0;
}

/* Its scheduler is about to run its next step. Between here and the end no handle keeps the record: it is looked for
 * again. */
void scheduled_poll_begins(PyObject *task)
{
    TaskRecord *record = record_find(task);
    if (record == NULL) {
        return;
    }
    Running before;
    record->pins++;
    poll_begin(record, &before);
    if (record->task != NULL) {
        record->stats->now.bottom = frame_running(record->stats->runs);
    }
    record_unpin(record);
}

/* The step has run. One whose beginning was not told is none. */
void scheduled_poll_ends(PyObject *task)
{
    static const Running nothing;
    TaskRecord *record = record_find(task);
    if (record == NULL || record->stats->now.task != record) {
        return;
    }
    record->pins++;
    poll_end(record, task, &nothing);
    record_unpin(record);
}

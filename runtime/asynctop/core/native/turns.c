/* One turn of an asyncio loop, in place of `BaseEventLoop._run_once()`: the same without a frame of Python.
 *
 * Here is what every turn does. What few turns need is left to the stock method, for the whole turn: debug mode,
 * timers that were cancelled, and containers of other types than the stock loop's. What a subclass may have
 * replaced is called as the stock method calls it. Debug mode that is switched on in a turn begins with the next. */
#include "native.h"

#define FEW_TIMERS 100 /* base_events._MIN_SCHEDULED_TIMER_HANDLES */

static PyObject *stock_run_once; /* BaseEventLoop's own */
static PyTypeObject *deque_type;
static PyCFunction deque_popleft; /* deque's own */
static PyObject *heappop, *zero, *settings; /* the last: what MAXIMUM_SELECT_TIMEOUT stands in */
#if PY_VERSION_HEX >= 0x030F0000
static PyObject *ulp; /* math.ulp */
#endif
static PyObject *s_scheduled, *s_cancelled_count, *s_select, *s_longest;
static PyObject *s_process_events, *s_time, *s_resolution, *s_when, *s_popleft;
static Attribute debug, ready_ones, scheduled_ones, stopping_soon, its_selector; /* of a loop */

/* Whether the stock method would clear away timers first: the next one was cancelled, or more than half of them. -1
 * with an error. */
static int cancelled_timers(PyObject *loop, PyObject *scheduled)
{
    Py_ssize_t count = PyList_GET_SIZE(scheduled);
    if (count > FEW_TIMERS) {
        PyObject *value = PyObject_GetAttr(loop, s_cancelled_count);
        Py_ssize_t cancelled = value != NULL ? PyNumber_AsSsize_t(value, NULL) : -1;
        Py_XDECREF(value);
        if (cancelled == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (cancelled > count / 2) {
            return 1;
        }
    }
    return count > 0 ? handle_cancelled(PyList_GET_ITEM(scheduled, 0)) : 0;
}

/* The first timer's time. */
static PyObject *next_due(PyObject *scheduled)
{
    PyObject *handle = Py_NewRef(PyList_GET_ITEM(scheduled, 0)), *when = PyObject_GetAttr(handle, s_when);
    Py_DECREF(handle);
    return when;
}

/* How long to wait for that at most. */
static PyObject *until(PyObject *loop, PyObject *when)
{
    PyObject *now = PyObject_CallMethodNoArgs(loop, s_time);
    PyObject *left = now != NULL ? PyNumber_Subtract(when, now) : NULL;
    PyObject *longest = left != NULL ? PyObject_GetAttr(settings, s_longest) : NULL;
    Py_XDECREF(now);
    if (longest == NULL) {
        Py_XDECREF(left);
        return NULL;
    }
    int long_after = PyObject_RichCompareBool(left, longest, Py_GT);
#if PY_VERSION_HEX >= 0x030C0000
    int over = PyObject_RichCompareBool(left, zero, Py_LT);
#else
    int ahead = PyObject_RichCompareBool(left, zero, Py_GT), over = ahead < 0 ? -1 : !ahead; /* not a number: over */
#endif
    if (long_after < 0 || over < 0) {
        Py_CLEAR(left);
    }
    else if (long_after || over) {
        Py_SETREF(left, Py_NewRef(long_after ? longest : zero));
    }
    Py_DECREF(longest);
    return left;
}

/* The select() of this turn, and what follows from it. -1 with an error. */
static int look(PyObject *loop, PyObject *ready, PyObject *scheduled, bool stock_events)
{
    int stopping = PyObject_Size(ready) > 0 ? 1 : attribute_is_true(loop, &stopping_soon);
    PyObject *timeout = NULL;
    if (stopping == 0 && PyList_GET_SIZE(scheduled) > 0) {
        PyObject *when = next_due(scheduled);
        timeout = when != NULL ? until(loop, when) : NULL;
        Py_XDECREF(when);
    }
    else if (stopping >= 0) {
        timeout = Py_NewRef(stopping ? zero : Py_None);
    }
    PyObject *selector = timeout != NULL ? attribute_get(loop, &its_selector) : NULL;
    PyObject *events = selector != NULL ? PyObject_CallMethodOneArg(selector, s_select, timeout) : NULL;
    bool none = stock_events && events != NULL && PyList_CheckExact(events) && PyList_GET_SIZE(events) == 0;
    PyObject *done = none             ? Py_NewRef(Py_None)
                     : events != NULL ? PyObject_CallMethodOneArg(loop, s_process_events, events)
                                      : NULL;
    Py_XDECREF(timeout);
    Py_XDECREF(selector);
    Py_XDECREF(events);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* The clock's resolution; from 3.15 on no less than what `now` can be told from. */
static PyObject *resolution_at(PyObject *loop, PyObject *now)
{
    PyObject *resolution = PyObject_GetAttr(loop, s_resolution);
#if PY_VERSION_HEX >= 0x030F0000
    PyObject *least = resolution != NULL ? PyObject_CallOneArg(ulp, now) : NULL;
    int coarse = least != NULL ? PyObject_RichCompareBool(least, resolution, Py_GT) : -1;
    if (coarse > 0) {
        Py_SETREF(resolution, Py_NewRef(least));
    }
    else if (coarse < 0) {
        Py_CLEAR(resolution);
    }
    Py_XDECREF(least);
#endif
    (void)now;
    return resolution;
}

/* Timers that are due become ready. -1 with an error. */
static int timers_due(PyObject *loop, PyObject *scheduled)
{
    PyObject *now = PyObject_CallMethodNoArgs(loop, s_time);
    PyObject *resolution = now != NULL ? resolution_at(loop, now) : NULL;
    PyObject *end = resolution != NULL ? PyNumber_Add(now, resolution) : NULL;
    Py_XDECREF(now);
    Py_XDECREF(resolution);
    int due = end != NULL ? 0 : -1;
    while (due == 0 && PyList_GET_SIZE(scheduled) > 0) {
        PyObject *when = next_due(scheduled);
        due = when != NULL ? PyObject_RichCompareBool(when, end, Py_GE) : -1;
        Py_XDECREF(when);
        if (due != 0) {
            break;
        }
        PyObject *handle = PyObject_CallOneArg(heappop, scheduled);
        if (handle == NULL || PyObject_SetAttr(handle, s_scheduled, Py_False) < 0
            || append_ready(loop, handle) < 0) {
            due = -1;
        }
        Py_XDECREF(handle);
    }
    Py_XDECREF(end);
    return due < 0 ? -1 : 0;
}

/* The first of the ready ones, taken out. */
static PyObject *take_ready(PyObject *loop)
{
    PyObject *ready = attribute_get(loop, &ready_ones);
    if (ready == NULL) {
        return NULL;
    }
    PyObject *handle = Py_IS_TYPE(ready, deque_type) ? deque_popleft(ready, NULL)
                                                     : PyObject_CallMethodNoArgs(ready, s_popleft);
    Py_DECREF(ready);
    return handle;
}

/* What is ready now runs, and not what it makes ready. -1 with an error. */
static int run_ready(PyObject *loop, Py_ssize_t count)
{
    for (; count > 0; count--) {
        PyObject *handle = take_ready(loop);
        int cancelled = handle != NULL ? handle_cancelled(handle) : -1;
        PyObject *done = cancelled == 0 ? run_handle(handle) : NULL;
        Py_XDECREF(handle);
        Py_XDECREF(done);
        if (cancelled <= 0 && done == NULL) {
            return -1;
        }
    }
    return count;
}

static PyObject *run_once(PyObject *loop, PyObject *Py_UNUSED(none))
{
    PyObject *scheduled = attribute_get(loop, &scheduled_ones), *ready = attribute_get(loop, &ready_ones);
    PyObject *result = NULL;
    if (scheduled == NULL || ready == NULL) {
        goto exit;
    }
    int stock = !PyList_CheckExact(scheduled) || !Py_IS_TYPE(ready, deque_type) ? 1 : attribute_is_true(loop, &debug);
    if (stock == 0) {
        stock = cancelled_timers(loop, scheduled);
    }
    if (stock != 0) {
        result = stock > 0 ? PyObject_CallOneArg(stock_run_once, loop) : NULL;
        goto exit;
    }
    /* Two calls that would do nothing are left out where they are the stock loop's own. */
    LoopStats *stats = loop_parts(loop_stats(loop), loop);
    bool stock_time = stats != NULL && stats->stock_time, stock_events = stats != NULL && stats->stock_events;
    if (look(loop, ready, scheduled, stock_events) < 0
        || ((PyList_GET_SIZE(scheduled) > 0 || !stock_time) && timers_due(loop, scheduled) < 0)
        || run_ready(loop, PyObject_Size(ready)) < 0) {
        goto exit;
    }
    result = Py_NewRef(Py_None);
exit:
    Py_XDECREF(scheduled);
    Py_XDECREF(ready);
    return result;
}

static PyMethodDef run_once_def = {"_run_once", run_once, METH_NOARGS, NULL};

/* `_run_once` for a class of loops whose own one it stands in for. */
PyObject *run_once_descriptor(PyObject *loop_class)
{
    PyObject *stock = PyObject_GetAttrString(loop_class, "_run_once");
    if (stock == NULL) {
        return NULL;
    }
    Py_XSETREF(stock_run_once, stock);
    return PyDescr_NewMethod((PyTypeObject *)loop_class, &run_once_def);
}

int turns_init(void)
{
    const Interned names[] = {
        {&debug.name, "_debug"}, {&ready_ones.name, "_ready"}, {&scheduled_ones.name, "_scheduled"},
        {&stopping_soon.name, "_stopping"}, {&its_selector.name, "_selector"},
        {&s_scheduled, "_scheduled"}, {&s_cancelled_count, "_timer_cancelled_count"},
        {&s_select, "select"}, {&s_longest, "MAXIMUM_SELECT_TIMEOUT"}, {&s_process_events, "_process_events"}, {&s_time, "time"},
        {&s_resolution, "_clock_resolution"}, {&s_when, "_when"},
        {&s_popleft, "popleft"},
    };
    PyObject *heapq = PyImport_ImportModule("heapq");
    PyObject *collections = PyImport_ImportModule("collections");
    heappop = heapq != NULL ? PyObject_GetAttrString(heapq, "heappop") : NULL;
    settings = PyImport_ImportModule("asyncio.base_events");
    deque_type = collections != NULL ? (PyTypeObject *)PyObject_GetAttrString(collections, "deque") : NULL;
    zero = PyLong_FromLong(0);
    Py_XDECREF(heapq);
    Py_XDECREF(collections);
    if (heappop == NULL || settings == NULL || deque_type == NULL || zero == NULL) {
        return -1;
    }
#if PY_VERSION_HEX >= 0x030F0000
    PyObject *math = PyImport_ImportModule("math");
    ulp = math != NULL ? PyObject_GetAttrString(math, "ulp") : NULL;
    Py_XDECREF(math);
    if (ulp == NULL) {
        return -1;
    }
#endif
    deque_popleft = own_method(deque_type, "popleft", METH_NOARGS);
    return deque_popleft == NULL ? -1 : intern(names, sizeof(names) / sizeof(names[0]));
}

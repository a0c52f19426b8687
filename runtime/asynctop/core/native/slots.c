/* Two slots of asyncio.Task that are borrowed while the hooks are in place.
 *
 * An eager task (CPython 3.12+) runs its first poll while it is made, and where it ends in it no loop hears of
 * it: whoever makes the task calls its type, and only there it can be seen. And a task that is freed while it is
 * pending is seen for nothing where it is freed; a weak reference would cost each task its own, and the garbage
 * collector one object more. Subclasses share the slots where they were made without __init__ or __del__ of
 * their own. */
#include "native.h"

static bool hooked;   /* whether the hooks are in place */
static bool borrowed; /* tp_dealloc: as long as there are records, which must not outlive their tasks */
#if PY_VERSION_HEX >= 0x030C0000
static initproc stock_init;
#endif
static destructor stock_dealloc;
static PyObject *s_eager_start, *s_loop, *s_is_running;

static void task_dealloc(PyObject *task)
{
    if (records_live() > 0) {
        PyObject *error = PyErr_Occurred() ? take_exception() : NULL;
        task_died(task);
        raise_again(error);
    }
    stock_dealloc(task);
}

#if PY_VERSION_HEX >= 0x030C0000

/* The loop that will run the task's first poll at once: a new reference; NULL, without an error, where none
 * will. */
static PyObject *eager_loop(PyObject *kwargs)
{
    PyObject *eager = kwargs != NULL ? PyDict_GetItemWithError(kwargs, s_eager_start) : NULL;
    PyObject *loop = NULL;
    if (eager != NULL && PyObject_IsTrue(eager) == 1) {
        loop = Py_XNewRef(PyDict_GetItemWithError(kwargs, s_loop));
        if (loop == NULL || loop == Py_None) {
            PyObject *events = PyImport_ImportModule("asyncio.events");
            Py_XSETREF(loop, events != NULL ? PyObject_CallMethod(events, "get_running_loop", NULL) : NULL);
            Py_XDECREF(events);
        }
        PyObject *running = loop != NULL ? PyObject_CallMethodNoArgs(loop, s_is_running) : NULL;
        if (running == NULL || PyObject_IsTrue(running) != 1) {
            Py_CLEAR(loop);
        }
        Py_XDECREF(running);
    }
    PyErr_Clear();
    return loop;
}

static int task_init(PyObject *task, PyObject *args, PyObject *kwargs)
{
    PyObject *loop = core.open && PyTuple_GET_SIZE(args) > 0 ? eager_loop(kwargs) : NULL;
    if (loop == NULL) {
        return stock_init(task, args, kwargs);
    }
    Running before;
    TaskRecord *record = eager_begin(task, loop, PyTuple_GET_ITEM(args, 0), &before);
    int made = stock_init(task, args, kwargs);
    if (record != NULL) {
        PyObject *error = made < 0 ? take_exception() : NULL;
        eager_end(record, task, &before, made == 0);
        raise_again(error);
    }
    Py_DECREF(loop);
    return made;
}

/* In a type and in those that inherit the slot from it. */
static void replace_init(PyTypeObject *type, initproc from, initproc to)
{
    if (type->tp_init != from) {
        return;
    }
    type->tp_init = to;
    PyObject *subclasses = PyObject_CallMethod((PyObject *)type, "__subclasses__", NULL);
    for (Py_ssize_t i = 0; subclasses != NULL && i < PyList_GET_SIZE(subclasses); i++) {
        replace_init((PyTypeObject *)PyList_GET_ITEM(subclasses, i), from, to);
    }
    Py_XDECREF(subclasses);
    PyErr_Clear();
}

#endif

void slots_borrow(void)
{
    PyTypeObject *type = task_class();
    if (hooked) {
        return;
    }
    hooked = true;
    if (!borrowed) {
        borrowed = true;
        stock_dealloc = type->tp_dealloc;
        type->tp_dealloc = task_dealloc;
    }
#if PY_VERSION_HEX >= 0x030C0000
    if (type->tp_init != task_init) {
        stock_init = type->tp_init;
        replace_init(type, stock_init, task_init);
    }
#endif
}

/* The hooks are gone. */
void slots_return(void)
{
    if (!hooked) {
        return;
    }
    hooked = false;
#if PY_VERSION_HEX >= 0x030C0000
    replace_init(task_class(), task_init, stock_init);
#endif
    if (!core.open) {
        slots_forget();
    }
}

/* There are no records. Where somebody else has borrowed the slot since, ours stays beneath, and does nothing. */
void slots_forget(void)
{
    PyTypeObject *type = task_class();
    if (!hooked && borrowed && type->tp_dealloc == task_dealloc) {
        type->tp_dealloc = stock_dealloc;
        borrowed = false;
    }
}

int slots_init(void)
{
    s_eager_start = PyUnicode_InternFromString("eager_start");
    s_loop = PyUnicode_InternFromString("loop");
    s_is_running = PyUnicode_InternFromString("is_running");
    return PyErr_Occurred() ? -1 : 0;
}

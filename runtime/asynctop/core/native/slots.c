/* Two slots of asyncio.Task that are borrowed.
 *
 * An eager task (CPython 3.12+) runs its first poll while it is made, and where it ends in it no loop hears of
 * it: whoever makes the task calls its type, and only there it can be seen. And a task that is freed while it is
 * pending is seen for nothing where it is freed; a weak reference would cost each task its own, and the garbage
 * collector one object more. Subclasses share the slots where they were made without __init__ or __del__ of
 * their own. */
#include "native.h"

static bool dealloc_borrowed;
static destructor stock_dealloc;
static PyObject *s_eager_start, *s_loop, *s_is_running;

static void task_dealloc(PyObject *task)
{
    if (core.open) {
        PyObject *error = PyErr_Occurred() ? take_exception() : NULL;
        task_died(task);
        raise_again(error);
    }
    stock_dealloc(task);
}

#if PY_VERSION_HEX >= 0x030C0000

static bool init_borrowed;
static initproc stock_init;

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

/* While the hooks are in place. */
void slots_borrow(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyTypeObject *type = task_class();
    if (!init_borrowed) {
        init_borrowed = true;
        stock_init = type->tp_init;
        replace_init(type, stock_init, task_init);
    }
#endif
}

void slots_return(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyTypeObject *type = task_class();
    if (init_borrowed && type->tp_init == task_init) { /* else ours stays beneath, and does nothing */
        replace_init(type, task_init, stock_init);
        init_borrowed = false;
    }
#endif
}

/* As long as there are records: they point at tasks, and the hooks may go before them. */
void slots_begin(void)
{
    PyTypeObject *type = task_class();
    if (!dealloc_borrowed) {
        dealloc_borrowed = true;
        stock_dealloc = type->tp_dealloc;
        type->tp_dealloc = task_dealloc;
    }
}

void slots_forget(void)
{
    PyTypeObject *type = task_class();
    if (dealloc_borrowed && type->tp_dealloc == task_dealloc) { /* else ours stays beneath, and does nothing */
        type->tp_dealloc = stock_dealloc;
        dealloc_borrowed = false;
    }
}

int slots_init(void)
{
    const Interned names[] = {{&s_eager_start, "eager_start"}, {&s_loop, "loop"}, {&s_is_running, "is_running"}};
    return intern(names, sizeof(names) / sizeof(names[0]));
}

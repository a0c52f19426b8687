/* The steps of tasks: the callables that a loop is given to run a task on.
 *
 * A C Task has an object of a type of its own for its first step, and a method made in C for each later one. The
 * functions behind both are borrowed while the hooks are in place: so a poll is seen whoever runs the step, and a
 * loop with handles of its own (uvloop) is given the very step. A Task in Python has bound methods: see wrappers.c. */
#include "native.h"

#include <string.h>

static PyObject *s_self;
static PyTypeObject *task_type, *step_type; /* the C Task's, and that of its first step */
static PyMethodDef *wakeup;                 /* the definition of each later step; NULL until one is met */
static bool step_holds_task;                /* whether a step's first field is its task */
static PyObject *py_step, *py_wakeup;       /* the Python Task's */

static bool hooked, step_borrowed, wakeup_borrowed;
static ternaryfunc stock_step;
static PyCFunction stock_wakeup;
static PyInterpreterState *home; /* others, with a lock of their own, share the definition */

typedef struct {
    PyObject_HEAD
    PyObject *task;
} Step;

/* -- the way in -- */

/* A poll begins, if the task's wake was seen and its handle has not told of the poll already: its record, pinned,
 * with the task held. Else NULL. */
static inline TaskRecord *poll_seen(PyObject *task, Running *before)
{
    TaskRecord *record = hooked && PyThreadState_Get()->interp == home ? record_find(task) : NULL;
    if (record == NULL || record->state != STATE_SCHEDULED || record->pins >= MOST_PINS) {
        return NULL;
    }
    record->pins++;
    Py_INCREF(task);
    poll_begin(record, before);
    return record;
}

static PyObject *step_call(PyObject *step, PyObject *args, PyObject *keywords)
{
    Running before;
    PyObject *task = step_task(step);
    TaskRecord *record = task != NULL ? poll_seen(task, &before) : NULL;
    PyObject *result = stock_step(step, args, keywords);
    return record != NULL ? poll_over(record, task, &before, result) : result;
}

static PyObject *wakeup_call(PyObject *task, PyObject *future)
{
    Running before;
    TaskRecord *record = poll_seen(task, &before);
    PyObject *result = stock_wakeup(task, future);
    return record != NULL ? poll_over(record, task, &before, result) : result;
}

static void borrow_wakeup(void)
{
    if (wakeup != NULL && !wakeup_borrowed) {
        wakeup_borrowed = true;
        stock_wakeup = wakeup->ml_meth;
        wakeup->ml_meth = wakeup_call;
    }
}

/* While the hooks are in place. */
void steps_borrow(void)
{
    hooked = true;
    if (!step_borrowed) {
        step_borrowed = true;
        stock_step = step_type->tp_call;
        step_type->tp_call = step_call;
    }
    borrow_wakeup();
}

/* What somebody else has borrowed since stays beneath, and does nothing. */
void steps_return(void)
{
    hooked = false;
    if (step_borrowed && step_type->tp_call == step_call) {
        step_borrowed = false;
        step_type->tp_call = stock_step;
    }
    if (wakeup_borrowed && wakeup->ml_meth == wakeup_call) {
        wakeup_borrowed = false;
        wakeup->ml_meth = stock_wakeup;
    }
}

/* -- which they are -- */

static bool is_wakeup(PyObject *function)
{
    PyMethodDef *method = ((PyCFunctionObject *)function)->m_ml;
    if (wakeup == NULL && method->ml_flags == METH_O && strcmp(method->ml_name, "task_wakeup") == 0
        && PyObject_TypeCheck(PyCFunction_GET_SELF(function), task_type)) {
        wakeup = method;
        if (hooked) {
            borrow_wakeup();
        }
    }
    return method == wakeup;
}

bool is_step(PyObject *callback)
{
    PyTypeObject *type = Py_TYPE(callback);
    if (type == step_type) {
        return true;
    }
    if (type == &PyCFunction_Type) {
        return is_wakeup(callback);
    }
    if (type == &PyMethod_Type) {
        PyObject *function = PyMethod_GET_FUNCTION(callback);
        return function == py_step || function == py_wakeup;
    }
    return false;
}

bool step_is_seen(PyObject *callback)
{
    return Py_TYPE(callback) == step_type ? step_type->tp_call == step_call
                                          : PyCFunction_CheckExact(callback) && wakeup->ml_meth == wakeup_call;
}

/* The task of a step: borrowed. A handle's callback may have been replaced by its program. */
PyObject *step_task(PyObject *callback)
{
    if (Py_TYPE(callback) == step_type) {
        if (step_holds_task) {
            return ((Step *)callback)->task;
        }
        PyObject *task = PyObject_GetAttr(callback, s_self);
        if (task == NULL) {
            PyErr_Clear();
        }
        Py_XDECREF(task); /* the step keeps it */
        return task;
    }
    if (PyCFunction_CheckExact(callback)) {
        return PyCFunction_GET_SELF(callback);
    }
    return PyMethod_Check(callback) ? PyMethod_GET_SELF(callback) : NULL;
}

/* The functions behind a C Task's steps are known, and called without a detour. */
PyObject *call_with(PyObject *callback, PyObject *args)
{
    bool first = Py_TYPE(callback) == step_type;
    bool later = PyCFunction_CheckExact(callback) && ((PyCFunctionObject *)callback)->m_ml == wakeup
                 && PyTuple_GET_SIZE(args) == 1;
    if (!first && !later) {
        return PyObject_Vectorcall(callback, ((PyTupleObject *)args)->ob_item, (size_t)PyTuple_GET_SIZE(args), NULL);
    }
    if (Py_EnterRecursiveCall(" while calling a Python object")) {
        return NULL;
    }
    PyObject *result;
    if (first) {
        ternaryfunc function = step_type->tp_call == step_call ? stock_step : step_type->tp_call;
        result = function(callback, args, NULL);
    }
    else {
        PyCFunction function = wakeup->ml_meth == wakeup_call ? stock_wakeup : wakeup->ml_meth;
        result = function(PyCFunction_GET_SELF(callback), PyTuple_GET_ITEM(args, 0));
    }
    Py_LeaveRecursiveCall();
    return result;
}

static PyObject *dict_entry(PyObject *type, const char *name)
{
    PyObject *dict = PyObject_GetAttrString(type, "__dict__");
    PyObject *entry = dict != NULL ? PyMapping_GetItemString(dict, name) : NULL;
    Py_XDECREF(dict);
    PyErr_Clear();
    return entry;
}

/* `step` is the first step of `task`, a C Task; `py_task` is the Python one. */
void steps_learn(PyObject *task, PyObject *step, PyObject *py_task)
{
    home = PyInterpreterState_Get();
    task_type = Py_TYPE(task); /* the recorder keeps it */
    step_type = (PyTypeObject *)Py_NewRef(Py_TYPE(step));
    step_holds_task = step_type->tp_basicsize >= (Py_ssize_t)sizeof(Step) && ((Step *)step)->task == task;
    py_step = dict_entry(py_task, "_Task__step");
    py_wakeup = dict_entry(py_task, "_Task__wakeup");
}

int steps_init(void)
{
    const Interned names[] = {{&s_self, "__self__"}};
    return intern(names, 1);
}

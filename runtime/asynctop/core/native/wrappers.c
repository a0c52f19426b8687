/* For a loop with handles of its own (uvloop): what it is given in place of a callback, and the methods of
 * its class that take one. The steps of C Tasks are seen as they are: see steps.c. */
#include "native.h"

#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *callback;
    PyObject *loop;     /* for a callback; a step's record knows its own */
    TaskRecord *record; /* pinned; NULL for a callback that is no task's step */
    int source;
    uint32_t turn; /* of the loop, in which a callback's wrapper was made, or run last */
} Wrapper;

static PyTypeObject *wrapper_type;

/* The latest wrappers of callbacks, by source, while they live: one callback is often given many times, as that
 * which ends all sleeps. */
static Wrapper *latest[BY_SIGNAL + 1];

/* A few that are kept for the next steps: the garbage collector does not count those. */
#define SPARE_WRAPPERS 256
static Wrapper *spare[SPARE_WRAPPERS];
static int spares;

static PyObject *run_step(PyObject *callable, PyObject *const *args, size_t count, PyObject *keywords)
{
    Wrapper *self = (Wrapper *)callable;
    TaskRecord *record = self->record;
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *task = record != NULL && record->task != NULL ? step_task(callback) : NULL;
    PyObject *result;
    if (task == NULL || task != record->task) {
        result = PyObject_Vectorcall(callback, args, count, keywords);
    }
    else {
        self->record = NULL; /* the pin is ours now */
        Py_INCREF(task);
        Running before;
        poll_begin(record, &before);
        result = poll_over(record, task, &before, PyObject_Vectorcall(callback, args, count, keywords));
    }
    Py_DECREF(callback);
    return result;
}

static PyObject *run_callback(PyObject *callable, PyObject *const *args, size_t count, PyObject *keywords)
{
    Wrapper *self = (Wrapper *)callable;
    PyObject *callback = Py_NewRef(self->callback), *loop = Py_NewRef(self->loop);
    Running before;
    LoopStats *stats = callback_begin(loop, callback, self->source, &self->turn, &before);
    PyObject *result = PyObject_Vectorcall(callback, args, count, keywords);
    if (stats != NULL) {
        PyObject *error = result == NULL ? take_exception() : NULL;
        callback_end(stats, loop, callback, &before);
        raise_again(error);
    }
    Py_DECREF(callback);
    Py_DECREF(loop);
    return result;
}

static int wrapper_traverse(PyObject *object, visitproc visit, void *arg)
{
    Wrapper *self = (Wrapper *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->callback);
    Py_VISIT(self->loop);
    return 0;
}

static int wrapper_clear(PyObject *object)
{
    Wrapper *self = (Wrapper *)object;
    Py_CLEAR(self->callback);
    Py_CLEAR(self->loop);
    return 0;
}

static void wrapper_dealloc(PyObject *object)
{
    Wrapper *self = (Wrapper *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_TRASHCAN_BEGIN(object, wrapper_dealloc)
    if (self->record != NULL) {
        record_unpin(self->record);
        self->record = NULL;
    }
    if (latest[self->source] == self) {
        latest[self->source] = NULL;
    }
    wrapper_clear(object);
    if (spares < SPARE_WRAPPERS) {
        spare[spares++] = self;
    }
    else {
        PyObject_GC_Del(object);
    }
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *wrapper_repr(PyObject *object)
{
    return PyObject_Repr(((Wrapper *)object)->callback);
}

/* A loop in debug mode shows a callback's name: it is the callback's own. */
static PyObject *wrapper_getattr(PyObject *object, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(object, name);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        found = PyObject_GetAttr(((Wrapper *)object)->callback, name);
    }
    return found;
}

static Wrapper *wrapper_new(void)
{
    if (spares > 0) {
        return (Wrapper *)PyObject_Init((PyObject *)spare[--spares], wrapper_type);
    }
    return PyObject_GC_New(Wrapper, wrapper_type);
}

static inline bool is_foreign_call(const LoopStats *stats, int source)
{
    return (source == BY_CALLBACK || source == BY_TIMER) && is_foreign(stats);
}

/* Its loop is given it now, perhaps once more. */
static PyObject *given(Wrapper *self, LoopStats *stats, PyObject *loop)
{
    bool foreign = is_foreign_call(stats, self->source);
    self->turn = self->source == BY_TIMER ? timer_set(stats) : stats->turns;
    if (foreign) {
        foreign_call(loop, self->callback);
    }
    return (PyObject *)self;
}

/* What to give to `loop` in place of `callback`: a new reference, the callback's own where nothing is to be
 * recorded; NULL with an error. */
PyObject *wrap(PyObject *loop, PyObject *callback, int source)
{
    if (Py_IS_TYPE(callback, wrapper_type)) {
        return Py_NewRef(callback); /* one such method calls another: uvloop's call_at its call_later */
    }
    LoopStats *stats = loop_stats(loop);
    Wrapper *self = latest[source];
    if (stats != NULL && self != NULL && self->callback == callback && self->loop == loop) {
        return given((Wrapper *)Py_NewRef((PyObject *)self), stats, loop);
    }
    bool step = stats != NULL && is_step(callback);
    TaskRecord *record = step ? woken(loop, callback) : NULL;
    if (record != NULL && step_is_seen(callback)) {
        bool foreign = is_foreign_call(record->stats, source);
        record_unpin(record);
        if (foreign) {
            foreign_call(loop, callback);
        }
        return Py_NewRef(callback);
    }
    if (stats == NULL || (step && record == NULL)) {
        return Py_NewRef(callback);
    }
    self = wrapper_new();
    if (self == NULL) {
        PyErr_Clear();
        if (record != NULL) {
            record_unpin(record);
        }
        return Py_NewRef(callback);
    }
    self->vectorcall = step ? run_step : run_callback;
    self->callback = Py_NewRef(callback);
    self->loop = step ? NULL : Py_NewRef(loop);
    self->record = record;
    self->source = source;
    if (!step) {
        latest[source] = self;
    }
    PyObject_GC_Track(self);
    return given(self, stats, loop);
}

static PyMemberDef wrapper_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Wrapper, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot wrapper_slots[] = {
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_dealloc, wrapper_dealloc}, {Py_tp_traverse, wrapper_traverse},
    {Py_tp_clear, wrapper_clear},    {Py_tp_repr, wrapper_repr},       {Py_tp_getattro, wrapper_getattr},
    {Py_tp_members, wrapper_members}, {0, NULL},
};
static PyType_Spec wrapper_spec = {
    .name = "asynctop.core.native.Wrapper",
    .basicsize = sizeof(Wrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = wrapper_slots,
};

/* -- methods that take a callback -- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *method;    /* that of the loop's class */
    vectorcallfunc call; /* its own */
    int position;     /* of the callback, counting the loop */
    int source;
} Method;

static PyTypeObject *method_type;

#define MOST_ARGUMENTS 16

/* Where the callback is among positional and named arguments; -1 where the loop has its own words for it. */
static Py_ssize_t callback_at(const Method *self, PyObject *const *args, Py_ssize_t positional, PyObject *keywords)
{
    Py_ssize_t at = positional > self->position ? self->position : -1;
    for (Py_ssize_t i = 0; at < 0 && keywords != NULL && i < PyTuple_GET_SIZE(keywords); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, i), "callback") == 0) {
            at = positional + i;
        }
    }
    return at >= 0 && Py_TYPE(args[at])->tp_call != NULL ? at : -1;
}

/* The method, with something else as its argument `at`. */
static __attribute__((noinline)) PyObject *call_with_other(const Method *self, PyObject *const *args,
                                                           Py_ssize_t positional, PyObject *keywords, Py_ssize_t at,
                                                           PyObject *other)
{
    Py_ssize_t all = positional + (keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0);
    PyObject *few[MOST_ARGUMENTS];
    PyObject **given = all <= MOST_ARGUMENTS ? few : PyMem_New(PyObject *, (size_t)all);
    if (given == NULL) {
        return self->call(self->method, args, (size_t)positional, keywords);
    }
    for (Py_ssize_t i = 0; i < all; i++) {
        given[i] = args[i];
    }
    given[at] = other;
    PyObject *result = self->call(self->method, given, (size_t)positional, keywords);
    if (given != few) {
        PyMem_Free(given);
    }
    return result;
}

/* method(loop, ..., callback, *args, context=None) */
static PyObject *method_call(PyObject *callable, PyObject *const *args, size_t count, PyObject *keywords)
{
    Method *self = (Method *)callable;
    Py_ssize_t positional = PyVectorcall_NARGS(count);
    Py_ssize_t at = positional > 0 ? callback_at(self, args, positional, keywords) : -1;
    PyObject *callback = at >= 0 ? wrap(args[0], args[at], self->source) : NULL;
    if (callback == NULL) {
        PyErr_Clear();
    }
    PyObject *result = callback == NULL || callback == args[at]
                           ? self->call(self->method, args, (size_t)positional, keywords)
                           : call_with_other(self, args, positional, keywords, at, callback);
    Py_XDECREF(callback);
    return result;
}

static PyObject *method_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    return instance == NULL || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

/* Everything but the call is the loop's own method's: its name, its documentation. */
static PyObject *method_getattr(PyObject *object, PyObject *name)
{
    return PyObject_GetAttr(((Method *)object)->method, name);
}

static void method_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(((Method *)object)->method);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot method_slots[] = {
    {Py_tp_call, PyVectorcall_Call},   {Py_tp_dealloc, method_dealloc}, {Py_tp_descr_get, method_get},
    {Py_tp_getattro, method_getattr},  {Py_tp_members, method_members}, {0, NULL},
};
static PyType_Spec method_spec = {
    .name = "asynctop.core.native.Method",
    .basicsize = sizeof(Method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = method_slots,
};

/* What to put in place of a loop class's `method`, so that the loop gets what `wrap` gives for its callback. */
PyObject *wrapping_method(PyObject *method, int position, int source)
{
    Method *self = PyObject_New(Method, method_type);
    if (self != NULL) {
        self->vectorcall = method_call;
        self->method = Py_NewRef(method);
        vectorcallfunc own = PyVectorcall_Function(method);
        self->call = own != NULL ? own : PyObject_Vectorcall;
        self->position = position;
        self->source = source;
    }
    return (PyObject *)self;
}

int wrappers_init(void)
{
    wrapper_type = (PyTypeObject *)PyType_FromSpec(&wrapper_spec);
    method_type = (PyTypeObject *)PyType_FromSpec(&method_spec);
    return wrapper_type == NULL || method_type == NULL ? -1 : 0;
}

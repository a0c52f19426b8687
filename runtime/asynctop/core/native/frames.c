/* Where a task was spawned, or has yielded: a code object and a place in it, taken without making a frame object.
 *
 * The interpreter's own frames are read, whose layout belongs to a minor version, as does this extension. The
 * depth at which a coroutine's spawning frame was found last time is tried first; only where that guess fails
 * are the frames walked, up to the beginning of the poll. */
#include "native.h"

#define Py_BUILD_CORE 1
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe.h"
#else
#include "internal/pycore_frame.h"
#endif
#undef Py_BUILD_CORE

typedef struct _PyInterpreterFrame Frame;

static Frame *complete(Frame *frame)
{
    while (frame != NULL && _PyFrame_IsIncomplete(frame)) {
        frame = frame->previous;
    }
    return frame;
}

static Frame *current(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return thread->current_frame;
#else
    return thread->cframe->current_frame;
#endif
}

static PyCodeObject *code(Frame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return _PyFrame_GetCode(frame);
#else
    return frame->f_code;
#endif
}

/* The innermost frame, to compare with. */
void *frame_now(PyThreadState *thread)
{
    return current(thread);
}

/* The code that called us: borrowed; NULL where there is none. */
PyCodeObject *frame_code_now(void)
{
    Frame *frame = complete(current(PyThreadState_Get()));
    return frame != NULL ? code(frame) : NULL;
}

/* The innermost frame that runs this code. */
void *frame_running(const void *wanted)
{
    Frame *frame = complete(current(PyThreadState_Get()));
    while (frame != NULL && code(frame) != wanted) {
        frame = complete(frame->previous);
    }
    return frame;
}

/* How many frames a thread has above `bottom`. With the interpreter's lock held, it stands still. */
int frames_above(PyThreadState *thread, void *bottom)
{
    int count = 0;
    for (Frame *frame = current(thread); frame != NULL && frame != bottom; frame = frame->previous) {
        count += !_PyFrame_IsIncomplete(frame);
    }
    return count;
}

/* -- whose code it is -- */

enum { MACHINERY, LIBRARY, USER }; /* as in sites.py */

static PyObject *owner_of_file; /* sites.owner */

typedef struct {
    PyObject *filename; /* kept, so that its address is not given to others */
    int owner;
} Owner;

#define OWNERS 512
static Owner owners[OWNERS];

static int owner(PyCodeObject *of)
{
    PyObject *filename = of->co_filename;
    Owner *place = &owners[spread(filename) % OWNERS];
    if (place->filename == filename) {
        return place->owner;
    }
    PyObject *found = PyObject_CallOneArg(owner_of_file, filename);
    int whose = found != NULL ? (int)PyLong_AsLong(found) : LIBRARY;
    Py_XDECREF(found);
    PyErr_Clear();
    Py_XSETREF(place->filename, Py_NewRef(filename));
    place->owner = whose;
    return whose;
}

/* -- the spawning frame -- */

typedef struct {
    const void *coroutine; /* the address of its code: a wrong guess does no harm */
    int depth;
} Guess;

#define GUESSES 512
static Guess guesses[GUESSES];

static PyObject *code_of_function(PyObject *function)
{
    while (PyMethod_Check(function)) {
        function = PyMethod_GET_FUNCTION(function);
    }
    return PyFunction_Check(function) ? PyFunction_GET_CODE(function) : NULL;
}

/* The code object of what makes a loop's tasks: its own frames do not spawn. A new reference, or NULL. */
static PyObject *factory_code(PyObject *factory)
{
    PyObject *function = PyObject_GetAttrString(factory, "func"); /* functools.partial */
    if (function == NULL) {
        PyErr_Clear();
        function = Py_NewRef(factory);
    }
    PyObject *found = Py_XNewRef(code_of_function(function));
    if (found == NULL) {
        PyObject *call = PyObject_GetAttrString((PyObject *)Py_TYPE(function), "__call__");
        found = call != NULL ? Py_XNewRef(code_of_function(call)) : NULL;
        Py_XDECREF(call);
        PyErr_Clear();
    }
    Py_DECREF(function);
    return found;
}

static bool take(Frame *frame, PyCodeObject **found, int *lasti)
{
    *found = code(frame);
    *lasti = _PyInterpreterFrame_LASTI(frame);
    return true;
}

static bool guessed(const Guess *guess, void *bottom, PyCodeObject **found, int *lasti)
{
    Frame *frame = complete(current(PyThreadState_Get())), *inner = NULL;
    for (int depth = 0; frame != NULL && frame != bottom && depth < guess->depth; depth++) {
        inner = frame;
        frame = complete(frame->previous);
    }
    return frame != NULL && frame != bottom && owner(code(frame)) == USER && (inner == NULL || owner(code(inner)) == MACHINERY)
           && take(frame, found, lasti);
}

/* The frame that spawns a task: its code, borrowed, and the instruction. `factory` is the loop's task factory,
 * or NULL. The user's own frame is preferred to a library's; frames from `bottom` on belong to somebody else
 * and do not count. 0 where there is none. */
int spawn_site(PyObject *coroutine_code, PyObject *factory, void *bottom, PyCodeObject **found, int *lasti)
{
    Guess *guess = &guesses[spread(coroutine_code) % GUESSES];
    if (factory == NULL && guess->coroutine == coroutine_code && guessed(guess, bottom, found, lasti)) {
        return 1;
    }
    PyObject *makes = factory != NULL ? factory_code(factory) : NULL;
    Frame *first = NULL;
    int depth = 0;
    for (Frame *frame = complete(current(PyThreadState_Get())); frame != NULL && frame != bottom;
         frame = complete(frame->previous), depth++) {
        PyCodeObject *its = code(frame);
        int belongs = owner(its);
        if (belongs == MACHINERY) {
            continue;
        }
        if ((PyObject *)its == makes) {
            first = NULL;
        }
        else if (belongs == USER && makes == NULL) {
            *guess = (Guess){.coroutine = coroutine_code, .depth = depth};
            return take(frame, found, lasti);
        }
        else if (first == NULL || (belongs == USER && owner(code(first)) != USER)) {
            first = frame;
        }
    }
    Py_XDECREF(makes);
    return first != NULL && take(first, found, lasti);
}

/* -- where a coroutine has yielded -- */

#define MOST_STEPS 1000 /* awaited within each other: the interpreter's own limit, unless somebody has raised it */

static PyObject *s_cr_await, *s_gi_yieldfrom, *s_ag_await;

/* The name of the attribute that says what a coroutine or generator awaits; NULL for other objects. */
static PyObject *awaits_by(PyObject *step)
{
    return PyCoro_CheckExact(step)       ? s_cr_await
           : PyGen_CheckExact(step)      ? s_gi_yieldfrom
           : PyAsyncGen_CheckExact(step) ? s_ag_await
                                         : NULL;
}

static int visit_step(PyObject *each, void *found)
{
    if (awaits_by(each) == NULL) {
        return 0;
    }
    *(PyObject **)found = Py_NewRef(each);
    return 1;
}

/* The asynchronous generator behind its `__anext__()`, and the like: a new reference, or NULL. */
static PyObject *behind(PyObject *awaitable)
{
    static const char *const names[] = {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"};
    PyTypeObject *type = Py_TYPE(awaitable);
    PyObject *found = NULL;
    for (int i = 0; i < 3 && !(type->tp_flags & Py_TPFLAGS_HEAPTYPE); i++) {
        if (strcmp(type->tp_name, names[i]) == 0) {
            type->tp_traverse(awaitable, visit_step, &found);
        }
    }
    return found;
}

/* What it awaits: a new reference, or NULL. */
static PyObject *awaited(PyObject *step)
{
    PyObject *name = awaits_by(step);
    PyObject *found = name != NULL ? PyObject_GetAttr(step, name) : behind(step);
    PyErr_Clear();
    return found;
}

/* The frame of a coroutine or generator; NULL where it is not suspended. */
static Frame *suspended(PyObject *step)
{
    PyGenObject *its = (PyGenObject *)step;
    if (awaits_by(step) == NULL || its->gi_frame_state <= FRAME_CREATED || its->gi_frame_state >= FRAME_EXECUTING) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030E0000
    return &its->gi_iframe;
#else
    return (Frame *)its->gi_iframe;
#endif
}

typedef struct {
    PyCodeObject *code; /* kept, so that its address is not given to others */
    int lasti;
    Place place;
} Yield;

#define YIELDS 64
static Yield yields[YIELDS]; /* looking up a line takes longer than all the rest */

static Place place_of(PyCodeObject *code, int lasti)
{
    Yield *known = &yields[(spread(code) + (size_t)lasti) % YIELDS];
    if (known->code == code && known->lasti == lasti) {
        return known->place;
    }
    Place place = {text_of(code->co_filename), PyCode_Addr2Line(code, lasti * 2)};
    PyCodeObject *before = known->code;
    *known = (Yield){(PyCodeObject *)Py_NewRef(code), lasti, place};
    Py_XDECREF(before);
    return place;
}

/* The user's innermost line that a coroutine is suspended in; where there is none, the innermost of all. */
Place yielded_at(PyObject *coroutine)
{
    PyCodeObject *found = NULL;
    int lasti = 0;
    bool users = false;
    PyObject *step = Py_NewRef(coroutine);
    for (int steps = 0; step != NULL && steps < MOST_STEPS; steps++) {
        Frame *frame = suspended(step);
        if (frame != NULL) {
            PyCodeObject *its = (PyCodeObject *)Py_NewRef(code(frame));
            int at = _PyInterpreterFrame_LASTI(frame);
            bool is_users = owner(its) == USER;
            if (is_users || !users) {
                users = is_users;
                lasti = at;
                Py_XSETREF(found, (PyCodeObject *)Py_NewRef(its));
            }
            Py_DECREF(its);
        }
        Py_SETREF(step, awaited(step));
    }
    Place place = found != NULL && step == NULL ? place_of(found, lasti) : (Place){0};
    Py_XDECREF(step);
    Py_XDECREF(found);
    return place;
}

/* `owner` is sites.owner. */
void frames_begin(PyObject *whose)
{
    Py_XSETREF(owner_of_file, Py_NewRef(whose));
}

/* The texts' numbers are not those of before. */
void frames_forget(void)
{
    for (int i = 0; i < YIELDS; i++) {
        PyCodeObject *before = yields[i].code;
        yields[i].code = NULL;
        Py_XDECREF(before);
    }
}

int frames_init(void)
{
    const Interned names[] = {
        {&s_cr_await, "cr_await"}, {&s_gi_yieldfrom, "gi_yieldfrom"}, {&s_ag_await, "ag_await"},
    };
    return intern(names, sizeof(names) / sizeof(names[0]));
}

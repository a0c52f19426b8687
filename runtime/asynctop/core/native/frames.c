/* Where a task was spawned: a code object and a place in it, taken without making a frame object.
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

/* `owner` is sites.owner. */
void frames_begin(PyObject *whose)
{
    Py_XSETREF(owner_of_file, Py_NewRef(whose));
}

/* Texts by number, and callbacks by name: what tasks are told that they were woken by.
 *
 * Texts are never forgotten while the process is watched; MAX_TEXTS bounds them. They are added by both
 * sides and read by the collector, so they never move. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t hash, length;
    char utf8[];
} Text;

static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;
static Text *texts[MAX_TEXTS + 1]; /* number 0 is no text; the last one stands for all beyond the bound */
static uint32_t texts_made;
static uint32_t *text_slots; /* a hash table of numbers */
static size_t text_slots_size;

static const char TOO_MANY[] = "(one of too many texts)";

static uint32_t hash_of(const char *utf8, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)utf8[i]) * 16777619u;
    }
    return hash;
}

static bool text_slots_grow(void)
{
    size_t size = text_slots_size == 0 ? 1024 : text_slots_size * 2;
    uint32_t *grown = calloc(size, sizeof(uint32_t));
    if (grown == NULL) {
        return false;
    }
    for (uint32_t number = 1; number <= texts_made; number++) {
        size_t at = texts[number]->hash & (size - 1);
        while (grown[at] != 0) {
            at = (at + 1) & (size - 1);
        }
        grown[at] = number;
    }
    free(text_slots);
    text_slots = grown;
    text_slots_size = size;
    return true;
}

static uint32_t number_locked(const char *utf8, size_t length)
{
    uint32_t hash = hash_of(utf8, length);
    if (texts_made * 2 >= text_slots_size && !text_slots_grow()) {
        return 0;
    }
    size_t at = hash & (text_slots_size - 1);
    for (uint32_t number; (number = text_slots[at]) != 0; at = (at + 1) & (text_slots_size - 1)) {
        if (texts[number]->hash == hash && texts[number]->length == length
            && memcmp(texts[number]->utf8, utf8, length) == 0) {
            return number;
        }
    }
    if (texts_made + 1 >= MAX_TEXTS && utf8 != TOO_MANY) {
        return texts_made == MAX_TEXTS ? MAX_TEXTS : number_locked(TOO_MANY, sizeof(TOO_MANY) - 1);
    }
    Text *text = malloc(sizeof(Text) + length + 1);
    if (text == NULL) {
        return 0;
    }
    text->hash = hash;
    text->length = (uint32_t)length;
    memcpy(text->utf8, utf8, length);
    text->utf8[length] = 0;
    text_slots[at] = texts_made + 1;
    texts[texts_made + 1] = text;
    __atomic_store_n(&texts_made, texts_made + 1, __ATOMIC_RELEASE);
    return texts_made;
}

/* The number of a text; 0 for the empty one. */
uint32_t text_number(const char *utf8, size_t length)
{
    if (length == 0) {
        return 0;
    }
    pthread_mutex_lock(&texts_lock);
    uint32_t number = number_locked(utf8, length);
    pthread_mutex_unlock(&texts_lock);
    return number;
}

uint32_t texts_count(void)
{
    return __atomic_load_n(&texts_made, __ATOMIC_ACQUIRE);
}

const char *text_at(uint32_t number, size_t *length)
{
    *length = texts[number]->length;
    return texts[number]->utf8;
}

/* A str as UTF-8, lone surrogates as backslash escapes: a new bytes object. */
static PyObject *utf8_of(PyObject *text, Py_ssize_t characters)
{
    if (!PyUnicode_Check(text)) {
        return NULL;
    }
    PyObject *part = PyUnicode_Substring(text, 0, characters);
    PyObject *bytes = part != NULL ? PyUnicode_AsEncodedString(part, "utf-8", "backslashreplace") : NULL;
    Py_XDECREF(part);
    PyErr_Clear();
    return bytes;
}

#define MAX_PATH_CHARACTERS 4096

/* The number of a str; 0 for anything else. */
uint32_t text_of(PyObject *text)
{
    PyObject *bytes = utf8_of(text, MAX_PATH_CHARACTERS);
    uint32_t number = bytes != NULL ? text_number(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)) : 0;
    Py_XDECREF(bytes);
    return number;
}

/* An allocated copy of as much of a str as a person reads; NULL for anything else. */
char *text_clipped(PyObject *text)
{
    PyObject *bytes = utf8_of(text, MAX_NAME);
    char *copy = bytes != NULL ? strdup(PyBytes_AS_STRING(bytes)) : NULL;
    Py_XDECREF(bytes);
    return copy;
}

/* -- callbacks that wake tasks -- */

#define MAX_WAKERS 4096

static struct {
    int source;
    uint32_t name;
} wakers[MAX_WAKERS + 8]; /* by negative number; the last ones are sources without a name */
static int wakers_made;   /* number 0 is not known */

/* Naming a callback costs more than recording it, so what was named last is remembered by what the name is
 * made from: a name's own str object, a function's definition in C, or a type. */
typedef struct {
    const void *named;
    PyObject *kept; /* so that its address is not given to others */
    int64_t waker;
    int source;
} Remembered;

#define REMEMBERED 256
static Remembered remembered[REMEMBERED];
static PyObject *describe, *partial_type, *s_func;

int waker_source(int64_t waker)
{
    return waker > 0 ? BY_TASK : wakers[-waker].source;
}

uint32_t waker_name(int64_t waker)
{
    return waker > 0 ? 0 : wakers[-waker].name;
}

int64_t waker_number(int source, uint32_t name)
{
    for (int number = 1; number <= wakers_made; number++) {
        if (wakers[number].source == source && wakers[number].name == name) {
            return -number;
        }
    }
    if (wakers_made >= MAX_WAKERS && name != 0) {
        return waker_number(source, 0);
    }
    wakers[wakers_made + 1].source = source;
    wakers[wakers_made + 1].name = name;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the collector learns of it through a record */
    return -++wakers_made;
}

/* A callback's name for a person: a new reference, or NULL with an error. */
PyObject *described(PyObject *callback)
{
    return PyObject_CallOneArg(describe, callback);
}

/* What a callback's name is made from; and in `kept` the object that keeps that address. */
static const void *named_by(PyObject *callback, PyObject **kept)
{
    while (PyMethod_Check(callback)) {
        callback = PyMethod_GET_FUNCTION(callback);
    }
    if (PyFunction_Check(callback)) {
        return *kept = ((PyFunctionObject *)callback)->func_qualname;
    }
    if (PyCFunction_CheckExact(callback)) {
        /* One definition serves several types: their names differ. */
        PyObject *self = PyCFunction_GET_SELF(callback);
        if (self == NULL || PyModule_Check(self) || PyType_Check(self)) {
            return *kept = callback;
        }
        *kept = (PyObject *)Py_TYPE(self);
        return (const char *)((PyCFunctionObject *)callback)->m_ml + ((uintptr_t)*kept >> 4);
    }
    return *kept = (PyObject *)Py_TYPE(callback);
}

/* The number under which tasks remember what woke them: negative. 0, without an error, where it fails. */
int64_t waker_of(int source, PyObject *callback)
{
    PyObject *inner = callback, *kept;
    while (Py_TYPE(inner) == (PyTypeObject *)partial_type) {
        PyObject *function = PyObject_GetAttr(inner, s_func);
        if (function == NULL) {
            PyErr_Clear();
            return 0;
        }
        inner = function;
        Py_DECREF(function); /* the partial keeps it */
    }
    const void *named = named_by(inner, &kept);
    Remembered *place = &remembered[spread(named) % REMEMBERED];
    if (place->named == named && place->kept == kept && place->source == source) {
        return place->waker;
    }
    PyObject *name = described(inner);
    if (name == NULL) {
        fault();
        return 0;
    }
    int64_t waker = waker_number(source, text_of(name));
    Py_DECREF(name);
    Py_INCREF(kept);
    PyObject *before = place->kept;
    *place = (Remembered){.named = named, .kept = kept, .waker = waker, .source = source};
    Py_XDECREF(before);
    return waker;
}

int intern(const Interned *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *names[i].place = PyUnicode_InternFromString(names[i].text);
    }
    return PyErr_Occurred() ? -1 : 0;
}

int texts_begin(PyObject *namer)
{
    Py_XSETREF(describe, Py_NewRef(namer));
    if (partial_type == NULL) {
        PyObject *functools = PyImport_ImportModule("functools");
        partial_type = functools != NULL ? PyObject_GetAttrString(functools, "partial") : NULL;
        Py_XDECREF(functools);
        s_func = PyUnicode_InternFromString("func");
    }
    return PyErr_Occurred() ? -1 : 0;
}

void texts_forget(void)
{
    for (uint32_t number = 1; number <= texts_made; number++) {
        free(texts[number]);
    }
    texts_made = 0;
    free(text_slots);
    text_slots = NULL;
    text_slots_size = 0;
    wakers_made = 0;
    for (int i = 0; i < REMEMBERED; i++) {
        remembered[i].named = NULL;
        Py_CLEAR(remembered[i].kept);
    }
}

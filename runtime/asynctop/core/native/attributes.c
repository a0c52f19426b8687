/* Attributes of a loop, read from where the interpreter keeps those of an instance.
 *
 * The bytecode of the stock loop's methods remembers where an attribute is, and to ask for it by its name costs ten
 * times as much. So we remember it as well, for a class as it is at the moment. How instances are laid out belongs
 * to a minor version, as does this extension; in those that are not known here, the name does it. */
#define Py_BUILD_CORE_MODULE 1
#include "native.h"

#if PY_VERSION_HEX < 0x030E0000
#include "internal/pycore_dict.h"
#include "internal/pycore_object.h"

/* NULL where they are in a dict. */
static PyObject **values_of(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyDictValues *values = _PyObject_InlineValues(object);
    return values->valid ? values->values : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues place = *_PyObject_DictOrValuesPointer(object);
    return _PyDictOrValues_IsValues(place) ? _PyDictOrValues_GetValues(place)->values : NULL;
#else
    PyDictValues *values = *_PyObject_ValuesPointer(object);
    return values != NULL ? values->values : NULL;
#endif
}

#if PY_VERSION_HEX >= 0x030D0000
#define HAS_VALUES Py_TPFLAGS_INLINE_VALUES
#else
#define HAS_VALUES Py_TPFLAGS_MANAGED_DICT
#endif

/* Where instances of this class have it: not where the class says something about it. */
static Py_ssize_t place_of(PyTypeObject *type, PyObject *name)
{
    PyDictKeysObject *keys = PyType_HasFeature(type, HAS_VALUES) ? ((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
    if (keys == NULL || type->tp_getattro != PyObject_GenericGetAttr || _PyType_Lookup(type, name) != NULL) {
        return -1;
    }
    Py_ssize_t at = keys->dk_nentries - 1;
    while (at >= 0 && DK_UNICODE_ENTRIES(keys)[at].me_key != name) {
        at--;
    }
    return at;
}

/* `object.name`, as PyObject_GetAttr() has it. */
PyObject *attribute_get(PyObject *object, Attribute *attribute)
{
    PyTypeObject *type = Py_TYPE(object);
    if (attribute->version != type->tp_version_tag || attribute->version == 0) {
        attribute->at = place_of(type, attribute->name);
        attribute->version = type->tp_version_tag;
    }
    PyObject **values = attribute->at >= 0 ? values_of(object) : NULL;
    return values != NULL && values[attribute->at] != NULL ? Py_NewRef(values[attribute->at])
                                                           : PyObject_GetAttr(object, attribute->name);
}
#else
PyObject *attribute_get(PyObject *object, Attribute *attribute)
{
    return PyObject_GetAttr(object, attribute->name);
}
#endif

int attribute_is_true(PyObject *object, Attribute *attribute)
{
    PyObject *value = attribute_get(object, attribute);
    int truth = value != NULL ? PyObject_IsTrue(value) : -1;
    Py_XDECREF(value);
    return truth;
}

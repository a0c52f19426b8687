/* The extension module. A placeholder: only that it is built, packed and found can be told from it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
placeholder(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"placeholder", placeholder, METH_NOARGS, "Does nothing."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "asynctop.core.native._native",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}

/* A program that embeds Python, with the module site or without, and draws. */
#include <Python.h>

int main(void) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
#ifdef NO_SITE
    config.site_import = 0;
#endif
    Py_InitializeFromConfig(&config);
    PyRun_SimpleString("import random; print(random.random())");
    return Py_FinalizeEx() < 0;
}

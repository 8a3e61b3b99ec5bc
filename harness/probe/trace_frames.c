/* The trace: who is calling, as lines of text: Python's frames where this thread has any, then
 * those of the machine. */
#include "probe/probe.h"
#include "probe/trace.h"
#include "probe/trace_format.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FRAMES = 32, MOST_DEPTH = 512, OWN_FRAMES = 64 };

struct lines {
    char *text;
    size_t room, used;
    unsigned n;
};

/* Whole lines only; what is not printable would steer a terminal. */
static void add(struct lines *lines, const char *line) {
    size_t n = strlen(line);
    if (lines->used + n + 2 > lines->room)
        return;
    if (lines->used)
        lines->text[lines->used++] = '\n';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];
        lines->text[lines->used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    lines->text[lines->used] = '\0';
    lines->n++;
}

/* ---- Python -----------------------------------------------------------------------------------
 */

/* Its stable interface, as the process has it; objects are void *. */
struct python {
    void *(*this_thread)(void);
    int (*ensure)(void);
    void (*release)(int);
    void *(*frame)(void);
    void *(*code)(void *);
    void *(*back)(void *);
    int (*line)(void *);
    void *(*attribute)(void *, const char *);
    const char *(*text)(void *);
    void (*drop)(void *);
    void (*clear)(void);
};

static bool find_python(struct python *python) {
    const struct {
        void *slot;
        const char *name;
    } needed[] = {{&python->this_thread, "PyGILState_GetThisThreadState"},
                  {&python->ensure, "PyGILState_Ensure"},
                  {&python->release, "PyGILState_Release"},
                  {&python->frame, "PyEval_GetFrame"},
                  {&python->code, "PyFrame_GetCode"},
                  {&python->back, "PyFrame_GetBack"},
                  {&python->line, "PyFrame_GetLineNumber"},
                  {&python->attribute, "PyObject_GetAttrString"},
                  {&python->text, "PyUnicode_AsUTF8"},
                  {&python->drop, "Py_DecRef"},
                  {&python->clear, "PyErr_Clear"}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        void *function = dlsym(RTLD_DEFAULT, needed[i].name);
        if (!function)
            return false;
        memcpy(needed[i].slot, &function, sizeof function);
    }
    return true;
}

/* Of its frames that load a module one stands for all: there are six for each. */
static const char import[] = "<frozen importlib";

static void add_python_frame(const struct python *python, void *frame, bool *was_importing,
                             struct lines *lines) {
    void *code = python->code(frame);
    void *file = code ? python->attribute(code, "co_filename") : NULL;
    void *name = code ? python->attribute(code, "co_name") : NULL;
    const char *file_text = file ? python->text(file) : NULL;
    const char *name_text = name ? python->text(name) : NULL;
    char line[1024];
    snprintf(line, sizeof line, "%s:%d in %s", file_text ? file_text : "?", python->line(frame),
             name_text ? name_text : "?");
    bool importing = strncmp(line, import, strlen(import)) == 0;
    if (!importing || !*was_importing)
        add(lines, line);
    *was_importing = importing;
    python->clear();
    python->drop(file); /* NULL is allowed */
    python->drop(name);
    python->drop(code);
}

/* Only of a thread that Python knows: another one would wait for a lock that is perhaps held until
 * it is done. */
static void add_python(struct lines *lines) {
    struct python python;
    if (!find_python(&python) || !python.this_thread())
        return;
    int state = python.ensure();
    void *frame = python.frame(), *owned = NULL;
    bool importing = false;
    for (unsigned i = 0; frame && lines->n < MOST_FRAMES && i < MOST_DEPTH; i++) {
        add_python_frame(&python, frame, &importing, lines);
        void *back = python.back(frame);
        if (owned)
            python.drop(owned);
        frame = owned = back;
    }
    if (owned)
        python.drop(owned);
    python.release(state);
}

/* ---- The machine ------------------------------------------------------------------------------
 */

static void add_machine(struct lines *lines) {
    void *addresses[OWN_FRAMES];
    Dl_info object;
    int n = backtrace(addresses, OWN_FRAMES);
    unsigned most = lines->n + MOST_FRAMES;
    for (int i = 0; i < n && lines->n < most; i++) {
        if (!dladdr(addresses[i], &object))
            continue;
        const char *slash = strrchr(object.dli_fname, '/');
        const char *name = slash ? slash + 1 : object.dli_fname;
        char line[512];
        if (strcmp(name, SB_PROBE_LIBRARY) == 0 || strcmp(name, SB_TRACE_LIBRARY) == 0)
            continue;
        snprintf(line, sizeof line, "%s(%s+0x%zx)", name, object.dli_sname ? object.dli_sname : "",
                 (size_t)((char *)addresses[i] -
                          (char *)(object.dli_sname ? object.dli_saddr : object.dli_fbase)));
        add(lines, line);
    }
}

void sb_trace_frames(char *text, size_t room) {
    struct lines lines = {.text = text, .room = room};
    *text = '\0';
    add_python(&lines);
    add_machine(&lines);
}

/* Notices generators that seed themselves, in whatever language: preloaded into a command by seedbed.native.
 *
 * It stands in front of the ways to the operating system's entropy, and of the C library's seeds, which programs like to
 * take from the clock. Each use is passed on unchanged and becomes one JSON line in the file that SEEDBED_NATIVE names:
 * which library, which function, and the Python code that led there. It decides nothing: seedbed.native does.
 *
 * It is a guest in a process that knows nothing of it. So it keeps errno, keeps no file open, holds no lock, needs next to
 * no stack, and leaves a use that happens inside its own work alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "SEEDBED_NATIVE"
#define DAY 86400
#define EVERY 16       /* so many uses of a library are written down; then the 32nd, the 64th, the 128th ... */
#define GENERATORS 128 /* libraries, times the functions that they use */
#define DEPTH 64       /* frames of C that are looked at */
#define STACK 65536    /* bytes for the Python stack */
#define ROOM (8 * STACK) /* bytes for one line */

typedef struct link_map Library;

/* Not in every C library; a program whose C library lacks one of them still starts. */
#pragma weak backtrace
#pragma weak dladdr1
#ifdef DLFO_STRUCT_HAS_EH_DBASE
#pragma weak _dl_find_object
#endif

static __thread bool busy __attribute__((tls_model("initial-exec")));

/* -- the functions behind ours ------------------------------------------------------------------------------------- */

static void *behind(void **known, const char *name)
{
    if (!*known)
        *known = dlsym(RTLD_NEXT, name);
    return *known;
}

#define BEHIND(name, type) \
    static void *known; \
    __typeof__(type) real = (__typeof__(type))behind(&known, name)

/* -- who calls ------------------------------------------------------------------------------------------------------ */

/* The library that an address belongs to; no lock is taken if the C library offers that (glibc 2.35). */
static Library *library_at(void *address)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE
    struct dl_find_object object;
    if (_dl_find_object)
        return _dl_find_object(address, &object) ? NULL : object.dlfo_link_map;
#endif
    Dl_info info;
    Library *found = NULL;
    return dladdr1 && dladdr1(address, &info, (void **)&found, RTLD_DL_LINKMAP) ? found : NULL;
}

static const char *path_of(Library *library)
{
    static char program[4096];
    if (!library)
        return "";
    if (library->l_name[0])
        return library->l_name;
    if (!program[0] && readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return "";
    return program;
}

static bool is_named(Library *library, const char *name)
{
    const char *path = path_of(library), *last = strrchr(path, '/');
    return !strncmp(last ? last + 1 : path, name, strlen(name));
}

/* The interpreter: an executable, or libpython. NULL: no Python in this process. */
static Library *python(void)
{
    static Library *found;
    if (!found) {
        void *function = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
        found = function ? library_at(function) : NULL;
    }
    return found;
}

/* Whether Python code runs at this address: the loop that evaluates it. */
static bool evaluates_python(void *address)
{
    static char *start, *end;
    if (!start) {
        void *loop = dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
        const ElfW(Sym) *symbol = NULL;
        Dl_info info;
        if (!loop || !dladdr1 || !dladdr1(loop, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
            return true;
        end = (char *)loop + symbol->st_size;
        start = loop;
    }
    return (char *)address >= start && (char *)address < end;
}

/* Who is behind a caller that only passes entropy on: the C++ library, or Python when asked from C.
 *
 * NULL: Python code has asked for it. That is the business of seedbed.audit.
 */
static Library *beyond(Library *caller)
{
    void *frames[DEPTH];
    int count = backtrace ? backtrace(frames, DEPTH) : 0;
    bool reached = false;
    for (int i = 0; i < count; i++) {
        Library *library = library_at(frames[i]);
        reached = reached || library == caller;
        if (!reached || !library || library == caller || is_named(library, "libc.so")) {
            if (reached && library == python() && evaluates_python(frames[i]))
                return NULL;
            continue;
        }
        return library == python() ? NULL : library;
    }
    return caller == python() ? NULL : caller;
}

/* For seedbed.audit: the library whose C code has called the Python function that is running now; "" if there is none. */
const char *seedbed_caller(void)
{
    void *frames[DEPTH];
    int count = backtrace ? backtrace(frames, DEPTH) : 0;
    bool in_python = false;
    for (int i = 0; i < count; i++) {
        Library *library = library_at(frames[i]);
        in_python = in_python || (library && library == python() && evaluates_python(frames[i]));
        if (in_python && library && library != python())
            return is_named(library, "libc.so") ? "" : path_of(library);
    }
    return "";
}

/* -- the Python code that led there ---------------------------------------------------------------------------------- */

typedef void *(*ThisThread)(void);
typedef void (*Dump)(int file, void *thread);
typedef const char *(*DumpAll)(int file, void *interpreter, void *thread);

/* All threads' stacks, written by a copy of this process: they run on, and what they leave may not be readable. */
static void dump_all(DumpAll dump, int file)
{
    long child = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L); /* no signal to the parent when it ends */
    if (child == 0) {
        struct rlimit second = {1, 1}, none = {0, 0};
        setrlimit(RLIMIT_CPU, &second);
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGXCPU, SIG_DFL);
        dump(file, NULL, NULL);
        syscall(SYS_exit_group, 0L);
    }
    while (child > 0 && waitpid((pid_t)child, NULL, __WCLONE) < 0 && errno == EINTR)
        ;
}

/* Python's stack as its own crash handler writes it, which needs no lock of Python's. Returns how long it is. */
static size_t python_stack(char *text, size_t room, bool *own)
{
    int (*initialized)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    ThisThread this_thread = (ThisThread)dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
    Dump dump = (Dump)dlsym(RTLD_DEFAULT, "_Py_DumpTraceback");
    DumpAll all = (DumpAll)dlsym(RTLD_DEFAULT, "_Py_DumpTracebackThreads");
    if (!initialized || !initialized() || !this_thread || !dump || !all)
        return 0;
    int file = memfd_create("seedbed", MFD_CLOEXEC);
    if (file < 0)
        return 0;
    void *thread = this_thread();
    *own = thread != NULL;
    if (thread)
        dump(file, thread);
    else
        dump_all(all, file);
    ssize_t length = pread(file, text, room, 0);
    close(file);
    return length > 0 ? (size_t)length : 0;
}

/* -- writing it down ------------------------------------------------------------------------------------------------- */

static const char *events(void)
{
    static char path[4096];
    if (!path[0]) {
        const char *found = getenv(VARIABLE);
        if (found && strlen(found) < sizeof path)
            strcpy(path, found);
    }
    return path[0] ? path : NULL;
}

/* Which use this is of the library by that function, from 1, in this process. 0: too many libraries. */
static unsigned long use(Library *library, const char *how)
{
    static struct {
        _Atomic(Library *) library;
        const char *_Atomic how;
        _Atomic(unsigned long) count;
    } known[GENERATORS];
    static _Atomic(pid_t) process;
    if (process != getpid()) { /* a forked child counts from 1 */
        process = getpid();
        for (int i = 0; i < GENERATORS; i++)
            known[i].count = 0;
    }
    for (int i = 0; i < GENERATORS; i++) {
        Library *nobody = NULL;
        if (atomic_compare_exchange_strong(&known[i].library, &nobody, library))
            known[i].how = how;
        if (known[i].library != library)
            continue;
        while (!known[i].how) /* claimed by another thread a moment ago */
            ;
        if (known[i].how == how)
            return ++known[i].count;
    }
    return 0;
}

static char *put(char *at, const char *text)
{
    return stpcpy(at, text);
}

static char *put_escaped(char *at, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = (unsigned char)text[i];
        if (letter == '"' || letter == '\\') {
            *at++ = '\\';
            *at++ = (char)letter;
        } else if (letter < ' ' || letter > '~') {
            at += sprintf(at, "\\u%04x", letter);
        } else {
            *at++ = (char)letter;
        }
    }
    return at;
}

static void write_event(Library *library, const char *how, const char *detail, unsigned long count)
{
    char *line = mmap(NULL, ROOM + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (line == MAP_FAILED)
        return;
    char *stack = line + ROOM, *at = line;
    bool own = false;
    size_t length = python_stack(stack, STACK, &own);
    const char *path = path_of(library);
    at += sprintf(at, "{\"process\": %ld, \"count\": %lu, \"how\": \"%s\", \"detail\": \"%s\", \"own\": %s, \"library\": \"",
                  (long)getpid(), count, how, detail, own ? "true" : "false");
    at = put_escaped(at, path, strnlen(path, 512));
    at = put(at, "\", \"stack\": \"");
    for (size_t i = 0; i < length && at < line + ROOM - 16; i++)
        at = put_escaped(at, stack + i, 1);
    at = put(at, "\"}\n");
    int file = open(events(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file >= 0) {
        ssize_t written = write(file, line, (size_t)(at - line));
        (void)written;
        close(file);
    }
    munmap(line, ROOM + STACK);
}

/* A use of entropy by the code at `caller`. */
static void note(const char *how, const char *detail, void *caller)
{
    int kept = errno;
    if (busy || !events())
        return;
    busy = true;
    Library *library = library_at(caller);
    if (library && (library == python() || is_named(library, "libstdc++")))
        library = beyond(library);
    if (library) {
        unsigned long count = use(library, how);
        if (count && (count <= EVERY || !(count & (count - 1))))
            write_event(library, how, detail, count);
    }
    busy = false;
    errno = kept;
}

static void note_bytes(const char *how, size_t bytes, unsigned flags, void *caller)
{
    char detail[64];
    if (!bytes) /* only asks whether there is such a call */
        return;
    snprintf(detail, sizeof detail, "%zu bytes, flags %u", bytes, flags);
    note(how, detail, caller);
}

static void note_file(const char *path, void *caller)
{
    if (path && path[0] == '/' && path[1] == 'd' && (!strcmp(path, "/dev/urandom") || !strcmp(path, "/dev/random")))
        note("open", path, caller);
}

/* A seed that is the time of day in seconds. */
static void note_seed(const char *how, long seed, void *caller)
{
    long now = (long)(unsigned)time(NULL);
    if (labs(now - (long)(unsigned)seed) < DAY)
        note(how, "seeded from the clock", caller);
}

#define CALLER __builtin_return_address(0)

/* -- the operating system's entropy ---------------------------------------------------------------------------------- */

ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    BEHIND("getrandom", ssize_t(*)(void *, size_t, unsigned));
    note_bytes("getrandom", length, flags, CALLER);
    return real(buffer, length, flags);
}

int getentropy(void *buffer, size_t length)
{
    BEHIND("getentropy", int (*)(void *, size_t));
    note_bytes("getentropy", length, 0, CALLER);
    return real(buffer, length);
}

long syscall(long number, ...)
{
    BEHIND("syscall", long (*)(long, ...));
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_getrandom)
        note_bytes("getrandom", (size_t)b, (unsigned)c, CALLER);
    return real(number, a, b, c, d, e, f);
}

unsigned arc4random(void)
{
    BEHIND("arc4random", unsigned (*)(void));
    note("arc4random", "", CALLER);
    return real();
}

unsigned arc4random_uniform(unsigned bound)
{
    BEHIND("arc4random_uniform", unsigned (*)(unsigned));
    note("arc4random", "", CALLER);
    return real(bound);
}

void arc4random_buf(void *buffer, size_t length)
{
    BEHIND("arc4random_buf", void (*)(void *, size_t));
    note("arc4random", "", CALLER);
    real(buffer, length);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        BEHIND(#name, int (*)(const char *, int, ...)); \
        va_list list; \
        va_start(list, flags); \
        unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, unsigned) : 0; \
        va_end(list); \
        note_file(path, CALLER); \
        return real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        BEHIND(#name, int (*)(int, const char *, int, ...)); \
        va_list list; \
        va_start(list, flags); \
        unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, unsigned) : 0; \
        va_end(list); \
        note_file(path, CALLER); \
        return real(folder, path, flags, mode); \
    }
#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        BEHIND(#name, FILE * (*)(const char *, const char *)); \
        note_file(path, CALLER); \
        return real(path, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

/* -- the C library's generators, seeded from the clock ----------------------------------------------------------------- */

#define SEED(name, type) \
    void name(type seed) \
    { \
        BEHIND(#name, void (*)(type)); \
        note_seed(#name, (long)seed, CALLER); \
        real(seed); \
    }
SEED(srand, unsigned)
SEED(srandom, unsigned)
SEED(srand48, long)

/* -- std::random_device, which asks the processor and not the system --------------------------------------------------- */

/* The C++ library is loaded for some libraries only, out of reach of RTLD_NEXT: found from who calls. */
static unsigned draw(void **known, const char *name, void *device, void *caller)
{
    note("std::random_device", "", caller);
    if (!behind(known, name)) {
        Library *library = library_at(caller);
        void *handle = library ? dlopen(path_of(library), RTLD_LAZY | RTLD_NOLOAD) : NULL;
        if (!handle || !(*known = dlsym(handle, name))) {
            handle = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
            *known = handle ? dlsym(handle, name) : NULL;
        }
    }
    unsigned number = 0;
    if (!*known) {
        if (syscall(SYS_getrandom, &number, sizeof number, 0) != sizeof number)
            abort();
        return number;
    }
    bool outer = busy; /* what it reads on its way is the same use */
    busy = true;
    number = ((unsigned (*)(void *))*known)(device);
    busy = outer;
    return number;
}

unsigned draw_number(void *device) __asm__("_ZNSt13random_device9_M_getvalEv");
unsigned draw_number(void *device)
{
    static void *known;
    return draw(&known, "_ZNSt13random_device9_M_getvalEv", device, CALLER);
}

unsigned draw_number_before_cxx11(void *device) __asm__("_ZNSt13random_device16_M_getval_pretr1Ev");
unsigned draw_number_before_cxx11(void *device)
{
    static void *known;
    return draw(&known, "_ZNSt13random_device16_M_getval_pretr1Ev", device, CALLER);
}

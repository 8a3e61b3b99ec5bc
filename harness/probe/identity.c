/* The probe: names of the process and of its surroundings, noted. A fixed pid and host name come
 * from namespaces. */
#include "probe/inside.h"

#include <locale.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

SB_INTERPOSED pid_t getpid(void) {
    sb_probe_note(SB_PROBE_PID, "getpid", SB_CALLER, false);
    return (pid_t)syscall(SYS_getpid);
}

SB_INTERPOSED pid_t getppid(void) {
    sb_probe_note(SB_PROBE_PID, "getppid", SB_CALLER, false);
    return (pid_t)syscall(SYS_getppid);
}

SB_INTERPOSED int gethostname(char *name, size_t n) {
    sb_probe_note(SB_PROBE_HOSTNAME, "gethostname", SB_CALLER, false);
    return SB_REAL(gethostname)(name, n);
}

SB_INTERPOSED int uname(struct utsname *name) {
    sb_probe_note(SB_PROBE_HOSTNAME, "uname", SB_CALLER, false);
    return SB_REAL(uname)(name);
}

SB_INTERPOSED char *setlocale(int category, const char *name) {
    sb_probe_note(SB_PROBE_LOCALE, "setlocale", SB_CALLER, false);
    return SB_REAL(setlocale)(category, name);
}

SB_INTERPOSED locale_t newlocale(int mask, const char *name, locale_t base) {
    sb_probe_note(SB_PROBE_LOCALE, "newlocale", SB_CALLER, false);
    return SB_REAL(newlocale)(mask, name, base);
}

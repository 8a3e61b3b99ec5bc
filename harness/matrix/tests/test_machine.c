/* matrix: what the machine can vary. */
#include "tests/testing.h"

#include <samebits/matrix.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sb_machine *probe(void) {
    struct sb_machine *machine = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_machine_probe(&machine, &err) == 0, "%s", err.text);
    return machine;
}

START_TEST(cpus_are_those_of_the_affinity_mask)
{
    struct sb_machine *machine = probe();
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    ck_assert_uint_eq(machine->n_cpus, (size_t)CPU_COUNT(&set));
    for (size_t i = 0; i < machine->n_cpus; i++) {
        ck_assert(CPU_ISSET((size_t)machine->cpus[i], &set));
        ck_assert(i == 0 || machine->cpus[i] > machine->cpus[i - 1]);
    }
    int only = machine->cpus[machine->n_cpus - 1];
    sb_machine_free(machine);
    CPU_ZERO(&set);
    CPU_SET((size_t)only, &set);
    ck_assert_int_eq(sched_setaffinity(0, sizeof set, &set), 0);
    machine = probe();
    ck_assert_uint_eq(machine->n_cpus, 1);
    ck_assert_int_eq(machine->cpus[0], only);
    sb_machine_free(machine);
}
END_TEST

START_TEST(the_probe_leaves_this_process_as_it_was)
{
    char before[256], after[256];
    int flags = personality(0xffffffff);
    ck_assert_int_eq(gethostname(before, sizeof before), 0);
    sb_machine_free(probe());
    ck_assert_int_eq(gethostname(after, sizeof after), 0);
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(personality(0xffffffff), flags);
    ck_assert_int_eq(access("/proc/self/status", R_OK), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(an_instruction_set_includes_the_smaller_ones)
{
    struct sb_machine *machine = probe();
    ck_assert(!machine->has_isa[2] || machine->has_isa[1]);
    ck_assert(!machine->has_isa[1] || machine->has_isa[0]);
#ifdef __x86_64__
    ck_assert(machine->has_isa[0]);
#endif
    sb_machine_free(machine);
}
END_TEST

static int status_of(pid_t child) {
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool write_to(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* As in a container that gives neither privilege nor user namespaces. */
static void give_up_everything(void) {
    char map[32];
    snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (unshare(CLONE_NEWUSER) == 0 && (!write_to("/proc/self/uid_map", map) ||
                                        !write_to("/proc/sys/user/max_user_namespaces", "0")))
        _exit(77);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0)
        _exit(77);
}

START_TEST(without_any_privilege_the_reasons_are_told)
{
    pid_t child = fork();
    if (child == 0) {
        give_up_everything();
        struct sb_machine *machine = NULL;
        if (sb_machine_probe(&machine, NULL) < 0)
            _exit(1);
        if (!machine->no_uts_namespace || !strstr(machine->no_uts_namespace, "host name") ||
            !strstr(machine->no_uts_namespace, "in a user namespace: "))
            _exit(2);
        if (!machine->no_mount_namespace || machine->user_namespace_needed || !machine->n_cpus)
            _exit(3);
        sb_machine_free(machine);
        _exit(0);
    }
    int status = status_of(child);
    if (status == 77)
        sb_test_skip("needs user namespaces: one that can be configured");
    else
        ck_assert_msg(status == 0, "exit status %d", status);
}
END_TEST

/* In another user's place: exit status 0 when what was found is consistent. */
static int probe_as(uid_t uid) {
    pid_t child = fork();
    if (child == 0) {
        struct sb_machine *machine = NULL;
        if (uid && (setgid(uid) < 0 || setuid(uid) < 0))
            _exit(77);
        if (sb_machine_probe(&machine, NULL) < 0)
            _exit(1);
        /* without privilege the namespaces need a user namespace, or cannot be had */
        if (uid && !machine->no_uts_namespace && !machine->user_namespace_needed)
            _exit(2);
        if (machine->no_uts_namespace && !strstr(machine->no_uts_namespace, "host name"))
            _exit(3);
        if (machine->no_mount_namespace && !strstr(machine->no_mount_namespace, ": "))
            _exit(4);
        _exit(0);
    }
    return status_of(child);
}

START_TEST(an_ordinary_user_is_told_what_it_can_have)
{
    int status = probe_as(geteuid() == 0 ? 65534 : 0);
    if (status == 77)
        sb_test_skip("needs another user: to be an ordinary one");
    else
        ck_assert_msg(status == 0, "exit status %d", status);
}
END_TEST

START_TEST(another_machine_is_told_all_of_this_one_and_is_given_cpus)
{
    struct sb_machine *machine = probe(), *again = NULL;
    struct sb_error err = {{0}};
    machine->isa_refused[1] = strdup("wrong at gemm");
    json_t *told = sb_machine_to_json(machine);
    ck_assert_msg(sb_machine_from_json(told, &again, &err) == 0, "%s", err.text);
    json_t *told_again = sb_machine_to_json(again);
    ck_assert(json_equal(told, told_again));
    ck_assert_str_eq(again->isa_refused[1], "wrong at gemm");
    ck_assert_int_eq(sb_machine_set_cpus(again, 48), 0);
    ck_assert_uint_eq(again->n_cpus, 48);
    ck_assert_int_eq(again->cpus[47], 47);
    sb_machine_free(again);
    json_object_set_new(told, "cpus", json_integer(0));
    ck_assert_int_eq(sb_machine_from_json(told, &again, &err), -EBADMSG);
    json_decref(told);
    json_decref(told_again);
    sb_machine_free(machine);
}
END_TEST

SB_TEST_MAIN("matrix-machine", another_machine_is_told_all_of_this_one_and_is_given_cpus,
             cpus_are_those_of_the_affinity_mask, the_probe_leaves_this_process_as_it_was,
             an_instruction_set_includes_the_smaller_ones,
             without_any_privilege_the_reasons_are_told, an_ordinary_user_is_told_what_it_can_have)

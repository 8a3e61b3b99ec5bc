/* cli: samebits doctor: what this machine can vary, what was found, what is missing and how to get
 * it. */
#include "cli/command.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/request.h"

#include <samebits/matrix.h>
#include <samebits/run.h>
#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "report/table.h"
#include "samebits-config.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

/* One line of the answer: found, or missing with what to do. */
struct finding {
    char subject[80];
    bool good;
    char *text; /* owned */
};

struct findings {
    struct finding items[128];
    size_t n;
};

static void add(struct findings *findings, const char *subject, bool good, char *text) {
    if (findings->n == sizeof findings->items / sizeof *findings->items) {
        free(text);
        return;
    }
    struct finding *finding = &findings->items[findings->n++];
    *finding = (struct finding){.good = good, .text = text};
    snprintf(finding->subject, sizeof finding->subject, "%s", subject);
}

static void add_machine(struct findings *findings, const struct sb_machine *machine) {
    add(findings, "CPUs", machine->n_cpus > 1,
        sb_format("%zu%s", machine->n_cpus,
                  machine->n_cpus > 1 ? ""
                                      : ": levels of threads above 1 share it; give the process "
                                        "more CPUs to vary threads"));
    if (machine->cpu_quota > 0)
        add(findings, "CPU quota", machine->cpu_quota >= (double)machine->n_cpus,
            sb_format("%.2f CPUs of time by the cgroup", machine->cpu_quota));
    SB_AUTO_TEXT struct sb_text isa = {0};
    for (size_t i = 0; sb_isa_names[i]; i++) {
        if (machine->isa_refused[i])
            sb_text_printf(&isa, " %s (refused: %s)", sb_isa_names[i], machine->isa_refused[i]);
        else
            sb_text_printf(&isa, " %s%s", machine->has_isa[i] ? "" : "no ", sb_isa_names[i]);
    }
    add(findings, "isa", true, sb_format("%s", isa.data ? isa.data + 1 : ""));
    add(findings, "overlay", !machine->no_mount_namespace,
        sb_format("%s", machine->no_mount_namespace ? machine->no_mount_namespace
                        : machine->user_namespace_needed
                            ? "mount namespaces, through a user namespace"
                            : "mount namespaces"));
    if (machine->no_mount_namespace)
        add(findings, "", false,
            strdup(
                "runs then take turns in the folder itself (--isolate inplace); a container needs "
                "user namespaces or CAP_SYS_ADMIN for more"));
    add(findings, "hostname", !machine->no_uts_namespace,
        sb_format("%s", machine->no_uts_namespace ? machine->no_uts_namespace : "can be varied"));
    add(findings, "aslr", !machine->no_personality,
        sb_format("%s", machine->no_personality ? machine->no_personality : "can be varied"));
    add(findings, "pid", !machine->no_pid_namespace,
        sb_format("%s", machine->no_pid_namespace ? machine->no_pid_namespace : "can be varied"));
    add(findings, "probe", !machine->no_probe,
        sb_format("%s", machine->no_probe ? machine->no_probe
                                          : "entropy, clock, readdir and schedule can be varied"));
}

static void add_libraries(struct findings *findings) {
    struct sb_error err = {0};
    const char *hdf5 = sb_hdf5_version(&err);
    add(findings, "HDF5", hdf5,
        hdf5 ? sb_format("%s", hdf5) : sb_format("%s (apt-get install libhdf5-103-1)", err.text));
    add(findings, "libc", true, sb_format("glibc %s", gnu_get_libc_version()));
    size_t n;
    struct sb_listed_backend *backends = sb_list_backends(true, &n);
    for (size_t i = 0; backends && i < n; i++) {
        add(findings, backends[i].name, !backends[i].missing,
            sb_format("%s", backends[i].missing ? backends[i].missing
                            : backends[i].found ? backends[i].found
                                                : "here"));
    }
    sb_listed_backends_free(backends, n);
}

static int print_json(const struct findings *findings) {
    json_t *list = json_array();
    for (size_t i = 0; i < findings->n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:o}", "subject", findings->items[i].subject,
                                        "here", findings->items[i].good, "text",
                                        sb_json_string(findings->items[i].text)));
    SB_AUTO_JSON json_t *document = json_pack("{s:s, s:s, s:o}", "schema", "samebits.doctor/1",
                                              "version", SB_VERSION, "findings", list);
    SB_AUTO_FREE char *text = sb_json_text(document);
    fputs(text ? text : "", stdout);
    return SB_EXIT_OK;
}

int sb_cmd_doctor(int argc, char **argv) {
    bool json = false;
    const struct sb_option table[] = {{"json", 0, NULL, "JSON on stdout", sb_take_flag, &json}};
    struct sb_error err = {0};
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits doctor", table, 1, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits doctor [OPTION]…\n"
            "What this machine can vary, what was found, what is missing and how to get it.\n");
        sb_options_print(table, 1);
        return SB_EXIT_OK;
    }
    struct sb_machine *machine = NULL;
    if (sb_request_machine(NULL, &machine, &err) < 0)
        return sb_complain(&err);
    struct findings findings = {.n = 0};
    add_machine(&findings, machine);
    add_libraries(&findings);
    sb_machine_free(machine);
    if (json)
        print_json(&findings);
    struct sb_table rows = {.n_columns = 3, .indent = "  ", .colour = sb_colour_wanted()};
    for (size_t i = 0; i < findings.n; i++) {
        const struct finding *finding = &findings.items[i];
        sb_table_add(&rows, strdup(finding->good ? "ok" : "--"), 0,
                     finding->good ? SB_TONE_GOOD : SB_TONE_WARN);
        sb_table_add(&rows, strdup(finding->subject), 0, SB_TONE_BOLD);
        sb_table_add(&rows, finding->text, 0, SB_TONE_PLAIN);
    }
    if (!json)
        sb_table_print(&rows, stdout);
    sb_table_clear(&rows);
    return SB_EXIT_OK;
}

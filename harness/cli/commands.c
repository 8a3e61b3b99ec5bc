/* cli: the table of subcommands. */
#include "cli/command.h"

#include <samebits/run.h>

const struct sb_command sb_commands[] = {
    {"run", "run jobs under varied conditions and say whether their bits hold", sb_cmd_run},
    {"compare", "compare two weights files, tensor by tensor", sb_cmd_compare},
    {"fingerprint", "print the fingerprint of weights files", sb_cmd_fingerprint},
    {"explain", "why a job's bits differ, found by intervention", sb_cmd_explain},
    {"rerun", "do one run of a result again, as it was", sb_cmd_rerun},
    {"report", "make a report from a result", sb_cmd_report},
    {"merge", "join results of shards and machines into one", sb_cmd_merge},
    {"baseline", "keep the bits of a result, and check later ones", sb_cmd_baseline},
    {"diff-manifest", "what differs in what two results rest on", sb_cmd_diff_manifest},
    {"history", "when did verdicts or bits change, over many results", sb_cmd_history},
    {"list", "kernels, backends, axes, formats, reports, launchers", sb_cmd_list},
    {"doctor", "what this machine can vary, and what is missing", sb_cmd_doctor},
    {"init", "write a suite for a command", sb_cmd_init},
    {"worker", NULL, sb_worker_main},
    {"node", NULL, sb_cmd_node},
    {NULL, NULL, NULL},
};

/* cli: an operation of PyTorch, kept by python/inject/kept.py and made again by it. See
 * cli/explain_again.h. */
#include "cli/explain_again.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/inject.h"
#include "probe/trace_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 100 }; /* as in kept.py */

/* What lies beside the operation: {"python": its interpreter, "calls": how many of them take half a
 * second, "frames": who called}. NULL: it is not that, and confirms nothing. */
static json_t *read_head(const char *path) {
    json_t *head = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const char *python = json_string_value(json_object_get(head, "python"));
    json_int_t calls = json_integer_value(json_object_get(head, "calls"));
    if (python && *python && calls > 0 && calls <= MOST_CALLS)
        return head;
    json_decref(head);
    return NULL;
}

static void take_frames(const json_t *head, json_t *culprit) {
    const json_t *frames = json_object_get(head, "frames");
    size_t i;
    json_t *frame, *taken = json_array();
    json_array_foreach(frames, i, frame) {
        if (json_is_string(frame))
            json_array_append(taken, frame);
    }
    json_object_set_new(culprit, "frames", taken);
}

/* Of an axis once in each process; of a race so often that threads meet. */
static int make_again(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                      const char *path, const json_t *head, json_t *culprit, struct sb_error *err) {
    bool axis = sb_explain_varied(knobs) != 0;
    unsigned calls = axis ? 1 : (unsigned)json_integer_value(json_object_get(head, "calls"));
    SB_AUTO_FREE char *python = strdup(json_string_value(json_object_get(head, "python")));
    SB_AUTO_FREE char *program = NULL, *times = sb_format("%u", calls);
    /* Without ".json". */
    const char *name = strrchr(path, '/') + 1;
    SB_AUTO_FREE char *file = strndup(name, (size_t)(strrchr(name, '.') - name));
    if (!python || !times || !file)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    if (sb_inject_file("kept.py", &program, NULL) < 0 || strpbrk(program, "{}") ||
        strpbrk(python, "{}"))
        return 0;
    char to[] = "{weights}", weights[] = "outputs.safetensors";
    char *command[] = {python, program, file, to, times, NULL};
    const struct sb_again again = {path, command, 5, weights, calls};
    return sb_explain_make_again(explanation, knobs, &again, culprit, err);
}

int sb_explain_confirm_operation(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                                 const struct sb_experiment *traced,
                                 const struct sb_parting *parting, json_t *culprit,
                                 struct sb_error *err) {
    SB_AUTO_FREE char *path = NULL;
    if (explanation->unfinished)
        return 0;
    int rc = sb_explain_keep(explanation, traced, parting, SB_KEPT_HEAD, &path, err);
    SB_AUTO_JSON json_t *head = rc == 0 && path ? read_head(path) : NULL;
    if (rc < 0 || !head || explanation->unfinished)
        return rc;
    take_frames(head, culprit);
    return make_again(explanation, knobs, path, head, culprit, err);
}

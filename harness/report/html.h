/* Stage 7, private: what the HTML page is told. */
#ifndef SB_REPORT_HTML_H
#define SB_REPORT_HTML_H

#include <samebits/report.h>

/* page.html, page.css and page.js as they are in harness/report/html/; made by the build. The
 * digest is the script's, "sha256-…", for the page's Content-Security-Policy. */
extern const char sb_html_page[], sb_html_style[], sb_html_script[], sb_html_script_digest[];

/* All that the page shows, as compact as 100,000 runs need:
 *   {"tool", "suite", "started", "isolation", "manifest": as they are
 *    "word", "tone", "counts", "elapsed", "legend", "program", "directory": texts
 *    "baseline": text, where the result was checked against one
 *    "columns": [names of axes], "statuses": [names], "logs": {id of a run: tail}
 *    "jobs": [{"id", "outcome", "verdict", "reason"
 *              "cells": [[tone, text]…], run to run, then one a column
 *              "worst", "evidence", "accuracy", "cost": texts; "ulp", "bound": to sort by
 *              "says": [sentences]
 *              "axes", "witness", "culprit", "confidence", "limits": as they are
 *              "worst_tensor", "cost_of": {"times", "sd"}, "groups": [[fingerprint, sum]…]
 *              "levels": [a cell as text…]
 *              "runs": [[number of the id, cell, repeat, status, group or -1, wall_s, cpu_s,
 *                        max_rss_kb, message where there is one]…]}]}
 * Tails are of logs in `directory`, of witnesses and of each job's first failed run. New reference,
 * or NULL without memory. */
json_t *sb_html_data(const json_t *result, const struct sb_report_options *options);

#endif

/* Stage 6, private: what could be luck (DESIGN 4.3): agreement in the face of a race, and an effect
 * of an axis. Formulas in docs/verdicts.md. */
#ifndef SB_ATTRIBUTE_LUCK_H
#define SB_ATTRIBUTE_LUCK_H

#include "attribute/view.h"

/* Luck below this is none. */
#define SB_LUCK_LIMIT 0.05

/* Runs of one lot that have the same bits. */
struct sb_block {
    int group;
    unsigned runs;
};

/* The runs of all blocks are shuffled and dealt out to the blocks again, each as large as it was:
 * the chance that all runs of a block have the same bits in each. Exact; where too many different
 * sizes make that too long, runs are left out of the larger blocks, and the chance is larger. As a
 * natural logarithm; NAN without memory. */
double sb_deal_log_chance(const struct sb_block *blocks, size_t n);

/* The permutation test of one axis of an explanation: the runs of the stable cells, shuffled among
 * those with equal levels of the explanation's other axes. runs[cell]: how many each cell has
 * (NULL: as counted), so that the test can be asked before the runs were made. NAN without memory.
 */
double sb_axis_p(const struct sb_view *view, const unsigned *runs, sb_mask explanation,
                 size_t axis);

/* How easily a race can look like the effect of one axis of an explanation. In each lot, as above,
 * a race at all levels that have one kind of bits, which gives those or another level's as a coin
 * falls, gives those alone with the chance 2^-(runs there). Of the kinds in a lot the one with
 * fewest runs counts; lots multiply. NAN without memory. */
double sb_axis_race_chance(const struct sb_view *view, const unsigned *runs, sb_mask explanation,
                           size_t axis);

/* The largest of sb_axis_race_chance over the explanation's axes. */
double sb_race_chance(const struct sb_view *view, const unsigned *runs, sb_mask explanation);

/* The largest of sb_axis_p over the explanation's axes. */
double sb_dependence_p(const struct sb_view *view, const unsigned *runs, sb_mask explanation);

/* The chance that `repeats` runs agree in a cell that is as unstable as one where `modal` of `runs`
 * runs had the bits that most had: the share of the ways to shuffle both cells' runs (modal or not)
 * that give this cell modal ones alone. */
double sb_agreement_luck(double repeats, double runs, double modal);

/* How often runs agree with the bits that most have, in unstable cells. */
struct sb_rate {
    double runs, modal;
};

/* The cells that look stable, one that ran once among them, against the unstable ones. */
struct sb_stability {
    size_t *cells; /* how many that look stable have so many good runs, 0 to `most` */
    unsigned most;
    size_t n_unstable;   /* cells */
    struct sb_rate rate; /* of the unstable cells; no runs where there are none */
};

/* As counted. 0 or -ENOMEM. */
int sb_stability_make(const struct sb_view *view, struct sb_stability *stability);
void sb_stability_clear(struct sb_stability *stability);

/* The rate as if each unstable cell had at least so many runs, in the same proportions. */
struct sb_rate sb_unstable_rate(const struct sb_view *view, unsigned at_least);

/* At most the chance that any cell that looks stable does so by luck at this rate, as if each of
 * them had at least so many runs; 0 where no cell is unstable. The unstable cells count as well:
 * they, too, could have been the one that went on to agree, and the more cells race, the likelier
 * do the others. */
double sb_stability_luck(const struct sb_stability *stability, const struct sb_rate *rate,
                         unsigned at_least);
double sb_stable_luck(const struct sb_view *view); /* as counted; NAN without memory */

/* With n replays all equal, the share of runs that differ is below this with 95% confidence. NAN
 * for none. */
double sb_mismatch_rate_95(unsigned replays);

#endif

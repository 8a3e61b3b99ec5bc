/* kernels: exp, log, tanh, erf, sine and cosine whose bits do not depend on the C library.
 *
 * Each is a fixed sequence of IEEE double operations (add, multiply, divide), so that every
 * machine, compiler level and libm version gives the same bits. Errors against the exact value: exp
 * and log below 2 ULP, tanh below 3, erf below 5, sine and cosine below 2^-52 absolute
 * (tests/test_numeric.c measures them).
 */
#ifndef SB_KERNELS_NUMERIC_H
#define SB_KERNELS_NUMERIC_H

double sb_exp(double x);
double sb_log(double x);
double sb_tanh(double x);
double sb_erf(double x);
/* Sine and cosine of 2π·turns, for turns in [0, 1]. */
void sb_sincos_turns(double turns, double *sine, double *cosine);
/* Correctly rounded, as IEEE asks of every square root. */
double sb_sqrt(double x);

#endif

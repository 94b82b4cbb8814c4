/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_TEST_COVERAGE_H
#define _BRAID_TEST_COVERAGE_H

#ifdef BRAID_COVERAGE
void __sanitizer_cov_trace_pc(void);
void braid_coverage_write(void);
#else
static inline void braid_coverage_write(void)
{
}
#endif

#endif /* _BRAID_TEST_COVERAGE_H */

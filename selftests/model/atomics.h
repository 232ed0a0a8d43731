/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts the model in place of the compiler's atomics.  A source that is included
 * after this is compiled as it is; each of its accesses becomes a site.
 */
#ifndef FOS_MODEL_ATOMICS_H
#define FOS_MODEL_ATOMICS_H

#include "model.h"

#define __atomic_load_n(p, mo) \
	((__typeof__(*(p)))model_load((p), sizeof(*(p)), (mo), \
				      MODEL_SITE(MODEL_LOAD, #p, mo, 0)))

#define __atomic_store_n(p, v, mo) \
	model_store((void *)(p), sizeof(*(p)), (uint64_t)(v), (mo), \
		    MODEL_SITE(MODEL_STORE, #p, mo, 0))

/* Not all want the old value; a statement expression may be ignored. */
#define __atomic_fetch_add(p, v, mo) ({ \
	(__typeof__(*(p)))model_rmw((p), sizeof(*(p)), ~0ULL, (uint64_t)(v), \
				    (mo), MODEL_SITE(MODEL_RMW, #p, mo, 0)); })

#define __atomic_fetch_sub(p, v, mo) ({ \
	(__typeof__(*(p)))model_rmw((p), sizeof(*(p)), ~0ULL, \
				    -(uint64_t)(v), (mo), \
				    MODEL_SITE(MODEL_RMW, #p, mo, 0)); })

#define __atomic_exchange_n(p, v, mo) ({ \
	(__typeof__(*(p)))model_rmw((p), sizeof(*(p)), 0, (uint64_t)(v), \
				    (mo), MODEL_SITE(MODEL_RMW, #p, mo, 0)); })

/* A weak one does not fail for nothing on x86. */
#define __atomic_compare_exchange_n(p, old, new, weak, mo, mo_fail) ({ \
	(void)(weak); \
	model_cas((p), sizeof(*(p)), (old), (uint64_t)(new), (mo), (mo_fail), \
		  MODEL_SITE(MODEL_CAS, #p, mo, mo_fail)); })

#endif

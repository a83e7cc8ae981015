/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of policy share: the range of each key, whether it comes as text or as XML. */
#pragma once

#include <dynmem/policy.h>

/* Set @key to what @value says, as dyn_policy_set() but without DYN_POLICY_UNSET. */
bool
dyn_policy_set_key(DynPolicy *policy, DynPolicyKey key, const char *value, GError **error);

/* Set the size @key after checking its range. @meant (or NULL) goes into the error's "did you mean
 * ...?". */
bool
dyn_policy_set_size(DynPolicy *policy, DynPolicyKey key, uint64_t kib, const char *meant,
                    GError **error);

/* The word for @key inside a sentence: "startup". Static. */
const char *
dyn_policy_key_word(DynPolicyKey key);

/* The size of @key, which must be startup, minimum or maximum. */
uint64_t
dyn_policy_size(const DynPolicy *policy, DynPolicyKey key);

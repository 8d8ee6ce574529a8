/* Looking into L1 without a trace, for CACHE EXPLAIN. */
#include "tier/reply_dbs.h"
#include "tier/tier_reply.h"

/* What of a soft entry's state a reader must know. */
static void explain_soft(struct tier *tier, const struct shelf *shelf, struct entry_soft soft,
                         struct tier_explanation *explanation)
{
    int64_t now_ms = tier->loop->clock.mono_ms;
    int64_t left_ms = (int64_t)soft.fresh_until_ms - now_ms;
    enum verdict verdict = stale_judge(tier, &soft, shelf, link_is_available(tier->link));
    explanation->epoch = soft.epoch;
    explanation->fresh_ms = soft.fresh_until_ms == 0 ? -1 : left_ms > 0 ? left_ms : 0;
    explanation->is_fresh =
        soft.epoch == tier->epoch && soft.policy == shelf->policy_id && explanation->fresh_ms != 0;
    explanation->is_answered = verdict != VERDICT_USELESS && shelf->policy->mode == POLICY_CACHE;
}

void tier_explain(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                  struct tier_explanation *explanation)
{
    int64_t now_ms = tier->loop->clock.mono_ms;
    struct shelf shelf = stale_shelf(tier, key);
    *explanation = (struct tier_explanation){.policy = shelf.policy, .epoch = tier->epoch};
    if (!tier->options.l1_enabled)
        return;
    const struct entry *anchor =
        tier_reply_peek(tier, db, key, hash, &explanation->n_replies, &explanation->is_absent);
    const struct entry *entry = store_peek(
        tier->store, reply_dbs_strings(tier->n_dbs, db, shelf.is_soft), key, hash, now_ms);
    if (entry != NULL)
        explanation->is_absent = entry->kind == ENTRY_ABSENT;
    else
        entry = anchor;
    explanation->entry = entry;
    if (entry == NULL)
        return;
    explanation->is_fresh = explanation->is_answered = true;
    explanation->fresh_ms = entry->deadline_ms == 0 ? -1 : (int64_t)entry->deadline_ms - now_ms;
    if (shelf.is_soft) {
        struct entry_soft soft = entry_soft_of(entry);
        if (entry == anchor)
            soft.fresh_until_ms = reply_first_fresh(anchor);
        explain_soft(tier, &shelf, soft, explanation);
    }
}

uint32_t tier_epoch(const struct tier *tier)
{
    return tier->epoch;
}

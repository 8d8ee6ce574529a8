/* What happens periodically: rates for INFO, limits of clients, a slice of L1's background work. */
#include "server/cron.h"

#include "base/mem.h"
#include "upstream/busy.h"

/* As Redis's `hz 10`: rates and limits are looked at ten times a second. */
#define CRON_MS 100

/* A slice of L1's background work, and how soon the next one follows when there is more: at most a quarter of the time. */
#define SLICE_US 500
#define SLICE_AGAIN_MS 2

static void sample(struct larder_rate *rate, uint64_t total, int64_t now_ms)
{
    int64_t passed_ms = now_ms - rate->last_ms;
    if (passed_ms > 0)
        rate->samples[rate->next] = (double)(total - rate->last) * 1000.0 / (double)passed_ms;
    rate->next = (rate->next + 1) % LARDER_RATE_SAMPLES;
    rate->last = total;
    rate->last_ms = now_ms;
}

static void on_cron(struct timer *timer, void *ctx)
{
    struct larder *larder = ctx;
    int64_t now_ms = larder_now_ms(larder);
    struct mem_figures figures;
    sample(&larder->rate_commands, larder->stats.commands, now_ms);
    sample(&larder->rate_in, larder->conns.bytes_read, now_ms);
    sample(&larder->rate_out, larder->conns.bytes_written, now_ms);
    client_cron(larder);
    if (larder->busy_watch != NULL)
        busy_watch_tick(larder->busy_watch);
    mem_read_figures(&figures);
    if (figures.allocated > larder->stats.peak_memory)
        larder->stats.peak_memory = figures.allocated;
    if (larder->paused_until_ms != 0 && larder->paused_until_ms <= now_ms) {
        larder->paused_until_ms = 0;
        client_resume_all(larder);
    }
    timer_arm(&larder->loop.timers, timer, now_ms + CRON_MS);
}

static void on_slice(struct timer *timer, void *ctx)
{
    struct larder *larder = ctx;
    bool more = store_cycle(larder->store, larder_now_ms(larder), SLICE_US);
    timer_arm(&larder->loop.timers, timer,
              larder_now_ms(larder) + (more ? SLICE_AGAIN_MS : CRON_MS));
}

void cron_start(struct larder *larder)
{
    int64_t now_ms = larder_now_ms(larder);
    timer_init(&larder->cron, on_cron, larder);
    timer_init(&larder->slice, on_slice, larder);
    larder->rate_commands.last_ms = larder->rate_in.last_ms = larder->rate_out.last_ms = now_ms;
    timer_arm(&larder->loop.timers, &larder->cron, now_ms + CRON_MS);
    timer_arm(&larder->loop.timers, &larder->slice, now_ms + CRON_MS);
}

void cron_stop(struct larder *larder)
{
    timer_disarm(&larder->loop.timers, &larder->cron);
    timer_disarm(&larder->loop.timers, &larder->slice);
}

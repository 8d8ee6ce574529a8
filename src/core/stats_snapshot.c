/* Gathers what the rows of the table of figures read; see stats_table.h. */
#include "core/stats_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Resident memory of the process, or 0. /proc is memory, not a disk: reading it takes
 * microseconds. */
static size_t read_rss(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof(text));
    close(fd);
    /* "size resident shared ...", in pages */
    const char *space = len > 0 ? memchr(text, ' ', (size_t)len) : NULL;
    if (space == NULL)
        return 0;
    const char *end = memchr(space + 1, ' ', (size_t)(text + len - space - 1));
    int64_t pages;
    if (end == NULL || !bytes_parse_range(bytes_of(space + 1, (size_t)(end - space - 1)), 0,
                                          INT64_MAX / 65536, &pages))
        return 0;
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

double stats_rate_mean(const struct larder_rate *rate)
{
    double sum = 0;
    for (unsigned i = 0; i < LARDER_RATE_SAMPLES; i++)
        sum += rate->samples[i];
    return sum / LARDER_RATE_SAMPLES;
}

void stats_reset(struct larder_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
}

const char *stats_link_state_name(enum link_state state)
{
    switch (state) {
    case LINK_DOWN: return "down";
    case LINK_CONNECTING: return "connecting";
    case LINK_HANDSHAKE: return "handshake";
    case LINK_READY: break;
    }
    return "ready";
}

static double ratio(uint64_t part, uint64_t other)
{
    return part == 0 ? 0 : (double)part / ((double)part + (double)other);
}

static void take_link(struct stats_snapshot *snapshot, const struct larder *larder)
{
    snapshot->link_state = "none";
    snapshot->breaker = "none";
    snapshot->coherence = "none";
    snapshot->coherence_configured = "none";
    if (larder->link == NULL)
        return;
    snapshot->has_link = true;
    link_read_figures(larder->link, &snapshot->link);
    snapshot->link_state = stats_link_state_name(snapshot->link.state);
    snapshot->breaker = breaker_state_name(snapshot->link.breaker);
    if (larder->pinned != NULL)
        pinned_read_figures(larder->pinned, &snapshot->pinned);
    snapshot->link_up = link_state_is_up(snapshot->link.state);
    snapshot->link_tracking = snapshot->link.tracking != LINK_TRACKING_NONE;
    snapshot->coherence_configured = link_tracking_name(snapshot->link.tracking_wanted);
    if (snapshot->link_up)
        snapshot->coherence = link_tracking_name(snapshot->link.tracking);
    snapshot->link_state_age_ms = larder_now_ms(larder) - snapshot->link.state_since_ms;
    snprintf(snapshot->link_name, sizeof(snapshot->link_name), "%s", link_get_name(larder->link));
    snprintf(snapshot->link_version, sizeof(snapshot->link_version), "%s",
             link_get_version(larder->link));
}

static void take_memory(struct stats_snapshot *snapshot, const struct larder *larder)
{
    mem_read_figures(&snapshot->mem);
    snapshot->rss_bytes = read_rss();
    /* The C library's allocator has no figures that are cheap to read. */
    if (snapshot->mem.allocated == 0)
        snapshot->mem.allocated = snapshot->rss_bytes;
    size_t used = snapshot->mem.allocated;
    snapshot->peak_bytes = larder->stats.peak_memory > used ? larder->stats.peak_memory : used;
    snapshot->max_memory = (size_t)larder->config.maxmemory_bytes;
    snapshot->max_entries = (size_t)larder->config.l1_max_entries;
    snapshot->l1_policy = store_policy_name(larder->config.maxmemory_policy);
    bool is_told = larder->link != NULL && link_get_policy(larder->link)[0] != '\0';
    snapshot->policy = is_told ? link_get_policy(larder->link) : snapshot->l1_policy;
    snapshot->fragmentation_ratio = used == 0 ? 0 : (double)snapshot->rss_bytes / (double)used;
}

static void take_clients(struct stats_snapshot *snapshot, const struct larder *larder)
{
    snapshot->n_clients = larder->n_clients;
    snapshot->n_slots = larder->n_slots;
    snapshot->max_clients = (size_t)larder->config.maxclients;
    const struct client *client;
    TAILQ_FOREACH(client, &larder->clients, link)
    {
        size_t in = conn_pending_input(&client->conn);
        size_t out = conn_pending_output(&client->conn);
        snapshot->client_bytes +=
            sizeof(*client) + client->conn.in.cap + client->conn.out.cap + client->slot_bytes;
        if (in > snapshot->max_input_bytes)
            snapshot->max_input_bytes = in;
        if (out > snapshot->max_output_bytes)
            snapshot->max_output_bytes = out;
    }
    snapshot->bytes_in = larder->conns.bytes_read;
    snapshot->bytes_out = larder->conns.bytes_written;
    snapshot->reads = larder->conns.reads;
    snapshot->writes = larder->conns.writes;
    snapshot->ops_per_second = (int64_t)stats_rate_mean(&larder->rate_commands);
    snapshot->in_kbps = stats_rate_mean(&larder->rate_in) / 1024;
    snapshot->out_kbps = stats_rate_mean(&larder->rate_out) / 1024;
}

void stats_snapshot_take(struct stats_snapshot *snapshot, const struct larder *larder)
{
    memset(snapshot, 0, sizeof(*snapshot));
    tier_read_counters(larder->tier, &snapshot->tier);
    store_read_counters(larder->store, &snapshot->store);
    store_read_gauges(larder->store, &snapshot->gauges);
    snapshot->used_bytes = snapshot->gauges.entry_bytes + snapshot->gauges.index_bytes;
    snapshot->stale_served = snapshot->tier.stale_while_revalidate + snapshot->tier.stale_if_error;
    snapshot->round_trips_saved = snapshot->tier.hits + snapshot->tier.joins;
    if (larder->link == NULL) { /* L1 is the database: what clients hit is what L1 is hit for */
        snapshot->tier.hits = larder->stats.keyspace_hits;
        snapshot->tier.misses = larder->stats.keyspace_misses;
    }
    snapshot->fetches_in_flight = tier_fetches_in_flight(larder->tier);
    snapshot->l1_hit_rate = ratio(snapshot->tier.hits, snapshot->tier.misses);
    snapshot->l2_hit_rate = ratio(snapshot->tier.l2_found, snapshot->tier.l2_absent);
    snapshot->larder = larder->stats;
    snapshot->turns = larder->loop.turns;
    snapshot->longest_turn_us = larder->loop.longest_turn_us;
    snapshot->uptime_s = (larder_now_ms(larder) - larder->started_ms) / 1000;
    take_link(snapshot, larder);
    take_memory(snapshot, larder);
    take_clients(snapshot, larder);
}

/* The table of figures; see stats_table.h. */
#include "core/stats_table.h"

/* The place of a field, which must have exactly the type that its row is read with. */
#define FIELD(field, type)                                                                         \
    .offset = offsetof(struct stats_snapshot, field) +                                             \
              0 * sizeof(_Generic(&((struct stats_snapshot *)0)->field, type * : 1))
#define U64(field) .type = STATS_U64, FIELD(field, uint64_t)
#define SIZE(field) .type = STATS_SIZE, FIELD(field, size_t)
#define I64(field) .type = STATS_I64, FIELD(field, int64_t)
#define BOOL(field) .type = STATS_BOOL, FIELD(field, bool)
#define DOUBLE(field) .type = STATS_DOUBLE, FIELD(field, double)
#define TEXT(field)                                                                                \
    .kind = STATS_TEXT, .unit = "", .type = STATS_POINTER, FIELD(field, const char *)
#define CHARS(field)                                                                               \
    .kind = STATS_TEXT, .unit = "", .type = STATS_CHARS,                                           \
    .offset = offsetof(struct stats_snapshot, field)
#define COUNTER(text) .kind = STATS_COUNTER, .unit = (text)
#define GAUGE(text) .kind = STATS_GAUGE, .unit = (text)

static const struct stats_row rows[] = {
#define ROW(word) .section = STATS_CLIENTS, .name = (word)
    {ROW("connected_clients"), GAUGE(""), SIZE(n_clients), .help = "Clients connected now."},
    {ROW("maxclients"), GAUGE(""), SIZE(max_clients),
     .help = "Clients that may be connected at a time."},
    {ROW("client_recent_max_input_buffer"), GAUGE("bytes"), SIZE(max_input_bytes),
     .help = "Largest input buffer of a client now."},
    {ROW("client_recent_max_output_buffer"), GAUGE("bytes"), SIZE(max_output_bytes),
     .help = "Largest output buffer of a client now."},
#undef ROW
#define ROW(word) .section = STATS_MEMORY, .name = (word)
    {ROW("used_memory"), GAUGE("bytes"), SIZE(mem.allocated),
     .help = "Memory that the process has allocated."},
    {ROW("used_memory_rss"), GAUGE("bytes"), SIZE(rss_bytes),
     .help = "Memory that the process has resident."},
    {ROW("used_memory_peak"), GAUGE("bytes"), SIZE(peak_bytes),
     .help = "Highest used_memory seen."},
    {ROW("used_memory_dataset"), GAUGE("bytes"), SIZE(gauges.entry_bytes),
     .help = "Memory of the entries in L1, as the allocator counts."},
    {ROW("allocator_allocated"), GAUGE("bytes"), SIZE(mem.allocated),
     .help = "The allocator's allocated bytes."},
    {ROW("allocator_active"), GAUGE("bytes"), SIZE(mem.active),
     .help = "The allocator's bytes in active pages."},
    {ROW("allocator_resident"), GAUGE("bytes"), SIZE(mem.resident),
     .help = "The allocator's resident bytes."},
    {ROW("maxmemory"), GAUGE("bytes"), SIZE(max_memory), .help = "Budget of L1; 0: none."},
    {ROW("maxmemory_policy"), TEXT(policy),
     .help = "What the upstream evicts when it is full, as frameworks want to know; alone, what L1 "
             "does."},
    {ROW("l1_policy"), TEXT(l1_policy), .help = "What L1 evicts when it is over its budget."},
    {ROW("mem_fragmentation_ratio"), GAUGE("ratio"), DOUBLE(fragmentation_ratio),
     .help = "used_memory_rss divided by used_memory."},
    {ROW("mem_clients_normal"), GAUGE("bytes"), SIZE(client_bytes),
     .help = "Memory of clients and their buffers."},
    {ROW("mem_allocator"), TEXT(mem.allocator), .help = "The allocator and its version."},
#undef ROW
#define ROW(word) .section = STATS_STATS, .name = (word)
    {ROW("total_connections_received"), COUNTER(""), U64(larder.connections),
     .help = "Connections accepted."},
    {ROW("total_commands_processed"), COUNTER(""), U64(larder.commands),
     .help = "Commands executed."},
    {ROW("instantaneous_ops_per_sec"), GAUGE("per second"), I64(ops_per_second),
     .help = "Commands per second over the last samples."},
    {ROW("total_net_input_bytes"), COUNTER("bytes"), U64(bytes_in),
     .help = "Bytes read from clients."},
    {ROW("total_net_output_bytes"), COUNTER("bytes"), U64(bytes_out),
     .help = "Bytes written to clients."},
    {ROW("instantaneous_input_kbps"), GAUGE("KiB per second"), DOUBLE(in_kbps),
     .help = "Rate of reading from clients over the last samples."},
    {ROW("instantaneous_output_kbps"), GAUGE("KiB per second"), DOUBLE(out_kbps),
     .help = "Rate of writing to clients over the last samples."},
    {ROW("rejected_connections"), COUNTER(""), U64(larder.connections_refused),
     .help = "Connections refused (maxclients, protected mode)."},
    {ROW("expired_keys"), COUNTER(""), U64(store.expirations),
     .help = "Entries of L1 dropped at their deadline."},
    {ROW("evicted_keys"), COUNTER(""), U64(store.evictions),
     .help = "Entries of L1 dropped for room."},
    {ROW("keyspace_hits"), COUNTER(""), U64(larder.keyspace_hits),
     .help = "Reads, as clients saw them, of keys that exist."},
    {ROW("keyspace_misses"), COUNTER(""), U64(larder.keyspace_misses),
     .help = "Reads, as clients saw them, of keys that don't exist."},
    {ROW("total_error_replies"), COUNTER(""), U64(larder.error_replies),
     .help = "Error replies to clients."},
    {ROW("total_reads_processed"), COUNTER(""), U64(reads),
     .help = "System calls that read from clients."},
    {ROW("total_writes_processed"), COUNTER(""), U64(writes),
     .help = "System calls that wrote to clients."},
#undef ROW
#define ROW(word) .section = STATS_LARDER, .name = (word)
    {ROW("protocol_errors"), COUNTER(""), U64(larder.protocol_errors),
     .help = "Clients closed for malformed requests."},
    {ROW("auth_failures"), COUNTER(""), U64(larder.auth_failures), .help = "Wrong passwords."},
    {ROW("clients_closed_idle"), COUNTER(""), U64(larder.clients_closed_idle),
     .help = "Clients closed by timeout."},
    {ROW("clients_closed_output"), COUNTER(""), U64(larder.clients_closed_output),
     .help = "Clients closed by client-output-buffer-limit."},
    {ROW("clients_closed_query"), COUNTER(""), U64(larder.clients_closed_query),
     .help = "Clients closed by client-query-buffer-limit."},
    {ROW("reply_slots"), GAUGE(""), SIZE(n_slots),
     .help =
         "Commands whose replies are still to come or wait for one before them, of clients that "
         "have left too."},
    {ROW("loop_turns"), COUNTER(""), U64(turns), .help = "Turns of the event loop."},
    {ROW("loop_longest_turn_us"), GAUGE("us"), I64(longest_turn_us),
     .help = "Longest turn of the event loop, without waiting."},
#undef ROW
#define ROW(word) .section = STATS_L1, .name = (word)
    {ROW("hits"), COUNTER(""), U64(tier.hits), .help = "Reads answered from L1."},
    {ROW("misses"), COUNTER(""), U64(tier.misses), .help = "Reads that L1 could not answer."},
    {ROW("hit_rate"), GAUGE("ratio"), DOUBLE(l1_hit_rate),
     .help = "hits divided by hits and misses."},
    {ROW("negative_hits"), COUNTER(""), U64(tier.negative_hits),
     .help = "Hits of keys known not to exist."},
    {ROW("evictions"), COUNTER(""), U64(store.evictions), .help = "Entries dropped for room."},
    {ROW("expirations"), COUNTER(""), U64(store.expirations),
     .help = "Entries dropped at their deadline."},
    {ROW("size"), GAUGE("entries"), SIZE(gauges.entries), .help = "Entries held."},
    {ROW("max_size"), GAUGE("bytes"), SIZE(gauges.max_bytes),
     .help = "Budget of entries and index; 0: none."},
    {ROW("max_entries"), GAUGE("entries"), SIZE(max_entries),
     .help = "Entries that may be held; 0: no limit but max_size."},
    {ROW("bytes"), GAUGE("bytes"), SIZE(used_bytes),
     .help = "Memory of entries and index, as the allocator counts."},
    {ROW("entry_bytes"), GAUGE("bytes"), SIZE(gauges.entry_bytes),
     .help = "Memory of the entries, as the allocator counts."},
    {ROW("index_bytes"), GAUGE("bytes"), SIZE(gauges.index_bytes), .help = "Memory of the index."},
    {ROW("volatile_size"), GAUGE("entries"), SIZE(gauges.volatile_entries),
     .help = "Entries with a deadline."},
    {ROW("dead_size"), GAUGE("entries"), SIZE(gauges.dead_entries),
     .help = "Flushed entries whose memory is not yet freed."},
    {ROW("puts"), COUNTER(""), U64(store.puts), .help = "Entries put into the store."},
    {ROW("refused"), COUNTER(""), U64(store.refused),
     .help = "Entries that the store had no room for, or that are too big."},
    {ROW("reclaimed"), COUNTER(""), U64(store.reclaimed),
     .help = "Flushed entries whose memory was freed."},
    {ROW("fills"), COUNTER(""), U64(tier.fills), .help = "Values that came from L2 and were kept."},
    {ROW("fills_doomed_by_write"), COUNTER(""), U64(tier.fills_doomed_by_write),
     .help = "Values not kept because a write overtook their fetch."},
    {ROW("fills_doomed_by_push"), COUNTER(""), U64(tier.fills_doomed_by_push),
     .help = "Values not kept because an invalidation overtook their fetch."},
    {ROW("fills_refused"), COUNTER(""), U64(tier.fills_refused),
     .help = "Values not kept because they are too big or there is no room."},
    {ROW("reply_hits"), COUNTER(""), U64(tier.reply_hits),
     .help = "Of hits: replies to reads other than GET."},
    {ROW("reply_fills"), COUNTER(""), U64(tier.reply_fills),
     .help = "Of fills: replies to reads other than GET."},
    {ROW("reply_resets"), COUNTER(""), U64(tier.reply_resets),
     .help = "Times that a key's replies were dropped because it had l1-max-variants of them."},
    {ROW("stale_served"), COUNTER(""), U64(stale_served),
     .help = "Answers that were no longer fresh, as policies allow: the next two together."},
    {ROW("stale_while_revalidate"), COUNTER(""), U64(tier.stale_while_revalidate),
     .help = "Of these: answered while the value was fetched anew."},
    {ROW("stale_if_error"), COUNTER(""), U64(tier.stale_if_error),
     .help = "Of these: answered because L2 could not be asked."},
    {ROW("early_refreshes"), COUNTER(""), U64(tier.early_refreshes),
     .help = "Hits that were fetched anew before their time was over."},
    {ROW("observed_hits"), COUNTER(""), U64(tier.observed_hits),
     .help = "Reads that L1 would have answered but for a policy's mode=observe."},
    {ROW("denied"), COUNTER(""), U64(tier.denied),
     .help = "Reads that a policy's mode=deny kept from L1."},
    {ROW("fills_allocated"), COUNTER(""), U64(tier.fills_allocated),
     .help = "Of fills: values of writes, by write-allocate."},
    {ROW("invalidated"), COUNTER(""), U64(tier.invalidated),
     .help = "Entries dropped by L2's invalidations."},
    {ROW("dropped_by_write"), COUNTER(""), U64(tier.dropped_by_write),
     .help = "Entries dropped by writes through larder."},
    {ROW("flushes_link"), COUNTER(""), U64(tier.flushes_link),
     .help = "Times that all of L1 was dropped because the link to L2 was lost."},
    {ROW("flushes_push"), COUNTER(""), U64(tier.flushes_push),
     .help = "Times that all of L1 was dropped because L2 was flushed."},
    {ROW("flushes_mode"), COUNTER(""), U64(tier.flushes_mode),
     .help = "Times that all of L1 was dropped because the mode of coherence changed."},
    {ROW("flushes_write"), COUNTER(""), U64(tier.flushes_write),
     .help = "Times that a database or all of L1 was dropped by a write through larder."},
#undef ROW
#define ROW(word) .section = STATS_L2, .name = (word)
    {ROW("name"), CHARS(link_name), .help = "Address of the upstream."},
    {ROW("state"), TEXT(link_state),
     .help = "State of the link: down, connecting, handshake or ready."},
    {ROW("up"), GAUGE(""), BOOL(link_up), .help = "1 while the link is ready."},
    {ROW("state_age_ms"), GAUGE("ms"), I64(link_state_age_ms),
     .help = "Time since the link has been in its state."},
    {ROW("version"), CHARS(link_version), .help = "Version that the upstream told."},
    {ROW("tracking"), GAUGE(""), BOOL(link_tracking),
     .help = "1 while the upstream reports changed keys."},
    {ROW("coherence_configured"), TEXT(coherence_configured),
     .help = "The mode that is wanted: broadcast, tracking or ttl."},
    {ROW("coherence"), TEXT(coherence),
     .help = "The mode in force, which may be a lower one; none while the link is not ready."},
    {ROW("coherence_step_downs"), COUNTER(""), U64(link.step_downs),
     .help = "Times that a lower mode had to do, because the upstream refused one."},
    {ROW("coherence_step_ups"), COUNTER(""), U64(link.step_ups),
     .help = "Times that a higher mode was possible again."},
    {ROW("coherence_losses"), COUNTER(""), U64(link.tracking_losses),
     .help = "Times that the upstream was found not to report changed keys any more."},
    {ROW("breaker"), TEXT(breaker),
     .help = "State of the circuit breaker: closed, open or half-open."},
    {ROW("breaker_transitions"), COUNTER(""), U64(link.breaker_transitions),
     .help = "Changes of the circuit breaker's state."},
    {ROW("breaker_opened"), COUNTER(""), U64(link.breaker_opened),
     .help = "Times that the circuit breaker opened."},
    {ROW("last_error"), CHARS(link.last_error), .help = "Why the link went down last."},
    {ROW("hits"), COUNTER(""), U64(tier.l2_found), .help = "Fetches that found a value."},
    {ROW("misses"), COUNTER(""), U64(tier.l2_absent), .help = "Fetches of keys that don't exist."},
    {ROW("hit_rate"), GAUGE("ratio"), DOUBLE(l2_hit_rate),
     .help = "hits divided by hits and misses."},
    {ROW("fetches"), COUNTER(""), U64(tier.fetches), .help = "Fetches sent for L1."},
    {ROW("joins"), COUNTER(""), U64(tier.joins),
     .help = "Misses that waited for another client's fetch."},
    {ROW("fetch_errors"), COUNTER(""), U64(tier.fetch_errors),
     .help = "Fetches that ended with an error."},
    {ROW("retries"), COUNTER(""), U64(tier.retries),
     .help = "Fetches sent once more because the link was lost before their reply."},
    {ROW("failed_as_missing"), COUNTER(""), U64(tier.failed_as_missing),
     .help = "Reads answered as if the key did not exist, by upstream-fail-mode miss."},
    {ROW("fetches_in_flight"), GAUGE(""), SIZE(fetches_in_flight),
     .help = "Fetches that wait for their reply."},
    {ROW("writes"), COUNTER(""), U64(tier.writes),
     .help = "Commands passed on that may change keys."},
    {ROW("passes"), COUNTER(""), U64(tier.passes), .help = "Other commands passed on."},
    {ROW("touches"), COUNTER(""), U64(tier.touches),
     .help = "Keys that the upstream was told of because L1 answered for them."},
    {ROW("touch_commands"), COUNTER(""), U64(tier.touch_commands),
     .help = "TOUCH commands that told it."},
    {ROW("touch_errors"), COUNTER(""), U64(tier.touch_errors),
     .help = "TOUCH commands that failed."},
    {ROW("touch_rounds"), COUNTER(""), U64(tier.touch_rounds),
     .help = "Complete rounds over L1, one in each l2-touch-interval."},
    {ROW("inflight"), GAUGE(""), SIZE(link.inflight),
     .help = "Commands that wait for their reply."},
    {ROW("rtt_us"), GAUGE("us"), I64(link.rtt_us),
     .help = "Smoothed time from sending a command to its reply."},
    {ROW("connects"), COUNTER(""), U64(link.epoch), .help = "Times that the link came up."},
    {ROW("connects_failed"), COUNTER(""), U64(link.connects_failed),
     .help = "Attempts to connect that failed."},
    {ROW("commands"), COUNTER(""), U64(link.commands), .help = "Commands sent."},
    {ROW("replies"), COUNTER(""), U64(link.replies), .help = "Replies received."},
    {ROW("errors"), COUNTER(""), U64(link.errors), .help = "Error replies received."},
    {ROW("timeouts"), COUNTER(""), U64(link.timeouts),
     .help = "Commands without a reply within upstream-timeout."},
    {ROW("failures"), COUNTER(""), U64(link.failures), .help = "Commands that failed otherwise."},
    {ROW("invalidations"), COUNTER(""), U64(link.invalidations),
     .help = "Keys that the upstream reported as changed."},
    {ROW("invalidations_all"), COUNTER(""), U64(link.invalidations_all),
     .help = "Times that the upstream reported all keys as changed."},
    {ROW("bytes_in"), COUNTER("bytes"), U64(link.bytes_in),
     .help = "Bytes read from the upstream."},
    {ROW("bytes_out"), COUNTER("bytes"), U64(link.bytes_out),
     .help = "Bytes written to the upstream."},
    {ROW("net_reads"), COUNTER(""), U64(link.reads),
     .help = "System calls that read from the upstream."},
    {ROW("net_writes"), COUNTER(""), U64(link.writes),
     .help = "System calls that wrote to the upstream."},
    {ROW("pinned_in_use"), GAUGE(""), SIZE(pinned.in_use),
     .help = "Links of their own that clients have now, to block or to watch keys."},
    {ROW("pinned_idle"), GAUGE(""), SIZE(pinned.idle),
     .help = "Such links that are kept for the next client."},
    {ROW("pinned_max"), GAUGE(""), SIZE(pinned.max),
     .help = "Such links that may be in use at a time."},
    {ROW("pinned_created"), COUNTER(""), U64(pinned.created), .help = "Such links opened."},
    {ROW("pinned_refused"), COUNTER(""), U64(pinned.refused),
     .help = "Commands refused because pinned_max links were in use."},
    {ROW("round_trips_saved"), COUNTER(""), U64(round_trips_saved),
     .help = "Reads that L1 or another client's fetch answered."},
#undef ROW
};

const struct stats_row *stats_table(size_t *n_rows)
{
    *n_rows = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

const char *stats_section_name(enum stats_section section)
{
    static const char *const names[STATS_SECTIONS] = {
        [STATS_CLIENTS] = "clients", [STATS_MEMORY] = "memory", [STATS_STATS] = "stats",
        [STATS_LARDER] = "larder",   [STATS_L1] = "l1",         [STATS_L2] = "l2",
    };
    return names[section];
}

static struct stats_value integer_value(int64_t integer)
{
    return (struct stats_value){
        .is = STATS_IS_INTEGER, .integer = integer, .number = (double)integer};
}

static struct stats_value unsigned_value(uint64_t value)
{
    return integer_value(value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static struct stats_value text_value(const char *text)
{
    return (struct stats_value){.is = STATS_IS_TEXT, .text = text};
}

struct stats_value stats_value(const struct stats_row *row, const struct stats_snapshot *snapshot)
{
    const void *field = (const char *)snapshot + row->offset;
    switch (row->type) {
    case STATS_U64: return unsigned_value(*(const uint64_t *)field);
    case STATS_SIZE: return unsigned_value(*(const size_t *)field);
    case STATS_I64: return integer_value(*(const int64_t *)field);
    case STATS_BOOL: return integer_value(*(const bool *)field);
    case STATS_DOUBLE:
        return (struct stats_value){.is = STATS_IS_DOUBLE, .number = *(const double *)field};
    case STATS_POINTER: return text_value(*(const char *const *)field);
    case STATS_CHARS: break;
    }
    return text_value(field);
}

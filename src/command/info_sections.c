/* The sections of INFO: Redis 7.0.15's, with every field that has a meaning here, and larder's own.
 *
 * Figures come from the table (stats_table.h). Fields of what larder has not (replication,
 * snapshots, scripts, modules) are there with the value that says so, because tools look for
 * them. */
#include "command/info_sections.h"

#include "command/info.h"
#include "command/subcommand.h"
#include "core/blocked.h"
#include "core/tracking.h"
#include "version_git.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ADD(info, ...) ((void)((info)->failed |= !buf_printf(&(info)->text, __VA_ARGS__)))

/* Longest name of the figures in bytes that tools also read as "..._human". */
static bool has_human_form(const char *name)
{
    static const char *const names[] = {"used_memory", "used_memory_rss", "used_memory_peak",
                                        "maxmemory"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* As Redis's bytesToHuman. */
static void add_human(struct info_text *info, const char *name, int64_t bytes)
{
    static const char units[] = "KMGTPE";
    double value = (double)bytes;
    int unit = -1;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        ADD(info, "%s_human:%lldB\r\n", name, (long long)bytes);
    else
        ADD(info, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

/* Adds the rows of a section of the table. Names of larder's own sections get a prefix, since tools
 * read INFO as one flat list. */
static void add_rows(struct info_text *info, enum stats_section section)
{
    size_t n;
    const struct stats_row *rows = stats_table(&n);
    bool is_tier = section == STATS_L1 || section == STATS_L2;
    for (size_t i = 0; i < n; i++) {
        const struct stats_row *row = &rows[i];
        if (row->section != section)
            continue;
        struct stats_value value = stats_value(row, &info->stats);
        ADD(info, "%s%s%s:", is_tier ? stats_section_name(section) : "", is_tier ? "_" : "",
            row->name);
        if (value.is == STATS_IS_INTEGER)
            ADD(info, "%lld\r\n", (long long)value.integer);
        else if (value.is == STATS_IS_DOUBLE)
            ADD(info, "%.*f\r\n", is_tier ? 4 : 2, value.number);
        else
            ADD(info, "%s\r\n", value.text);
        if (section == STATS_MEMORY && has_human_form(row->name))
            add_human(info, row->name, value.integer);
    }
}

static void write_server(struct info_text *info)
{
    const struct larder *larder = info->larder;
    const struct clock *clock = &larder->loop.clock;
    struct utsname os;
    char executable[512];
    uname(&os);
    ssize_t len = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
    executable[len < 0 ? 0 : len] = '\0';
    ADD(info,
        "# "
        "Server\r\nredis_version:%s\r\nlarder_version:%s\r\nlarder_git_sha1:%s\r\nlarder_git_dirty:"
        "%d\r\n",
        info_redis_version(larder), PACKAGE_VERSION, LARDER_GIT_SHA1, LARDER_GIT_DIRTY);
    ADD(info,
        "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\nredis_mode:"
        "standalone\r\n"
        "os:%s %s %s\r\narch_bits:%zu\r\nmonotonic_clock:POSIX "
        "clock_gettime\r\nmultiplexing_api:epoll\r\n",
        os.sysname, os.release, os.machine, sizeof(void *) * 8);
    ADD(info,
        "gcc_version:%d.%d.%d\r\nprocess_id:%ld\r\nprocess_supervised:no\r\nrun_id:%s\r\ntcp_port:%"
        "lld\r\n",
        __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (long)getpid(), larder->run_id,
        (long long)larder->config.port);
    ADD(info,
        "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\nhz:"
        "10\r\nconfigured_hz:10\r\n"
        "lru_clock:%lld\r\nexecutable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\n",
        (long long)(clock_wall_ms(clock) * 1000), (long long)info->stats.uptime_s,
        (long long)(info->stats.uptime_s / 86400),
        (long long)(clock_wall_ms(clock) / 1000 & 0xffffff), executable, larder->config.file);
}

static void write_clients(struct info_text *info)
{
    const struct client *client;
    size_t n_blocked = 0;
    TAILQ_FOREACH(client, &info->larder->clients, link)
    n_blocked += client->is_paused || blocked_is_waiting(client);
    struct tracking_figures tracking;
    tracking_read_figures(info->larder->tracking, &tracking);
    ADD(info, "# Clients\r\n");
    add_rows(info, STATS_CLIENTS);
    ADD(info,
        "cluster_connections:0\r\nblocked_clients:%zu\r\ntracking_clients:%zu\r\nclients_in_"
        "timeout_table:0\r\n",
        n_blocked, tracking.clients);
}

static double divided(double a, double b)
{
    return b == 0 ? 0 : a / b;
}

static void write_memory(struct info_text *info)
{
    const struct stats_snapshot *stats = &info->stats;
    const struct mem_figures *mem = &stats->mem;
    double used = (double)mem->allocated;
    double dataset = (double)stats->gauges.entry_bytes;
    long pages = sysconf(_SC_PHYS_PAGES);
    int64_t system_bytes = pages < 0 ? 0 : (int64_t)pages * sysconf(_SC_PAGESIZE);
    ADD(info, "# Memory\r\n");
    add_rows(info, STATS_MEMORY);
    ADD(info,
        "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%.0f\r\nused_memory_startup:0\r\n"
        "used_memory_dataset_perc:%.2f%%\r\ntotal_system_memory:%lld\r\n",
        100 * divided(used, (double)stats->peak_bytes), used - dataset,
        100 * divided(dataset, used), (long long)system_bytes);
    add_human(info, "total_system_memory", system_bytes);
    ADD(info,
        "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%lld\r\nallocator_rss_ratio:%."
        "2f\r\nallocator_rss_bytes:%lld\r\n",
        divided((double)mem->active, used), (long long)mem->active - (long long)mem->allocated,
        divided((double)mem->resident, (double)mem->active),
        (long long)mem->resident - (long long)mem->active);
    ADD(info,
        "rss_overhead_ratio:%.2f\r\nrss_overhead_bytes:%lld\r\nmem_fragmentation_bytes:%lld\r\n",
        divided((double)stats->rss_bytes, (double)mem->resident),
        (long long)stats->rss_bytes - (long long)mem->resident,
        (long long)stats->rss_bytes - (long long)mem->allocated);
    ADD(info,
        "used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\nused_memory_"
        "scripts_eval:0\r\n"
        "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\nnumber_of_libraries:0\r\nused_"
        "memory_vm_functions:0\r\n"
        "used_memory_vm_total:0\r\nused_memory_vm_total_human:0B\r\nused_memory_functions:"
        "0\r\nused_memory_scripts:0\r\n"
        "used_memory_scripts_human:0B\r\nmem_not_counted_for_evict:0\r\nmem_replication_backlog:"
        "0\r\n"
        "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\nmem_cluster_links:0\r\nmem_aof_"
        "buffer:0\r\n"
        "active_defrag_running:0\r\nlazyfree_pending_objects:%zu\r\nlazyfreed_objects:%llu\r\n",
        stats->gauges.dead_entries, (unsigned long long)stats->store.reclaimed);
}

/* larder keeps no files: nothing is loaded, nothing is saved, nothing failed. */
static void write_persistence(struct info_text *info)
{
    const struct larder *larder = info->larder;
    int64_t started_s =
        (clock_wall_ms(&larder->loop.clock) - larder_now_ms(larder) + larder->started_ms) / 1000;
    ADD(info,
        "# "
        "Persistence\r\nloading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:"
        "0\r\ncurrent_cow_size_age:0\r\n"
        "current_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\ncurrent_save_keys_total:0\r\n"
        "rdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\nrdb_last_save_time:%"
        "lld\r\nrdb_last_bgsave_status:ok\r\n"
        "rdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\nrdb_saves:0\r\nrdb_last_"
        "cow_size:0\r\n"
        "rdb_last_load_keys_expired:0\r\nrdb_last_load_keys_loaded:0\r\n",
        (long long)started_s);
    ADD(info,
        "aof_enabled:0\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\naof_last_rewrite_"
        "time_sec:-1\r\n"
        "aof_current_rewrite_time_sec:-1\r\naof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\n"
        "aof_rewrites_consecutive_failures:0\r\naof_last_write_status:ok\r\naof_last_cow_size:0\r\n"
        "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n");
}

static void write_stats(struct info_text *info)
{
    ADD(info, "# Stats\r\n");
    struct tracking_figures tracking;
    tracking_read_figures(info->larder->tracking, &tracking);
    add_rows(info, STATS_STATS);
    ADD(info, "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\ninstantaneous_"
              "input_repl_kbps:0.00\r\n"
              "instantaneous_output_repl_kbps:0.00\r\nsync_full:0\r\nsync_partial_ok:0\r\nsync_"
              "partial_err:0\r\n"
              "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\nexpire_cycle_cpu_"
              "milliseconds:0\r\n"
              "evicted_clients:0\r\ntotal_eviction_exceeded_time:0\r\ncurrent_eviction_exceeded_"
              "time:0\r\n");
    ADD(info, "pubsub_channels:%zu\r\npubsub_patterns:%zu\r\npubsubshard_channels:%zu\r\n",
        pubsub_topics(info->larder->pubsub, PUBSUB_CHANNEL),
        pubsub_topics(info->larder->pubsub, PUBSUB_PATTERN),
        pubsub_topics(info->larder->pubsub, PUBSUB_SHARD));
    ADD(info, "latest_fork_usec:0\r\ntotal_forks:0\r\n"
              "migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n");
    ADD(info,
        "active_defrag_hits:0\r\nactive_defrag_misses:0\r\nactive_defrag_key_hits:"
        "0\r\nactive_defrag_key_misses:0\r\n"
        "total_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\ntracking_total_keys:"
        "%zu\r\ntracking_total_items:%zu\r\n"
        "tracking_total_prefixes:%zu\r\nunexpected_error_replies:0\r\ndump_payload_"
        "sanitizations:0\r\n"
        "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\nreply_buffer_"
        "shrinks:0\r\n"
        "reply_buffer_expands:0\r\n",
        tracking.keys, tracking.items, tracking.prefixes);
}

/* Without an L2, or its answer: clients may write here. Else L2's section takes the place of this one. */
static void write_replication(struct info_text *info)
{
    ADD(info,
        "# "
        "Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-"
        "failover\r\nmaster_replid:%s\r\n"
        "master_replid2:%040d\r\nmaster_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_"
        "active:0\r\n"
        "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n",
        info->larder->run_id, 0);
}

static void add_time(struct info_text *info, const char *name, const struct timeval *time)
{
    ADD(info, "%s:%lld.%06lld\r\n", name, (long long)time->tv_sec, (long long)time->tv_usec);
}

static void write_cpu(struct info_text *info)
{
    struct rusage self;
    struct rusage children;
    struct rusage thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    ADD(info, "# CPU\r\n");
    add_time(info, "used_cpu_sys", &self.ru_stime);
    add_time(info, "used_cpu_user", &self.ru_utime);
    add_time(info, "used_cpu_sys_children", &children.ru_stime);
    add_time(info, "used_cpu_user_children", &children.ru_utime);
    add_time(info, "used_cpu_sys_main_thread", &thread.ru_stime);
    add_time(info, "used_cpu_user_main_thread", &thread.ru_utime);
}

static void write_modules(struct info_text *info)
{
    ADD(info, "# Modules\r\n");
}

static void add_command(void *ctx, const struct command *command, const struct command *parent)
{
    struct info_text *info = ctx;
    const struct command_stats *stats = command->stats;
    if (stats == NULL || (stats->calls == 0 && stats->rejected == 0 && stats->failed == 0))
        return;
    uint64_t us = stats->nanoseconds / 1000;
    ADD(info,
        "cmdstat_%s%s%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%"
        "llu\r\n",
        parent != NULL ? parent->name : "", parent != NULL ? "|" : "", command->name,
        (unsigned long long)stats->calls, (unsigned long long)us,
        divided((double)stats->nanoseconds / 1000, (double)stats->calls),
        (unsigned long long)stats->rejected, (unsigned long long)stats->failed);
}

static void write_commandstats(struct info_text *info)
{
    ADD(info, "# Commandstats\r\n");
    command_table_each(info->larder->commands, add_command, info);
}

static void write_errorstats(struct info_text *info)
{
    const struct errorstats *errors = &info->larder->errorstats;
    ADD(info, "# Errorstats\r\n");
    for (size_t i = 0; i < errors->n; i++)
        ADD(info, "errorstat_%s:count=%llu\r\n", errors->items[i].code,
            (unsigned long long)errors->items[i].count);
}

/* No histograms are kept yet. */
static void write_latencystats(struct info_text *info)
{
    ADD(info, "# Latencystats\r\n");
}

static void write_cluster(struct info_text *info)
{
    ADD(info, "# Cluster\r\ncluster_enabled:0\r\n");
}

static void write_larder(struct info_text *info)
{
    ADD(info, "# Larder\r\nlarder_mode:%s\r\nlarder_l1_enabled:%d\r\nlarder_coherence:%s\r\n",
        info->stats.has_link ? "tiered" : "alone", info->larder->config.l1_enabled,
        info->stats.coherence);
    add_rows(info, STATS_LARDER);
}

static void write_l1(struct info_text *info)
{
    ADD(info, "# L1\r\n");
    add_rows(info, STATS_L1);
}

static void write_l2(struct info_text *info)
{
    ADD(info, "# L2\r\n");
    if (info->stats.has_link)
        add_rows(info, STATS_L2);
}

void info_sections_keyspace(struct info_text *info)
{
    const struct larder *larder = info->larder;
    ADD(info, "# Keyspace\r\n");
    if (larder->link != NULL)
        return;
    unsigned n_dbs = (unsigned)larder->config.databases;
    for (unsigned db = 0; db < n_dbs; db++)
        if (store_db_entries(larder->store, db) > 0)
            ADD(info, "db%u:keys=%zu,expires=%zu,avg_ttl=0\r\n", db,
                store_db_entries(larder->store, db), store_db_volatile(larder->store, db));
}

const struct info_section *info_sections(size_t *n)
{
    static const struct info_section sections[] = {
        {"server", NULL, true, write_server},
        {"clients", NULL, true, write_clients},
        {"memory", NULL, true, write_memory},
        {"persistence", NULL, true, write_persistence},
        {"stats", NULL, true, write_stats},
        {"replication", NULL, true, write_replication},
        {"cpu", NULL, true, write_cpu},
        {"modules", "module_list", true, write_modules},
        {"commandstats", NULL, false, write_commandstats},
        {"errorstats", NULL, true, write_errorstats},
        {"latencystats", NULL, false, write_latencystats},
        {"cluster", NULL, true, write_cluster},
        {"larder", NULL, true, write_larder},
        {"l1", NULL, true, write_l1},
        {"l2", NULL, true, write_l2},
        {"keyspace", NULL, true, info_sections_keyspace},
    };
    *n = sizeof(sections) / sizeof(sections[0]);
    return sections;
}

/* The program: command line, signals, start, end. Exit status 0 after an ordered shutdown, 1 with one line on standard error. */
#include "core/config_args.h"
#include "core/config_print.h"
#include "server/server.h"
#include "tier/rules.h"

#include "base/log.h"
#include "version_git.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    struct loop_watch watch;
    struct larder *larder;
    int fd;
};

static int fail(const char *error)
{
    fprintf(stderr, "larder: %s\n", error);
    return EXIT_FAILURE;
}

static void on_signal(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    (void)events;
    struct signals *signals = watch->ctx;
    struct signalfd_siginfo info;
    if (read(signals->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        int result = log_reopen();
        if (result < 0)
            LOG(LOG_WARNING, "Can't open the log file again: %s", strerror(-result));
        return;
    }
    server_shut_down(signals->larder,
                     info.ssi_signo == SIGINT ? "Received SIGINT" : "Received SIGTERM");
}

/* Signals become events of the loop. */
static int watch_signals(struct signals *signals, struct larder *larder)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    *signals = (struct signals){.larder = larder};
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0)
        return -errno;
    return loop_watch(&larder->loop, &signals->watch, signals->fd, LOOP_READ, on_signal, signals);
}

static bool write_pidfile(const char *path, char *error, size_t size)
{
    if (path[0] == '\0')
        return true;
    FILE *file = fopen(path, "we");
    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) {
        snprintf(error, size, "can't write pidfile %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static void print(enum config_request request)
{
    struct buf out;
    buf_init(&out);
    if (request == CONFIG_HELP)
        config_print_help(&out);
    else if (request == CONFIG_PRINT_CONF)
        config_print_conf(&out);
    else
        config_print_markdown(&out);
    fwrite(out.data, 1, out.len, stdout);
    buf_deinit(&out);
}

static int serve(struct config *config)
{
    char error[CONFIG_ERR_SIZE];
    struct signals signals;
    int result = log_open(config->logfile);
    if (result < 0) {
        snprintf(error, sizeof(error), "can't open log file %s: %s", config->logfile,
                 strerror(-result));
        return fail(error);
    }
    log_set_level(config->loglevel);
    struct larder *larder = server_create(config, error, sizeof(error));
    if (larder == NULL)
        return fail(error);
    result = watch_signals(&signals, larder);
    if (result < 0 || !write_pidfile(larder->config.pidfile, error, sizeof(error))) {
        server_destroy(larder);
        return fail(result < 0 ? strerror(-result) : error);
    }
    LOG(LOG_NOTICE, "larder %s (%s%s)" RULES_NOTE " started, port %lld, %s%s", PACKAGE_VERSION,
        LARDER_GIT_SHA1, LARDER_GIT_DIRTY ? "-dirty" : "", (long long)larder->config.port,
        larder->link != NULL ? "upstream " : "no upstream: L1 alone",
        larder->link != NULL ? link_get_name(larder->link) : "");
    server_run(larder);
    if (larder->config.pidfile[0] != '\0')
        unlink(larder->config.pidfile);
    loop_unwatch(&larder->loop, &signals.watch);
    close(signals.fd);
    server_destroy(larder);
    LOG(LOG_WARNING, "larder is now ready to exit, bye bye...");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    char error[CONFIG_ERR_SIZE];
    enum config_request request;
    struct config config;
    int status = EXIT_SUCCESS;
    config_init(&config);
    if (!config_args_load(&config, argc, argv, &request, error, sizeof(error))) {
        status = fail(error);
    } else if (request == CONFIG_RUN) {
        status = serve(&config);
    } else if (request == CONFIG_VERSION) {
        printf("larder v=%s sha=%s:%d malloc=%s%s\n", PACKAGE_VERSION, LARDER_GIT_SHA1,
               LARDER_GIT_DIRTY,
#ifdef HAVE_JEMALLOC
               "jemalloc",
#else
               "libc",
#endif
               RULES_NOTE);
    } else if (request == CONFIG_CHECK) {
        puts("larder: the configuration is good");
    } else {
        print(request);
    }
    config_deinit(&config);
    return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP by libmicrohttpd, turned by our own loop, without threads. A request waits (suspended) while
 * dynmemd is asked, and one answer serves all who wait. One request a connection: then the life of
 * a connection can be bounded as a whole. All that the library bounds is the pause between two
 * bytes. */
#include "config.h"

#include "exporter.h"

#include <dynmem/error.h>
#include <dynmem/version.h>
#include <glib-unix.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../daemon/timer.h"

/* Beyond this nobody is let in; before, the oldest goes. */
#define HARD_LIMIT (DYN_SERVER_MOST_CONNECTIONS + 8u)
#define BACKLOG 64

/* A connection. Owner: the list of its server, until the library tells that it is closed. */
typedef struct DynClient {
    struct MHD_Connection *connection;
    GList *link;
    int64_t began_usec;
    DynMetricsFormat format;
    bool waiting; /* suspended until dynmemd has answered */
    bool cut;     /* told to go */
} DynClient;

struct DynServer {
    DynSource *source;
    struct MHD_Daemon *daemon;
    struct MHD_Response *pages[DYN_N_METRICS_FORMATS]; /* of the last answer, made when asked for */
    struct MHD_Response *welcome;
    struct MHD_Response *not_found;
    struct MHD_Response *not_allowed;
    GQueue clients;  /* of DynClient, the oldest first */
    guint epoll_id;
    GSource *timer;
};

static void
drop_pages(DynServer *server)
{
    for (int format = 0; format < DYN_N_METRICS_FORMATS; format++) {
        if (server->pages[format])
            MHD_destroy_response(server->pages[format]);
        server->pages[format] = NULL;
    }
}

/* @text is copied. */
static struct MHD_Response *
response_new(const char *text, size_t length, const char *type)
{
    g_autofree char *copy = g_memdup2(text, length);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, copy, MHD_RESPMEM_MUST_COPY);

    g_assert(response); /* else there is no memory, and GLib would have ended us, too */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type); /* likewise */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static struct MHD_Response *
page_of(DynServer *server, DynMetricsFormat format)
{
    g_autoptr(GString) text = NULL;

    if (server->pages[format])
        return server->pages[format];
    text = g_string_new(NULL);
    dyn_metrics_render(dyn_source_metrics(server->source), dyn_version_string(), format, text);
    server->pages[format] =
        response_new(text->str, text->len, dyn_metrics_content_type(format));
    return server->pages[format];
}

static enum MHD_Result
serve_page(DynServer *server, struct MHD_Connection *connection, DynClient *client)
{
    client->format = dyn_metrics_choose(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
    if (dyn_source_is_fresh(server->source))
        return MHD_queue_response(connection, MHD_HTTP_OK, page_of(server, client->format));
    client->waiting = true;
    MHD_suspend_connection(connection);
    dyn_source_ask(server->source);
    return MHD_YES;
}

static bool
is_read(const char *method)
{
    return g_str_equal(method, MHD_HTTP_METHOD_GET) || g_str_equal(method, MHD_HTTP_METHOD_HEAD);
}

/* Called when the headers are there, and once more when a suspended connection goes on. What a
 * request has as its body is never read. */
static enum MHD_Result
on_request(void *user_data, struct MHD_Connection *connection, const char *path,
           const char *method, const char *version, const char *body, size_t *body_length,
           void **request)
{
    DynServer *server = user_data;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    DynClient *client = info ? info->socket_context : NULL;

    if (!client)
        return MHD_NO;
    if (*request) /* it has waited */
        return MHD_queue_response(connection, MHD_HTTP_OK, page_of(server, client->format));
    if (!is_read(method))
        return MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, server->not_allowed);
    if (g_str_equal(path, "/"))
        return MHD_queue_response(connection, MHD_HTTP_OK, server->welcome);
    if (!g_str_equal(path, "/metrics"))
        return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, server->not_found);
    *request = client;
    return serve_page(server, connection, client);
}

/* The library closes it as soon as it looks. */
static void
cut(DynClient *client)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (client->cut || !info)
        return;
    client->cut = true;
    (void)shutdown(info->connect_fd, SHUT_RDWR); /* it may be gone already */
}

/* Those that were cut are closed only after the library has let in all who wait. */
static void
make_room(DynServer *server)
{
    guint surplus = g_queue_get_length(&server->clients);

    surplus -= MIN(surplus, DYN_SERVER_MOST_CONNECTIONS);
    for (GList *at = server->clients.head; at && surplus > 0; at = at->next, surplus--)
        cut(at->data);
}

static void
on_connection(void *user_data, struct MHD_Connection *connection, void **context,
              enum MHD_ConnectionNotificationCode what)
{
    DynServer *server = user_data;
    DynClient *client = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        client = g_new0(DynClient, 1);
        client->connection = connection;
        client->began_usec = g_get_monotonic_time();
        g_queue_push_tail(&server->clients, client);
        client->link = server->clients.tail;
        *context = client;
        make_room(server);
    } else if (client) {
        g_queue_delete_link(&server->clients, client->link);
        g_free(client);
        *context = NULL;
    }
}

/* Cut whose time is over; returns when the next one's is, -1: there is none. */
static int64_t
cut_the_old(DynServer *server, int64_t now_usec)
{
    for (GList *at = server->clients.head; at; at = at->next) {
        DynClient *client = at->data;
        const int64_t until_usec =
            client->began_usec + DYN_SERVER_LIFE_SEC * G_USEC_PER_SEC;

        if (client->cut)
            continue;
        if (now_usec < until_usec)
            return until_usec;
        cut(client);
    }
    return -1;
}

/* Let the library do what is due, and come again when it or we want to. */
static void
turn(DynServer *server)
{
    const int64_t now_usec = g_get_monotonic_time();
    int64_t due_usec = cut_the_old(server, now_usec);
    MHD_UNSIGNED_LONG_LONG msec;
    guint before;

    /* At its limit the library stops listening, and looks whether it may listen again only when it
     * begins to run: once more after connections have gone. It fails only if not built for this. */
    do {
        before = g_queue_get_length(&server->clients);
        (void)MHD_run(server->daemon);
    } while (g_queue_get_length(&server->clients) < before);
    if (MHD_get_timeout(server->daemon, &msec) == MHD_YES) {
        const int64_t library_usec = now_usec + (int64_t)MIN(msec, 60000) * 1000;

        due_usec = due_usec < 0 ? library_usec : MIN(due_usec, library_usec);
    }
    g_source_set_ready_time(server->timer, due_usec);
}

static gboolean
on_epoll(gint fd, GIOCondition condition, gpointer user_data)
{
    turn(user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_timer(gpointer user_data)
{
    turn(user_data);
    return G_SOURCE_CONTINUE;
}

void
dyn_server_answer(DynServer *server)
{
    drop_pages(server);
    for (GList *at = server->clients.head; at; at = at->next) {
        DynClient *client = at->data;

        if (client->waiting)
            MHD_resume_connection(client->connection);
        client->waiting = false;
    }
    turn(server);
}

/* "ADDRESS:PORT" as the configuration has checked it; "localhost" is the IPv4 one. */
static GSocketAddress *
parse_address(const char *listen, GError **error)
{
    const char *colon = strrchr(listen, ':');
    g_autofree char *host = colon ? g_strndup(listen, (gsize)(colon - listen)) : g_strdup("");
    const char *name = host;
    guint64 port = 0;
    GSocketAddress *address = NULL;

    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = '\0';
        name = host + 1;
    }
    if (g_str_equal(name, "localhost"))
        name = "127.0.0.1";
    if (colon && g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        address = g_inet_socket_address_new_from_string(name, (guint)port);
    if (!address)
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "Listen=%s: allowed is ADDRESS:PORT or [ADDRESS]:PORT with a numeric address",
                    listen);
    return address;
}

/* A descriptor of its own, for the library to close; -1: @error is set. */
static int
listen_at(const char *listen, GError **error)
{
    g_autoptr(GSocketAddress) address = parse_address(listen, error);
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GError) problem = NULL;

    if (!address)
        return -1;
    socket = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                          G_SOCKET_PROTOCOL_TCP, &problem);
    if (socket) {
        g_socket_set_listen_backlog(socket, BACKLOG);
        g_socket_set_blocking(socket, FALSE);
    }
    if (!socket || !g_socket_bind(socket, address, TRUE, &problem) ||
        !g_socket_listen(socket, &problem)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED,
                    "cannot listen at %s: %s; Listen= of [exporter] or --listen sets another place",
                    listen, problem->message);
        return -1;
    }
    return dup(g_socket_get_fd(socket));
}

/* Paths are compared as they were sent. */
static size_t
unescape_nothing(void *user_data, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static bool
start_daemon(DynServer *server, int fd, GError **error)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, HARD_LIMIT,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)DYN_SERVER_LIFE_SEC,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)DYN_SERVER_REQUEST_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK,
        unescape_nothing, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (server->daemon)
        return true;
    (void)close(fd);
    g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED,
                "libmicrohttpd does not start: this one was built without epoll or the system is "
                "out of descriptors");
    return false;
}

static void
watch(DynServer *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    server->timer = dyn_timer_new(NULL, on_timer, server);
    server->epoll_id = g_unix_fd_add(info->epoll_fd, G_IO_IN, on_epoll, server);
    turn(server);
}

DynServer *
dyn_server_new(const char *listen, DynSource *source, GError **error)
{
    static const char welcome[] = "<!doctype html><title>dynmem-exporter</title>"
                                  "<a href=\"metrics\">Metrics</a>\n";
    static const char not_found[] = "there is only /metrics\n";
    static const char not_allowed[] = "only GET and HEAD are allowed\n";
    g_autoptr(DynServer) server = g_new0(DynServer, 1);
    const int fd = listen_at(listen, error);

    if (fd < 0 || !start_daemon(server, fd, error))
        return NULL;
    server->source = source;
    server->welcome = response_new(welcome, strlen(welcome), "text/html; charset=utf-8");
    server->not_found = response_new(not_found, strlen(not_found), "text/plain");
    server->not_allowed = response_new(not_allowed, strlen(not_allowed), "text/plain");
    (void)MHD_add_response_header(server->not_allowed, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    watch(server);
    return g_steal_pointer(&server);
}

void
dyn_server_free(DynServer *server)
{
    struct MHD_Response *const responses[] = { server ? server->welcome : NULL,
                                               server ? server->not_found : NULL,
                                               server ? server->not_allowed : NULL };

    if (!server)
        return;
    g_clear_handle_id(&server->epoll_id, g_source_remove);
    dyn_timer_free(server->timer);
    for (GList *at = server->clients.head; at; at = at->next) {
        DynClient *client = at->data;

        if (client->waiting) /* the library does not stop with one suspended */
            MHD_resume_connection(client->connection);
    }
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    drop_pages(server);
    for (gsize i = 0; i < G_N_ELEMENTS(responses); i++)
        if (responses[i])
            MHD_destroy_response(responses[i]);
    g_free(server);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "prepare.h"

#include <dynmem/domain.h>
#include <glib/gstdio.h>

#include <string.h>

/* ---- packing ------------------------------------------------------------------------------ */

/* All that comes out of @stream, with a NUL behind it; NULL where it is no text, too much of it, or
 * not what the converter takes. */
static char *
read_all(GInputStream *stream)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 buffer[4096];
    gssize n;

    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, NULL)) > 0) {
        g_byte_array_append(bytes, buffer, (guint)n);
        if (bytes->len > DYN_DOMAIN_XML_MAX_BYTES)
            return NULL;
    }
    if (n < 0 || !g_utf8_validate((const char *)bytes->data, bytes->len, NULL))
        return NULL;
    g_byte_array_append(bytes, (const guint8 *)"", 1);
    return (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
}

static GInputStream *
convert(gconstpointer data, size_t length, GConverter *converter)
{
    g_autoptr(GInputStream) source = g_memory_input_stream_new_from_data(data, (gssize)length,
                                                                         NULL);

    return g_converter_input_stream_new(source, converter);
}

char *
dyn_cli_pack(const char *text)
{
    g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 9);
    g_autoptr(GInputStream) stream = convert(text, strlen(text), G_CONVERTER(zlib));
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 buffer[4096];
    gssize n;

    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, NULL)) > 0)
        g_byte_array_append(bytes, buffer, (guint)n);
    g_assert(n == 0); /* from memory to memory */
    return g_base64_encode(bytes->data, bytes->len);
}

char *
dyn_cli_unpack(const char *packed, GError **error)
{
    g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB);
    g_autoptr(GInputStream) stream = NULL;
    g_autofree guint8 *data = NULL;
    gsize length = 0;
    char *text;

    data = g_base64_decode(packed, &length);
    stream = convert(data, length, G_CONVERTER(zlib));
    text = length > 0 ? read_all(stream) : NULL;
    if (text == NULL)
        g_set_error_literal(error, DYN_ERROR, DYN_ERROR_INVALID,
                            "what 'dynmem prepare' kept in the metadata was damaged");
    return text;
}

/* ---- showing ------------------------------------------------------------------------------ */

static char *
write_temporary(const char *text, GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("dynmem-XXXXXX", &path, error);

    if (fd < 0)
        return NULL;
    g_close(fd, NULL); /* nothing was written to it */
    if (g_file_set_contents(path, text, -1, error))
        return g_steal_pointer(&path);
    g_unlink(path);
    return NULL;
}

static char *
run_diff(const char *const argv[], GError **error)
{
    g_autoptr(GSubprocess) process = NULL;
    g_autoptr(GSubprocessLauncher) launcher = NULL;
    g_autofree char *difference = NULL;

    launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_subprocess_launcher_setenv(launcher, "LC_ALL", "C.UTF-8", TRUE);
    process = g_subprocess_launcher_spawnv(launcher, argv, error);
    if (process == NULL ||
        !g_subprocess_communicate_utf8(process, NULL, NULL, &difference, NULL, error)) {
        g_prefix_error(error, "cannot show the difference: ");
        return NULL;
    }
    if (g_subprocess_get_if_exited(process) && g_subprocess_get_exit_status(process) <= 1)
        return g_steal_pointer(&difference);
    g_set_error_literal(error, DYN_ERROR, DYN_ERROR_FAILED,
                        "cannot show the difference: diff failed");
    return NULL;
}

char *
dyn_cli_diff(const char *before, const char *after, const char *const names[2], GError **error)
{
    g_autofree char *from = write_temporary(before, error);
    g_autofree char *to = from != NULL ? write_temporary(after, error) : NULL;
    const char *const argv[] = { "diff",   "-u",     "--label", names[0], "--label",
                                 names[1], "--",     from,      to,       NULL };
    char *difference = to != NULL ? run_diff(argv, error) : NULL;

    if (from != NULL)
        g_unlink(from);
    if (to != NULL)
        g_unlink(to);
    return difference;
}

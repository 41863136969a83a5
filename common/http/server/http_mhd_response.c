/* http_mhd_response: one struct and a trial that it is what is installed: an answer from memory,
 * one from a file and one that is made as it is sent, each with what is known of it in advance. */
#include "common/http/server/http_mhd_response.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "common/banned.h"

#define RELEASE "0.9.75"

struct response { /* as in src/microhttpd/internal.h of that release, as far as the last field of interest */
    void *first_field, *last_field;
    char *data;
    void *reader_arg;
    MHD_ContentReaderCallback reader; /* of files, too; NULL: all is in `data` */
    MHD_ContentReaderFreeCallback release;
    void *upgrade[2];
    pthread_mutex_t mutex;
    uint64_t total;
    uint64_t data_start;
    uint64_t file_offset;
    size_t data_n;
    size_t data_room;
    unsigned owners;
    int file;
    int flags;
    int automatic; /* which fields are there that the library would add */
};

static struct response *inside(const struct MHD_Response *response)
{
    return (struct response *)(uintptr_t)response;
}

uint64_t http_mhd_response_size(const struct MHD_Response *response)
{
    return inside(response)->total;
}

ssize_t http_mhd_response_read(struct MHD_Response *response, uint64_t at, char *into, size_t max)
{
    const struct response *r = inside(response);
    if (r->reader) {
        return r->reader(r->reader_arg, at, into, max);
    }
    if (at >= r->total) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    const size_t n = r->total - at < max ? (size_t)(r->total - at) : max;
    memcpy(into, r->data + at, n);
    return (ssize_t)n;
}

void http_mhd_response_lend(const struct MHD_Response *from, struct MHD_Response *to)
{
    inside(to)->first_field = inside(from)->first_field;
    inside(to)->last_field = inside(from)->last_field;
    inside(to)->flags = inside(from)->flags;
    inside(to)->automatic = inside(from)->automatic;
}

void http_mhd_response_share(struct MHD_Response *response)
{
    struct response *r = inside(response);
    pthread_mutex_lock(&r->mutex);
    r->owners++;
    pthread_mutex_unlock(&r->mutex);
}

void http_mhd_response_take_back(struct MHD_Response *to)
{
    inside(to)->first_field = inside(to)->last_field = NULL;
}

/* ---- the trial ---- */

static char trial_body[] = "body";

static ssize_t trial_read(void *arg, uint64_t at, char *into, size_t max)
{
    (void)at, (void)max;
    *into = *(const char *)arg;
    return 1;
}

static void trial_free(void *arg)
{
    (void)arg;
}

static bool is_of_memory(struct MHD_Response *response)
{
    const struct response *r = inside(response);
    char first;
    return r->data == trial_body && !r->reader && !r->reader_arg && r->total == sizeof(trial_body) &&
           r->data_n == sizeof(trial_body) && r->owners == 1 && r->file == -1 && !r->first_field &&
           !r->flags && !r->automatic && MHD_add_response_header(response, "Date", "x") == MHD_YES &&
           r->first_field && r->first_field == r->last_field && r->automatic &&
           MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES &&
           r->flags == MHD_RF_HTTP_1_0_COMPATIBLE_STRICT &&
           http_mhd_response_read(response, 1, &first, 1) == 1 && first == trial_body[1] &&
           http_mhd_response_read(response, sizeof(trial_body), &first, 1) < 0;
}

static bool is_made(struct MHD_Response *response, uint64_t size)
{
    const struct response *r = inside(response);
    char first = '\0';
    return r->reader == trial_read && r->reader_arg == trial_body && r->release == trial_free &&
           r->total == size && r->data_room == 100 && r->file == -1 &&
           http_mhd_response_read(response, 0, &first, 1) == 1 && first == 'b';
}

static bool is_of_file(const struct MHD_Response *response, int file)
{
    const struct response *r = inside(response);
    return r->reader && r->reader_arg == response && r->file == file && r->file_offset == 5 && r->total == 7;
}

/* Takes the response; NULL: there is none. */
static bool judge(struct MHD_Response *response, bool well)
{
    if (response) {
        MHD_destroy_response(response);
    }
    return response && well;
}

static bool is_lent(void)
{
    struct MHD_Response *from = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *to = MHD_create_response_from_callback(1, 100, trial_read, trial_body, trial_free);
    bool well = from && to && MHD_add_response_header(from, "A", "b") == MHD_YES;
    if (well) {
        http_mhd_response_lend(from, to);
        const char *value = MHD_get_response_header(to, "A");
        well = value && strcmp(value, "b") == 0;
        http_mhd_response_take_back(to);
        well = well && !MHD_get_response_header(to, "A");
    }
    const bool released = judge(to, true);
    return judge(from, well) && released;
}

static bool known;

static void find_out(void)
{
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (strcmp(MHD_get_version(), RELEASE) != 0 || file < 0) {
        return;
    }
    struct MHD_Response *memory =
        MHD_create_response_from_buffer(sizeof(trial_body), trial_body, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *sized =
        MHD_create_response_from_callback(9, 100, trial_read, trial_body, trial_free);
    struct MHD_Response *endless =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 100, trial_read, trial_body, trial_free);
    struct MHD_Response *of_file = MHD_create_response_from_fd_at_offset64(7, file, 5); /* closes it */
    known = judge(memory, memory && is_of_memory(memory));
    known &= judge(sized, sized && is_made(sized, 9));
    known &= judge(endless, endless && is_made(endless, MHD_SIZE_UNKNOWN));
    known &= judge(of_file, of_file && is_of_file(of_file, file));
    known = known && is_lent();
}

bool http_mhd_response_is_known(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_out);
    return known;
}

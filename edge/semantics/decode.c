/* decode: zlib, Brotli and Zstandard behind one function. Plain bytes go out in pieces through one buffer on
 * the stack, so a body that claims to be gigabytes costs a decoder's window and no more, and is
 * given up at EDGE_DECODE_MAX. */
#include "edge/semantics/decode.h"

#include "common/http/syntax/http_field_accept.h"

#include <brotli/decode.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>

#include "common/banned.h"

#define PIECE ((size_t)16 * 1024)
#define ZSTD_WINDOW 23        /* bits: larger ones are not for the web (RFC 9659 3) */
#define GZIP_WINDOW (15 + 16) /* bits, and the mark for a gzip head (zlib.h, inflateInit2) */

struct out {
    char piece[PIECE];
    size_t total;
    void (*take)(void *arg, struct cdn_str piece);
    void *arg;
};

static bool hand_over(struct out *o, size_t n)
{
    o->total += n;
    if (o->total > EDGE_DECODE_MAX) {
        return false;
    }
    if (n) {
        o->take(o->arg, (struct cdn_str){o->piece, n});
    }
    return true;
}

/* One member, and any number after it (RFC 1952 2.2). */
static bool gunzip(struct cdn_str body, struct out *o)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n};
    if (body.n > UINT32_MAX || inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return false;
    }
    int r = Z_OK;
    bool well = true;
    while (well && (r == Z_OK || (r == Z_STREAM_END && z.avail_in && inflateReset(&z) == Z_OK))) {
        z.next_out = (Bytef *)o->piece;
        z.avail_out = sizeof(o->piece);
        r = inflate(&z, Z_NO_FLUSH);
        well = hand_over(o, sizeof(o->piece) - z.avail_out);
    }
    inflateEnd(&z);
    return well && r == Z_STREAM_END;
}

static bool unbrotli(struct cdn_str body, struct out *o)
{
    BrotliDecoderState *b = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *in = (const uint8_t *)body.p;
    size_t in_left = body.n;
    BrotliDecoderResult r = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    bool well = b != NULL;
    while (well && r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
        uint8_t *out = (uint8_t *)o->piece;
        size_t room = sizeof(o->piece);
        r = BrotliDecoderDecompressStream(b, &in_left, &in, &room, &out, NULL);
        well = hand_over(o, sizeof(o->piece) - room);
    }
    if (b) {
        BrotliDecoderDestroyInstance(b);
    }
    return well && r == BROTLI_DECODER_RESULT_SUCCESS && !in_left;
}

/* One frame, and any number after it (RFC 8878 3). */
static bool unzstd(struct cdn_str body, struct out *o)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    ZSTD_inBuffer in = {body.p, body.n, 0};
    size_t left = 1; /* 0: a frame is complete */
    bool well = z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW));
    while (well && (in.pos < in.size || left > 0)) {
        const size_t before = in.pos;
        ZSTD_outBuffer out = {o->piece, sizeof(o->piece), 0};
        left = ZSTD_decompressStream(z, &out, &in);
        well = !ZSTD_isError(left) && (out.pos || in.pos > before) && hand_over(o, out.pos);
    }
    ZSTD_freeDCtx(z);
    return well && body.n;
}

bool edge_decode(struct cdn_str coding, struct cdn_str body, void (*take)(void *arg, struct cdn_str piece),
                 void *arg)
{
    struct out o = {.take = take, .arg = arg};
    const enum http_coding c = http_coding_find(coding);
    return c == HTTP_CODING_GZIP ? gunzip(body, &o)
           : c == HTTP_CODING_BR ? unbrotli(body, &o)
                                 : c == HTTP_CODING_ZSTD && unzstd(body, &o);
}

/* banned: calls that do not compile here. Include it last, after every system header. */
#ifndef CDN_COMMON_BANNED_H
#define CDN_COMMON_BANNED_H

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef atof
#undef gets
#define strcpy(a, b) banned_use_cdn_str_copy
#define strcat(a, b) banned_use_cdn_buf
#define strncpy(a, b, n) banned_use_cdn_str_copy
#define strncat(a, b, n) banned_use_cdn_buf
#define sprintf(...) banned_use_snprintf_or_cdn_buf_printf
#define vsprintf(...) banned_use_vsnprintf
#define strtok(a, b) banned_use_cdn_str_cut
#define atoi(s) banned_use_cdn_parse
#define atol(s) banned_use_cdn_parse
#define atof(s) banned_use_cdn_parse
#define gets(s) banned

#endif

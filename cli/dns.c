/* dns: `pocketcdn dns`: the lines with which the resolver of this machine asks our DNS for the CDN's names.
 * Each form is what stands in a file of that resolver, ready to be piped there; all of them together have
 * the commands beside them, as comments. Names of sites outside the zone our DNS does not answer for: those
 * are lines of /etc/hosts. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "cli/run/zone.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

CLI_OPTIONS_STRUCT(dns_options, CONTROL_OPTIONS);

struct names { /* what the lines are made of */
    struct zone zone;
    char dns[CDN_ADDR_TEXT_SIZE], host[CDN_ADDR_TEXT_SIZE]; /* "127.0.0.1:8053", "127.0.0.1" */
    const char *url;                                        /* of the first edge; "" */
    char edge[CDN_ADDR_TEXT_SIZE];                          /* where the site is for this machine; "" */
    struct cdn_buf hosts;                                   /* lines of /etc/hosts */
    const char *state;                                      /* of the command line, or NULL */
    bool one_host;                                          /* edges share an address (`up --one-host`) */
};

static void print_resolved(const struct names *n)
{
    cli_print("[Resolve]\n");
    cli_print("DNS=%s\n", n->dns);
    cli_print("Domains=~%s\n", n->zone.name);
    cli_print("DNSSEC=no\n");
}

static void print_dnsmasq(const struct names *n)
{
    cli_print("server=/%s/%s#%u\n", n->zone.name, n->host, cdn_addr_port(&n->zone.dns));
}

static void print_hosts(const struct names *n)
{
    struct cdn_str rest = cdn_buf_str(&n->hosts);
    while (rest.n > 0) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        cli_print(CDN_STR_FMT "\n", CDN_STR_ARG(line));
    }
}

static const struct form {
    const char *name, *program, *install; /* shell words behind "pocketcdn dns NAME" */
    void (*print)(const struct names *n);
} forms[] = {
    {"resolved", "systemd-resolved",
     "sudo install -D -m 644 /dev/stdin /etc/systemd/resolved.conf.d/pocketcdn.conf && sudo systemctl "
     "restart systemd-resolved",
     print_resolved},
    {"dnsmasq", "dnsmasq", "sudo tee /etc/dnsmasq.d/pocketcdn.conf && sudo systemctl restart dnsmasq",
     print_dnsmasq},
    {"hosts", "names of sites outside the zone, for the edge that is nearest to this machine",
     "sudo tee -a /etc/hosts", print_hosts},
};

/* What resolves by itself, and must never be sent elsewhere (RFC 6761 6.3). */
static bool is_of_this_machine(struct cdn_str name)
{
    return zone_means_machine(name) || cdn_str_ends(name, CDN_STR(".localhost"));
}

static void take_host(void *arg, const char *host)
{
    struct names *n = arg;
    const struct cdn_str name = cdn_str(host);
    CDN_AUTOFREE char *inside = cdn_asprintf(".%s", n->zone.name);
    if (cdn_str_find(name, '*') < 0 && !is_of_this_machine(name) && !cdn_str_ends(name, cdn_str(inside)) &&
        !cdn_str_eq_nocase(name, cdn_str(n->zone.name)) && n->edge[0]) {
        cdn_buf_printf(&n->hosts, "%s " CDN_STR_FMT "\n", n->edge, CDN_STR_ARG(name));
    }
}

static enum cdn_status collect(const json_t *cdn, struct names *n, struct cdn_error *err)
{
    struct cdn_addr edge;
    json_t *node;
    size_t i;
    enum cdn_status status = zone_read(cdn, &n->zone, err);
    if (status != CDN_OK) {
        return status;
    }
    if (!n->zone.answers) {
        return cdn_error_set(err, CDN_NOT_FOUND, "the router's DNS is switched off: dns_listen");
    }
    cdn_addr_format(&n->zone.dns, n->dns);
    cdn_addr_format_ip(&n->zone.dns, n->host);
    if (zone_ask(&n->zone, n->zone.site, &(struct cdn_addr){.sa.sa_family = AF_UNSPEC}, &edge)) {
        cdn_addr_format_ip(&edge, n->edge);
    }
    n->url = "";
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "kind"), "edge") != 0) {
            continue;
        }
        const char *url = control_text(node, "url"), *port = strrchr(url, ':');
        n->one_host |= n->url[0] && port && strncmp(url, n->url, (size_t)(port - url) + 1) == 0;
        n->url = n->url[0] ? n->url : url;
    }
    const char *config = control_text(cdn, "config");
    return cdn_config_hosts_each(config[0] ? config : NULL, take_host, n, err);
}

/* "http://www.cdn.test:8088/" of an edge's "http://127.0.1.1:8088". */
static void print_all(const struct names *n)
{
    CDN_AUTOFREE char *state = n->state ? cdn_asprintf(" --state %s", n->state) : cdn_strdup("");
    const char *slashes = strstr(n->url, "://"), *port = strrchr(n->url, ':');
    if (n->one_host) {
        cli_print("# All edges have one address here: names lead to %s, by ports only the router can tell.\n",
                  n->url);
    } else if (slashes && port > slashes) {
        cli_print("# %.*s://%s%s/ leads to the nearest edge, once names in %s are asked of %s.\n",
                  (int)(slashes - n->url), n->url, n->zone.site, port, n->zone.name, n->dns);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(forms); i++) {
        if (forms[i].print == print_hosts && !n->hosts.n) {
            continue;
        }
        cli_print("\n");
        cli_print("# %s:\n", forms[i].program);
        cli_print("# pocketcdn dns %s%s | %s\n", forms[i].name, state, forms[i].install);
        forms[i].print(n);
    }
}

static enum cdn_status print_form(const struct names *n, const char *name, struct cdn_error *err)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(forms); i++) {
        if (strcmp(forms[i].name, name) == 0) {
            forms[i].print(n);
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_USAGE, "'%s' is not one of resolved, dnsmasq and hosts", name);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct dns_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    struct names n = {.state = options->state};
    json_t *cdn = NULL;
    if (args->n > 1) {
        return cdn_error_set(err, CDN_USAGE, "one form at a time, but got '%s' too", args->items[1]);
    }
    enum cdn_status status = control_open(&where, &cdn, err);
    if (status == CDN_OK) {
        status = collect(cdn, &n, err);
    }
    if (status == CDN_OK && args->n) {
        status = print_form(&n, args->items[0], err);
    } else if (status == CDN_OK) {
        print_all(&n);
    }
    zone_free(&n.zone);
    cdn_buf_free(&n.hosts);
    json_decref(cdn);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct dns_options, __VA_ARGS__)
static const struct cli_option rows[] = {CONTROL_OPTIONS(ROW)};

const struct cli_command cli_command_dns = {
    .name = "dns",
    .summary = "Lines for this machine's resolver, so that it asks the CDN's DNS for its names",
    .usage = "[resolved | dnsmasq | hosts] [--state DIR]",
    .more = "Without a word all of them, with the commands that put them where they belong. Then\n"
            "http://www.cdn.test:8088/ works in every program, and the name stays in the browser's bar.\n"
            "\n"
            "  pocketcdn dns resolved | sudo install -D -m 644 /dev/stdin \\\n"
            "      /etc/systemd/resolved.conf.d/pocketcdn.conf && sudo systemctl restart systemd-resolved\n"
            "  pocketcdn dns dnsmasq | sudo tee /etc/dnsmasq.d/pocketcdn.conf && sudo systemctl restart "
            "dnsmasq\n"
            "\n"
            "This machine is asked for by its own address; who wants to be elsewhere: `pocketcdn browse`.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct dns_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT-0 */
/* greeter: greets somebody in the user's language or in a given one. */
#include <greeting.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FALLBACK "en"

/* The language of the environment, as setlocale would find it for messages. */
static const char *
language_of_user(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    size_t i;

    for (i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);

        if (value != NULL && *value != '\0')
            return value;
    }
    return FALLBACK;
}

static int
greet(const greeting_catalogue *catalogue, const char *language, const char *name)
{
    int n = greeting_format(catalogue, language, name, NULL, 0);
    char *line;

    if (n < 0)
        return -1;
    line = malloc((size_t)n + 1);
    if (line == NULL)
        return -1;
    greeting_format(catalogue, language, name, line, (size_t)n + 1);
    puts(line);
    free(line);
    return 0;
}

static void
usage(FILE *f)
{
    fputs("usage: greeter [--language CODE] [--catalogue FILE] [NAME]\n"
          "       greeter --list\n",
          f);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"language", required_argument, NULL, 'l'}, {"catalogue", required_argument, NULL, 'c'},
        {"list", no_argument, NULL, 'L'},           {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},        {NULL, 0, NULL, 0},
    };
    const char *path = CATALOGUE, *language = NULL, *name = DEFAULT_NAME;
    greeting_catalogue *catalogue;
    int list = 0, status = 0, c;

    while ((c = getopt_long(argc, argv, "l:c:hV", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            language = optarg;
            break;
        case 'c':
            path = optarg;
            break;
        case 'L':
            list = 1;
            break;
        case 'h':
            usage(stdout);
            return 0;
        case 'V':
            puts("greeter " VERSION);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (argc - optind > 1) {
        usage(stderr);
        return 2;
    }
    if (optind < argc)
        name = argv[optind];

    catalogue = greeting_open(path);
    if (catalogue == NULL) {
        fprintf(stderr, "greeter: %s: %s\n", path, strerror(errno));
        return 1;
    }
    if (list) {
        size_t i;

        for (i = 0; i < greeting_count(catalogue); i++)
            puts(greeting_language(catalogue, i));
    } else if (language != NULL) {
        if (greet(catalogue, language, name) < 0) {
            fprintf(stderr, "greeter: no greeting in %s (see greeter --list)\n", language);
            status = 1;
        }
    } else if (greet(catalogue, language_of_user(), name) < 0 &&
               greet(catalogue, FALLBACK, name) < 0) {
        fprintf(stderr, "greeter: no greeting in %s\n", FALLBACK);
        status = 1;
    }
    greeting_close(catalogue);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "greeter: writing: %s\n", strerror(errno));
        status = 1;
    }
    return status;
}

/* SPDX-License-Identifier: MIT-0 */
/*
 * greeting-compile: makes the catalogue that libgreeting reads from a text file.
 *
 * Each line of the text is a language code, a tab and a greeting, in which "{}"
 * stands once for the name. Empty lines and lines that begin with "#" do not
 * count. The order of the lines is of no consequence: the same greetings always
 * make the same bytes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES 10000
#define MAX_LINE 1024

struct entry {
    char *language;
    char *text;
    unsigned long line;
};

static const char *program = "greeting-compile";

static void
die(const char *path, unsigned long line, const char *what)
{
    if (line > 0)
        fprintf(stderr, "%s: %s:%lu: %s\n", program, path, line, what);
    else
        fprintf(stderr, "%s: %s: %s\n", program, path, what);
    exit(1);
}

static char *
copy(const char *s)
{
    size_t n = strlen(s) + 1;
    char *c = malloc(n);

    if (c == NULL)
        die("memory", 0, strerror(errno));
    return memcpy(c, s, n);
}

/* A language code is letters, digits, "_" and "@": de, pt_BR, sr@latin. */
static int
is_language(const char *s)
{
    return *s != '\0' &&
           s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@")] == '\0';
}

static int
by_language(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->language, ((const struct entry *)b)->language);
}

/* Fills ENTRIES from the text file PATH, sorted, and returns their number. */
static size_t
read_text(const char *path, struct entry *entries)
{
    char line[MAX_LINE];
    unsigned long number = 0;
    size_t count = 0, i;
    FILE *f = fopen(path, "r");

    if (f == NULL)
        die(path, 0, strerror(errno));
    while (fgets(line, sizeof line, f) != NULL) {
        size_t length = strlen(line);
        char *tab, *gap;

        number++;
        if (length == 0 || line[length - 1] != '\n')
            die(path, number, "line is too long, holds a zero byte, or has no end");
        line[length - 1] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        tab = strchr(line, '\t');
        if (tab == NULL)
            die(path, number, "no tab between the language and its greeting");
        *tab = '\0';
        if (!is_language(line))
            die(path, number, "not a language code");
        gap = strstr(tab + 1, "{}");
        if (gap == NULL || strstr(gap + 2, "{}") != NULL)
            die(path, number, "a greeting must hold {} once");
        if (count == MAX_ENTRIES)
            die(path, number, "too many greetings");
        entries[count].language = copy(line);
        entries[count].text = copy(tab + 1);
        entries[count].line = number;
        count++;
    }
    if (ferror(f))
        die(path, 0, strerror(errno));
    fclose(f);
    qsort(entries, count, sizeof *entries, by_language);
    for (i = 1; i < count; i++)
        if (strcmp(entries[i - 1].language, entries[i].language) == 0)
            die(path, entries[i].line, "a language that has a greeting already");
    return count;
}

static void
write_u32(FILE *f, uint32_t n)
{
    putc((int)(n >> 24 & 255), f);
    putc((int)(n >> 16 & 255), f);
    putc((int)(n >> 8 & 255), f);
    putc((int)(n & 255), f);
}

static void
write_catalogue(const char *path, const struct entry *entries, size_t count)
{
    uint32_t offset = 0;
    size_t i;
    FILE *f = fopen(path, "wb");

    if (f == NULL)
        die(path, 0, strerror(errno));
    fputs("GREETCAT", f);
    write_u32(f, (uint32_t)count);
    for (i = 0; i < count; i++) {
        write_u32(f, offset);
        offset += (uint32_t)strlen(entries[i].language) + 1;
        write_u32(f, offset);
        offset += (uint32_t)strlen(entries[i].text) + 1;
    }
    for (i = 0; i < count; i++) {
        fputs(entries[i].language, f);
        putc('\0', f);
        fputs(entries[i].text, f);
        putc('\0', f);
    }
    if (ferror(f) || fclose(f) != 0) {
        int saved = errno;

        remove(path);
        die(path, 0, strerror(saved));
    }
}

int
main(int argc, char **argv)
{
    static struct entry entries[MAX_ENTRIES];
    size_t count, i;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("greeting-compile " VERSION);
        return 0;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: %s TEXT CATALOGUE\n", program);
        return 2;
    }
    count = read_text(argv[1], entries);
    write_catalogue(argv[2], entries, count);
    for (i = 0; i < count; i++) {
        free(entries[i].language);
        free(entries[i].text);
    }
    return 0;
}

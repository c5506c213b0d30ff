/* SPDX-License-Identifier: MIT-0 */
/*
 * The file format, all numbers big-endian and 32 bits wide:
 *
 *   "GREETCAT"  magic
 *   count       number of entries
 *   entries     count times: offset of the language, offset of its greeting
 *   strings     each ends in a zero byte; offsets count from the first of them
 *
 * Entries are sorted by language, bytewise. A greeting holds "{}" once, which
 * stands for the name.
 */
#include "greeting.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "GREETCAT"
#define MAGIC_SIZE 8
#define HEADER_SIZE (MAGIC_SIZE + 4)
#define ENTRY_SIZE 8
#define MAX_FILE_SIZE (1 << 20)

struct greeting_catalogue {
    unsigned char *data;
    size_t count;
    const char *strings;
};

static uint32_t
read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const char *
entry_string(const greeting_catalogue *catalogue, size_t index, size_t field)
{
    const unsigned char *entries = catalogue->data + HEADER_SIZE;

    return catalogue->strings + read_u32(entries + index * ENTRY_SIZE + field * 4);
}

/* Reads at most MAX_FILE_SIZE bytes; a longer file is EINVAL. */
static unsigned char *
read_file(const char *path, size_t *size)
{
    unsigned char *data = NULL;
    FILE *f = fopen(path, "rb");

    if (f == NULL)
        return NULL;
    data = malloc(MAX_FILE_SIZE + 1);
    if (data != NULL) {
        *size = fread(data, 1, MAX_FILE_SIZE + 1, f);
        if (ferror(f) || *size > MAX_FILE_SIZE) {
            int saved = ferror(f) ? EIO : EINVAL;

            free(data);
            data = NULL;
            errno = saved;
        }
    }
    if (data == NULL) {
        int saved = errno;

        fclose(f);
        errno = saved;
        return NULL;
    }
    fclose(f);
    return data;
}

/* Whether every offset is in the file, every string ends, and all is sorted. */
static int
is_sound(greeting_catalogue *catalogue, size_t size)
{
    size_t string_bytes, i;

    if (size < HEADER_SIZE || memcmp(catalogue->data, MAGIC, MAGIC_SIZE) != 0)
        return 0;
    catalogue->count = read_u32(catalogue->data + MAGIC_SIZE);
    if (catalogue->count > (size - HEADER_SIZE) / ENTRY_SIZE)
        return 0;
    string_bytes = size - HEADER_SIZE - catalogue->count * ENTRY_SIZE;
    catalogue->strings = (const char *)catalogue->data + size - string_bytes;
    if (string_bytes > 0 && catalogue->strings[string_bytes - 1] != '\0')
        return 0;
    for (i = 0; i < catalogue->count; i++) {
        const unsigned char *entry = catalogue->data + HEADER_SIZE + i * ENTRY_SIZE;

        if (read_u32(entry) >= string_bytes || read_u32(entry + 4) >= string_bytes)
            return 0;
        if (strstr(entry_string(catalogue, i, 1), "{}") == NULL)
            return 0;
        if (i > 0 && strcmp(entry_string(catalogue, i - 1, 0),
                            entry_string(catalogue, i, 0)) >= 0)
            return 0;
    }
    return 1;
}

greeting_catalogue *
greeting_open(const char *path)
{
    size_t size = 0;
    greeting_catalogue *catalogue = calloc(1, sizeof *catalogue);

    if (catalogue == NULL)
        return NULL;
    catalogue->data = read_file(path, &size);
    if (catalogue->data == NULL) {
        int saved = errno;

        free(catalogue);
        errno = saved;
        return NULL;
    }
    if (!is_sound(catalogue, size)) {
        greeting_close(catalogue);
        errno = EINVAL;
        return NULL;
    }
    return catalogue;
}

void
greeting_close(greeting_catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    free(catalogue->data);
    free(catalogue);
}

size_t
greeting_count(const greeting_catalogue *catalogue)
{
    return catalogue->count;
}

const char *
greeting_language(const greeting_catalogue *catalogue, size_t index)
{
    if (index >= catalogue->count)
        return NULL;
    return entry_string(catalogue, index, 0);
}

/* The greeting for the first LENGTH bytes of LANGUAGE, or NULL. */
static const char *
look_up(const greeting_catalogue *catalogue, const char *language, size_t length)
{
    size_t low = 0, high = catalogue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *key = entry_string(catalogue, middle, 0);
        int order = strncmp(language, key, length);

        if (order == 0 && key[length] != '\0')
            order = -1;
        if (order == 0)
            return entry_string(catalogue, middle, 1);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int
greeting_format(const greeting_catalogue *catalogue, const char *language,
                const char *name, char *buffer, size_t size)
{
    const char *text, *gap;

    text = look_up(catalogue, language, strlen(language));
    if (text == NULL)
        text = look_up(catalogue, language, strcspn(language, ".@"));
    if (text == NULL)
        text = look_up(catalogue, language, strcspn(language, "_.@"));
    if (text == NULL)
        return -1;
    gap = strstr(text, "{}");
    if (gap - text > INT_MAX)
        return -1;
    return snprintf(buffer, size, "%.*s%s%s", (int)(gap - text), text, name, gap + 2);
}

/* SPDX-License-Identifier: MIT-0 */
/*
 * libgreeting: greetings in several languages.
 *
 * A catalogue is a file made by greeting-compile. It is read whole when it is
 * opened and checked then, so that looking up never fails on a damaged file.
 */
#ifndef GREETING_H
#define GREETING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct greeting_catalogue greeting_catalogue;

/*
 * Reads the catalogue in the file PATH. Returns NULL and sets errno where it
 * cannot be read; errno is EINVAL where the file is not a catalogue.
 */
greeting_catalogue *greeting_open(const char *path);

/* Gives back what greeting_open returned. NULL is fine. */
void greeting_close(greeting_catalogue *catalogue);

/* The number of languages in the catalogue. */
size_t greeting_count(const greeting_catalogue *catalogue);

/* The code of the language number INDEX in sorted order, or NULL. */
const char *greeting_language(const greeting_catalogue *catalogue, size_t index);

/*
 * Writes the greeting of NAME in LANGUAGE into BUFFER of SIZE bytes, cut off
 * where it does not fit but always terminated. LANGUAGE may be a locale such as
 * "de_AT.UTF-8": where it is not in the catalogue itself, its language is looked
 * up. Returns the length of the whole greeting, as snprintf does, or -1 where
 * the catalogue has no such language.
 */
int greeting_format(const greeting_catalogue *catalogue, const char *language,
                    const char *name, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif

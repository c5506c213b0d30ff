/* SPDX-License-Identifier: MIT-0 */
/*
 * Tests of libgreeting against the installed or just built library. Each case
 * writes a catalogue into a temporary file, opens it and says what should come.
 */
#include <greeting.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES(literal) literal, sizeof(literal) - 1

/* Two entries: de with strings at 0 and 3, en with strings at 14 and 17. */
#define GOOD                                                                   \
    "GREETCAT\0\0\0\002"                                                       \
    "\0\0\0\000\0\0\0\003\0\0\0\016\0\0\0\021"                                 \
    "de\0Hallo, {}!\0en\0Hello, {}!"

static int failures;

static void
check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "FAIL: %s\n", what);
    failures++;
}

static greeting_catalogue *
open_bytes(const char *bytes, size_t size)
{
    char path[] = "/tmp/greeting-test.XXXXXX";
    int fd = mkstemp(path);
    int saved;
    greeting_catalogue *catalogue;

    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) {
        perror(path);
        exit(2);
    }
    close(fd);
    catalogue = greeting_open(path);
    saved = errno;
    unlink(path);
    errno = saved;
    return catalogue;
}

static void
test_look_up(void)
{
    static const struct {
        const char *language, *want;
    } cases[] = {
        {"de", "Hallo, Ada!"},          {"en", "Hello, Ada!"},
        {"de_AT.UTF-8", "Hallo, Ada!"}, {"en.UTF-8", "Hello, Ada!"},
        {"d", NULL},                    {"den", NULL},
        {"", NULL},                     {"C", NULL},
    };
    greeting_catalogue *catalogue = open_bytes(GOOD, sizeof GOOD);
    char buffer[64];
    size_t i;

    check(catalogue != NULL, "a good catalogue opens");
    if (catalogue == NULL)
        return;
    check(greeting_count(catalogue) == 2, "it has two languages");
    check(strcmp(greeting_language(catalogue, 1), "en") == 0, "the second is en");
    check(greeting_language(catalogue, 2) == NULL, "there is no third");
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = greeting_format(catalogue, cases[i].language, "Ada", buffer, sizeof buffer);

        if (cases[i].want == NULL)
            check(n == -1, cases[i].language);
        else
            check(n == (int)strlen(cases[i].want) && strcmp(buffer, cases[i].want) == 0,
                  cases[i].language);
    }
    check(greeting_format(catalogue, "de", "Ada", buffer, 6) == 11, "the length of what was cut off");
    check(strcmp(buffer, "Hallo") == 0, "what is cut off is terminated");
    greeting_close(catalogue);
}

static void
test_damaged(void)
{
    static const struct {
        const char *what, *bytes;
        size_t size;
    } cases[] = {
        {"empty file", BYTES("")},
        {"other magic", BYTES("GREETDOG\0\0\0\0")},
        {"count beyond the file", BYTES("GREETCAT\377\377\377\377")},
        {"offset beyond the file", BYTES("GREETCAT\0\0\0\001\0\0\0\011\0\0\0\0{}\0")},
        {"string without an end", BYTES("GREETCAT\0\0\0\001\0\0\0\0\0\0\0\0{}")},
        {"greeting without a gap", BYTES("GREETCAT\0\0\0\001\0\0\0\0\0\0\0\0de\0")},
        {"unsorted", BYTES("GREETCAT\0\0\0\002\0\0\0\0\0\0\0\0\0\0\0\002\0\0\0\0{}\0")},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        greeting_catalogue *catalogue = open_bytes(cases[i].bytes, cases[i].size);

        check(catalogue == NULL && errno == EINVAL, cases[i].what);
        greeting_close(catalogue);
    }
    check(greeting_open("/nonexistent/catalogue") == NULL && errno == ENOENT, "no such file");
}

int
main(void)
{
    test_look_up();
    test_damaged();
    if (failures > 0)
        return 1;
    puts("libgreeting: all tests passed");
    return 0;
}

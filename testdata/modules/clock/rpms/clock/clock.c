/* SPDX-License-Identifier: MIT-0 */
/* clock: prints the time, in the form that it was built for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if CLOCK_HOURS == 24
#define FORMAT "%H:%M"
#elif CLOCK_HOURS == 12
#define FORMAT "%I:%M %p"
#else
#error "CLOCK_HOURS must be 12 or 24"
#endif

int
main(int argc, char **argv)
{
    char text[32];
    time_t t = time(NULL);
    struct tm *tm;

    if (argc > 2) {
        fputs("usage: clock [SECONDS-SINCE-1970]\n", stderr);
        return 2;
    }
    if (argc == 2) {
        char *end;

        errno = 0;
        t = (time_t)strtoll(argv[1], &end, 10);
        if (errno != 0 || *argv[1] == '\0' || *end != '\0') {
            fprintf(stderr, "clock: %s: not a number of seconds\n", argv[1]);
            return 2;
        }
    }
    tm = localtime(&t);
    if (tm == NULL || strftime(text, sizeof text, FORMAT, tm) == 0) {
        fputs("clock: the time is out of range\n", stderr);
        return 1;
    }
    puts(text);
    return 0;
}

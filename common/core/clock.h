/* clock.h: the two clocks. Nothing that decides what happens in a round reads either. */
#ifndef RONDO_CORE_CLOCK_H
#define RONDO_CORE_CLOCK_H

/* Seconds of a clock that only runs forwards, from some moment on: for how long something took. */
double rd_clock_seconds(void);
/* Seconds since 1970, UTC: for when something was. */
double rd_clock_unix(void);

#endif

/* The thread that sends consoles what changed. It never takes the interpreter's lock, so it delays no loop, and
 * goes on while the program is stuck. */
#ifndef ASYNCTOP_SENDER_H
#define ASYNCTOP_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A console's outgoing half. Its socket belongs to whoever opened the outlet, and must outlive it. */
typedef struct Outlet Outlet;

/* All of these wait for the thread, so not with the interpreter's lock held. */
int sender_start(void); /* an errno, or 0 */
void sender_stop(void); /* outlets stay, and wait */
Outlet *outlet_open(int socket, int bell); /* NULL where there is no memory */
void outlet_close(Outlet *);
void outlet_subscribe(Outlet *, int64_t interval_ns); /* a batch at once, then one each time that it has passed */
void outlet_watch(Outlet *, const int64_t *tasks, int count); /* see `cursor_watch` */
void outlet_trace(Outlet *, int64_t after);                   /* see `cursor_trace` */
/* Send these bytes in between; `last`: and then no more. False where many are still under way: then a byte is
 * written to the bell when they have left. */
bool outlet_put(Outlet *, const void *bytes, size_t length, bool last);
void outlet_finish(Outlet *); /* a batch, of all that there is to tell by then, and then no more */
void outlet_finish(Outlet *); /* a batch of all that there is to tell by then, and then no more */
bool outlet_finished(Outlet *); /* whether it sends no more: the last bytes have left, or it is broken */

#endif

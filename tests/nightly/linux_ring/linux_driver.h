/* The Linux kernel's driver side of one virtqueue, for a program that is not a kernel: what a
 * driver does with drivers/virtio/virtio_ring.c, without the kernel's headers. Guest addresses are
 * host addresses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lx_queue;
struct lx_piece {
  void* data;
  unsigned len;
};
#define LX_MAX_PIECES 24

/* All memory that the kernel's code takes comes from here, and so must all buffers. For one thread.
 */
void lx_memory(void* memory, size_t size);
void* lx_alloc(size_t size);
void lx_free(void* block);

/* `features`: the negotiated bits. `notify` is called when the device must be told of new buffers,
 * `callback` when an interrupt brought used ones. NULL when the kernel refuses. */
struct lx_queue* lx_queue_new(unsigned size, unsigned long long features, void (*notify)(void*),
                              void (*callback)(void*), void* context);
void lx_queue_delete(struct lx_queue* queue);
/* Descriptor, driver and device area. */
void lx_queue_areas(struct lx_queue* queue, unsigned long long areas[3]);

/* Offers a buffer of `out` pieces to read and `in` pieces to write. False: the ring is full or
 * broken. Any other refusal ends the program. */
bool lx_add(struct lx_queue* queue, const struct lx_piece* out, unsigned out_count,
            const struct lx_piece* in, unsigned in_count, void* token);
void lx_kick(struct lx_queue* queue);
/* The next used buffer's token and length, or NULL. */
void* lx_get(struct lx_queue* queue, unsigned* len);
/* Says that an interrupt came. False: there was nothing to it. */
bool lx_interrupt(struct lx_queue* queue);
void lx_disable_callbacks(struct lx_queue* queue);
/* True: the next used buffer brings an interrupt (delayed: when most are used). False: there are
 * used buffers already. */
bool lx_enable_callbacks(struct lx_queue* queue, bool delayed);
/* The kernel found the ring to be broken. */
bool lx_broken(struct lx_queue* queue);

#ifdef __cplusplus
}
#endif

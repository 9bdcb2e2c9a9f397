/* Between linux_driver.h and the kernel's virtio_ring.c; compiled with the headers of the kernel's
 * tools/virtio. */
#include "linux_driver.h"

#include <errno.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdint.h>

/* In <linux/virtio.h> of the kernel, missing from that of tools/virtio. */
dma_addr_t virtqueue_get_desc_addr(struct virtqueue* vq);
dma_addr_t virtqueue_get_avail_addr(struct virtqueue* vq);
dma_addr_t virtqueue_get_used_addr(struct virtqueue* vq);
bool virtqueue_is_broken(struct virtqueue* vq);

/* Hooks of tools/virtio's allocator that are not needed here. */
void *__kmalloc_fake, *__kfree_ignore_start, *__kfree_ignore_end;

/* --- memory: blocks of powers of two, each behind its class ----------------------------------- */

enum { smallest = 6, classes = 32, page = 4096 };

struct block {
  struct block* next;
};
static char* memory_at;
static char* memory_end;
static struct block* free_blocks[classes];

void lx_memory(void* memory, size_t size) {
  memory_at = memory;
  memory_end = memory_at + size;
  memset(free_blocks, 0, sizeof free_blocks);
}

/* A block starts 64 bytes (or, if it is large, a page) behind its class. */
static char* block_header(void* block) {
  return (char*)block - sizeof(uint64_t);
}

/* Whole pages are zero, since the kernel asks for that with a flag that tools/virtio ignores. */
void* lx_alloc(size_t size) {
  unsigned class = smallest;
  while (((size_t)1 << class) < size)
    ++class;
  if (free_blocks[class]) {
    struct block* block = free_blocks[class];
    free_blocks[class] = block->next;
    return size >= page ? memset(block, 0, size) : block;
  }
  const size_t align = size >= page ? page : 64;
  char* block = (char*)(((uintptr_t)memory_at + 64 + align - 1) & ~(uintptr_t)(align - 1));
  if (block + ((size_t)1 << class) > memory_end) {
    fprintf(stderr, "linux_ring: the guest's memory is full\n");
    exit(2);
  }
  memory_at = block + ((size_t)1 << class);
  *(uint64_t*)block_header(block) = class;
  return size >= page ? memset(block, 0, size) : block;
}

void lx_free(void* memory) {
  if (!memory) return;
  struct block* block = memory;
  const uint64_t class = *(uint64_t*)block_header(memory);
  block->next = free_blocks[class];
  free_blocks[class] = block;
}

/* --- the queue -------------------------------------------------------------------------------- */

struct lx_queue {
  struct virtio_device device;
  struct virtqueue* vq;
  void (*notify)(void*);
  void (*callback)(void*);
  void* context;
};

static bool on_notify(struct virtqueue* vq) {
  struct lx_queue* queue = vq->priv;
  queue->notify(queue->context);
  return true;
}
static void on_callback(struct virtqueue* vq) {
  struct lx_queue* queue = vq->priv;
  queue->callback(queue->context);
}

struct lx_queue* lx_queue_new(unsigned size, unsigned long long features, void (*notify)(void*),
                              void (*callback)(void*), void* context) {
  struct lx_queue* queue = calloc(1, sizeof *queue);
  queue->device.features = features;
  INIT_LIST_HEAD(&queue->device.vqs);
  spin_lock_init(&queue->device.vqs_list_lock);
  queue->notify = notify;
  queue->callback = callback;
  queue->context = context;
  queue->vq = vring_create_virtqueue(0, size, PAGE_SIZE, &queue->device, true, false, false,
                                     on_notify, on_callback, "linux_ring");
  if (!queue->vq) {
    free(queue);
    return NULL;
  }
  queue->vq->priv = queue;
  return queue;
}

void lx_queue_delete(struct lx_queue* queue) {
  vring_del_virtqueue(queue->vq);
  free(queue);
}

void lx_queue_areas(struct lx_queue* queue, unsigned long long areas[3]) {
  areas[0] = virtqueue_get_desc_addr(queue->vq);
  areas[1] = virtqueue_get_avail_addr(queue->vq);
  areas[2] = virtqueue_get_used_addr(queue->vq);
}

static void fill_table(struct scatterlist* table, const struct lx_piece* pieces, unsigned count) {
  sg_init_table(table, count);
  for (unsigned i = 0; i < count; ++i)
    sg_set_buf(&table[i], pieces[i].data, pieces[i].len);
}

bool lx_add(struct lx_queue* queue, const struct lx_piece* out, unsigned out_count,
            const struct lx_piece* in, unsigned in_count, void* token) {
  struct scatterlist tables[2][LX_MAX_PIECES];
  struct scatterlist* sgs[2];
  unsigned count = 0;
  if (out_count) {
    fill_table(tables[count], out, out_count);
    sgs[count] = tables[count];
    ++count;
  }
  if (in_count) {
    fill_table(tables[count], in, in_count);
    sgs[count] = tables[count];
    ++count;
  }
  const int code =
      virtqueue_add_sgs(queue->vq, sgs, out_count != 0, in_count != 0, token, GFP_ATOMIC);
  if (code && code != -ENOSPC && !lx_broken(queue)) {
    fprintf(stderr, "linux_ring: virtqueue_add_sgs: %d\n", code);
    exit(2);
  }
  return code == 0;
}

void lx_kick(struct lx_queue* queue) {
  virtqueue_kick(queue->vq);
}
void* lx_get(struct lx_queue* queue, unsigned* len) {
  return virtqueue_get_buf(queue->vq, len);
}
bool lx_interrupt(struct lx_queue* queue) {
  return vring_interrupt(0, queue->vq) == IRQ_HANDLED;
}
void lx_disable_callbacks(struct lx_queue* queue) {
  virtqueue_disable_cb(queue->vq);
}
bool lx_enable_callbacks(struct lx_queue* queue, bool delayed) {
  return delayed ? virtqueue_enable_cb_delayed(queue->vq) : virtqueue_enable_cb(queue->vq);
}
bool lx_broken(struct lx_queue* queue) {
  return virtqueue_is_broken(queue->vq);
}

// AddressSanitizer asks whoever switches stacks for the bounds of the next one. SystemC 2.3.4 does
// not know those of the stack that main() runs on and says 0: from the first return to it on, what
// an exception unwinds stays poisoned, and later calls that reuse the place are reported. Stands
// before the sanitizer's function and fills in what is missing.
#include <dlfcn.h>
#include <pthread.h>

#include <cstddef>

namespace {

struct Stack {
  void* bottom = nullptr;
  std::size_t size = 0;

  Stack() {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
  }
};

const Stack stack_of_main; // constructed by the main thread

} // namespace

extern "C" __attribute__((visibility("default"))) void
__sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom, std::size_t size) {
  using Function = void (*)(void**, const void*, std::size_t);
  static const auto next =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "__sanitizer_start_switch_fiber"));
  if (size == 0) {
    bottom = stack_of_main.bottom;
    size = stack_of_main.size;
  }
  next(fake_stack_save, bottom, size);
}

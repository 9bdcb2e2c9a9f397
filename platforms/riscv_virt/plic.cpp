#include <virtio/platforms/riscv_virt/plic.hpp>

#include <algorithm>
#include <optional>

namespace virtio::platform {

namespace {

constexpr std::uint64_t pending_base = 0x1000;
constexpr std::uint64_t enable_base = 0x2000;
constexpr std::uint64_t enable_stride = 0x80;
constexpr std::uint64_t context_base = 0x20'0000;
constexpr std::uint64_t context_stride = 0x1000;
constexpr unsigned words = Plic::sources / 32;
static_assert(Plic::sources % 32 == 0);

/// The position of an offset in an array of registers, or nothing when it lies outside.
std::optional<std::uint64_t> index(std::uint64_t offset, std::uint64_t base, std::uint64_t stride,
                                   std::uint64_t count) {
  if (offset < base || (offset - base) / stride >= count) return std::nullopt;
  return (offset - base) / stride;
}

std::uint32_t word_of(const std::bitset<Plic::sources>& bits, std::uint64_t word) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 32; ++i)
    value |= static_cast<std::uint32_t>(bits[word * 32 + i]) << i;
  return value;
}

} // namespace

Plic::Plic(sc_core::sc_module_name name)
    : RegisterTarget(name, size, 4), source("source", sources), irq("irq", contexts) {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.set_sensitivity(&changed_);
  sc_core::sc_spawn([this] { drive_irqs(); }, "drive_irqs", &options);
}

void Plic::end_of_elaboration() {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  for (unsigned id = 1; id < sources; ++id)
    for (int i = 0; i < source[id].size(); ++i)
      options.set_sensitivity(&source[id][i]->value_changed_event());
  sc_core::sc_spawn([this] { sample(); }, "sample", &options);
}

std::uint64_t Plic::read(const RegisterAccess& access) {
  if (const auto id = index(access.offset, 0, 4, sources)) return priority_[*id];
  if (const auto word = index(access.offset, pending_base, 4, words))
    return word_of(pending_, *word);
  if (const auto context = index(access.offset, enable_base, enable_stride, contexts)) {
    const auto word = index(access.offset, enable_base + *context * enable_stride, 4, words);
    return word ? word_of(contexts_[*context].enabled, *word) : 0;
  }
  if (const auto context = index(access.offset, context_base, context_stride, contexts)) {
    const auto offset = (access.offset - context_base) % context_stride;
    if (offset == 0) return contexts_[*context].threshold;
    if (offset == 4) return claim(contexts_[*context]);
  }
  return 0;
}

void Plic::write(const RegisterAccess& access, std::uint64_t value) {
  if (const auto id = index(access.offset, 0, 4, sources)) {
    if (*id != 0) priority_[*id] = value & max_priority;
  } else if (const auto context = index(access.offset, enable_base, enable_stride, contexts)) {
    const auto word = index(access.offset, enable_base + *context * enable_stride, 4, words);
    for (unsigned i = 0; word && i < 32; ++i)
      contexts_[*context].enabled[*word * 32 + i] = value >> i & 1;
    contexts_[*context].enabled[0] = false;
  } else if (const auto context = index(access.offset, context_base, context_stride, contexts)) {
    const auto offset = (access.offset - context_base) % context_stride;
    if (offset == 0) contexts_[*context].threshold = value & max_priority;
    if (offset == 4) complete(contexts_[*context], value);
  }
  changed_.notify(sc_core::SC_ZERO_TIME);
}

/// The pending and enabled source of the highest priority above the threshold, the lowest number
/// first; 0 if none.
unsigned Plic::best(const ContextState& context) const {
  unsigned winner = 0;
  unsigned priority = context.threshold;
  for (unsigned id = 1; id < sources; ++id) {
    if (!pending_[id] || !context.enabled[id] || priority_[id] <= priority) continue;
    winner = id;
    priority = priority_[id];
  }
  return winner;
}

/// The threshold does not matter to a claim (PLIC 1.0.0, chapter 8), only priority 0 never wins.
std::uint32_t Plic::claim(const ContextState& context) {
  ContextState any = context;
  any.threshold = 0;
  const unsigned id = best(any);
  if (id == 0) return 0;
  pending_[id] = false;
  in_service_[id] = true;
  changed_.notify(sc_core::SC_ZERO_TIME);
  return id;
}

/// Ignored for a source that is not enabled for the context.
void Plic::complete(const ContextState& context, std::uint64_t id) {
  if (id == 0 || id >= sources || !context.enabled[id]) return;
  in_service_[id] = false;
  sample();
}

bool Plic::level(unsigned id) {
  bool high = false;
  for (int i = 0; i < source[id].size(); ++i)
    high = high || source[id][i]->read();
  return high;
}

/// The gateways: a source that is high becomes pending, unless its last interrupt is still in
/// service.
void Plic::sample() {
  for (unsigned id = 1; id < sources; ++id)
    if (!in_service_[id] && level(id)) pending_[id] = true;
  changed_.notify(sc_core::SC_ZERO_TIME);
}

void Plic::drive_irqs() {
  for (unsigned i = 0; i < contexts; ++i)
    irq[i].write(best(contexts_[i]) != 0);
}

} // namespace virtio::platform

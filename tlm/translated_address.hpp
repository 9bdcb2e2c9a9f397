// TranslatedAddress: for the duration of a forwarded call a transaction carries the target's
// address; when the call returns, the initiator's is back (IEEE 1666, 14.7 wants it so).
#pragma once

#include <tlm>

#include <cstdint>

namespace virtio::tlm2 {

class TranslatedAddress {
public:
  TranslatedAddress(tlm::tlm_generic_payload& transaction, std::uint64_t address)
      : transaction_(transaction), original_(transaction.get_address()) {
    transaction.set_address(address);
  }
  ~TranslatedAddress() { transaction_.set_address(original_); }
  TranslatedAddress(const TranslatedAddress&) = delete;
  TranslatedAddress& operator=(const TranslatedAddress&) = delete;

private:
  tlm::tlm_generic_payload& transaction_;
  std::uint64_t original_;
};

} // namespace virtio::tlm2

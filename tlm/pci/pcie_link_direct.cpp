// PcieLink's way for the DMA port that is connected to it: what AtInitiator and nb_transport do, in
// the same order and at the same times, without payloads and phases.
#include <virtio/tlm/pci/pcie_link.hpp>

#include <stdexcept>
#include <utility>

namespace virtio::tlm2 {

void PcieLink::connect(TlmDmaPort& port) {
  if (direct_port_)
    throw std::invalid_argument("a PCI Express link has one initiator: it is connected already");
  direct_port_ = &port;
  port.bypass_socket(*this);
}

void PcieLink::issue(DmaTransaction& transaction) {
  if (direct_waiting_.empty() && !direct_sending_ && may_send_direct()) {
    send_direct(transaction);
    return;
  }
  direct_waiting_.push(transaction);
  send_direct();
}

bool PcieLink::may_send_direct() const {
  return direct_in_flight_ < direct_port_->limit_of_outstanding() && !direct_unaccepted_ &&
         !direct_acceptance_.queued();
}

void PcieLink::send_direct() {
  if (std::exchange(direct_sending_, true)) return; // whoever is sending goes on
  while (!direct_waiting_.empty()) {
    DmaTransaction& transaction = direct_waiting_.front();
    if (const auto answer = direct_port_->withdrawn(transaction)) {
      direct_waiting_.pop();
      direct_port_->answer(transaction, *answer);
      continue;
    }
    if (!may_send_direct()) break;
    direct_waiting_.pop();
    send_direct(transaction);
  }
  direct_sending_ = false;
}

void PcieLink::send_direct(DmaTransaction& t) {
  const SimTime now = executor_.now();
  if (t.write && !mapped(raw(t.addr), t.len)) {
    direct_port_->answer(t, DmaStatus::address_error);
    return;
  }
  Flight& flight = new_flight();
  flight.write = t.write;
  flight.addr = raw(t.addr);
  flight.len = t.len;
  flight.access = static_cast<std::size_t>(t.kind);
  flight.queue = t.queue;
  flight.since = now;
  SimTime accepted;
  if (t.write) {
    flight.data.swap(t.buffer);
    accepted = send_write(flight, now);
    if (accepted <= now) {
      direct_port_->answer(t, DmaStatus::ok);
      return;
    }
  } else {
    flight.transaction = &t;
    accepted = send_read(flight, now);
  }
  ++direct_in_flight_;
  if (accepted <= now) return;
  direct_unaccepted_ = &t;
  executor_.post_at(direct_acceptance_, accepted);
}

void PcieLink::on_direct_accepted() {
  DmaTransaction* const t = std::exchange(direct_unaccepted_, nullptr);
  if (t && t->write) {
    --direct_in_flight_;
    answer_direct(*t, DmaStatus::ok);
  } else {
    send_direct();
  }
}

void PcieLink::answer_direct(DmaTransaction& transaction, DmaStatus status) {
  direct_port_->answer(transaction, status);
  if (!direct_waiting_.empty()) send_direct();
}

void PcieLink::add_outstanding_to(std::vector<OutstandingRequest>& list) const {
  for (const Flight& flight : flights_)
    if (flight.transaction) list.push_back({flight.transaction, to_sc_time(flight.since)});
  if (direct_unaccepted_ && direct_unaccepted_->write)
    list.push_back({direct_unaccepted_, to_sc_time(executor_.now())});
}

} // namespace virtio::tlm2

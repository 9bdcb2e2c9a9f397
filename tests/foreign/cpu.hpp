// What stands for the CPU and its software: an initiator socket, and a thread that runs a program
// given as a function. The program may wait, as software waits for an interrupt.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <iostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace foreign {

/// Ends the program: what was expected, and is not so.
inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

class Cpu : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(Cpu);

  tlm_utils::simple_initiator_socket<Cpu> socket{"socket"};

  Cpu(sc_core::sc_module_name name, std::function<void()> program)
      : sc_module(name), program_(std::move(program)) {
    SC_THREAD(run);
  }

  bool succeeded() const { return succeeded_; }

  template <std::unsigned_integral T> T read(std::uint64_t address) {
    T value{};
    access(tlm::TLM_READ_COMMAND, address, &value, sizeof value);
    return value;
  }
  template <std::unsigned_integral T> void write(std::uint64_t address, T value) {
    access(tlm::TLM_WRITE_COMMAND, address, &value, sizeof value);
  }
  void read_bytes(std::uint64_t address, std::span<unsigned char> bytes) {
    access(tlm::TLM_READ_COMMAND, address, bytes.data(), bytes.size());
  }
  void write_bytes(std::uint64_t address, std::span<unsigned char> bytes) {
    access(tlm::TLM_WRITE_COMMAND, address, bytes.data(), bytes.size());
  }

private:
  void access(tlm::tlm_command command, std::uint64_t address, void* data, std::size_t length) {
    tlm::tlm_generic_payload request;
    request.set_command(command);
    request.set_address(address);
    request.set_data_ptr(static_cast<unsigned char*>(data));
    request.set_data_length(static_cast<unsigned>(length));
    request.set_streaming_width(static_cast<unsigned>(length));
    request.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay;
    socket->b_transport(request, delay);
    if (delay != sc_core::SC_ZERO_TIME) wait(delay);
    if (!request.is_response_ok()) {
      std::ostringstream what;
      what << "access to 0x" << std::hex << address << ": " << request.get_response_string();
      throw std::runtime_error(what.str());
    }
  }

  void run() {
    try {
      program_();
      succeeded_ = true;
    } catch (const std::exception& error) {
      std::cout << "failed: " << error.what() << std::endl;
    }
    sc_core::sc_stop();
  }

  std::function<void()> program_;
  bool succeeded_ = false;
};

} // namespace foreign

// libsystemc exports a `main` that would win over gtest_main's and run no test: this file brings
// both entry points.
#include <systemc>

#include <gtest/gtest.h>

int sc_main(int, char**) {
  return 0;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  return RUN_ALL_TESTS();
}

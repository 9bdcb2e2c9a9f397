# What every layer shares: warnings, the public include root, and SystemC (which Debian ships without a CMake package).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)

# <virtio/LAYER/...> names the sources themselves, through links, so that headers stand beside their code.
set(VIRTIO_INCLUDE_ROOT ${CMAKE_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${VIRTIO_INCLUDE_ROOT}/virtio)
file(GLOB _folders LIST_DIRECTORIES true ${CMAKE_SOURCE_DIR}/models/*)
foreach(_folder IN LISTS _folders)
  if(IS_DIRECTORY ${_folder})
    get_filename_component(_name ${_folder} NAME)
    file(CREATE_LINK ${_folder} ${VIRTIO_INCLUDE_ROOT}/virtio/${_name} SYMBOLIC)
  endif()
endforeach()
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/tlm ${VIRTIO_INCLUDE_ROOT}/virtio/tlm SYMBOLIC)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/platforms ${VIRTIO_INCLUDE_ROOT}/virtio/platforms SYMBOLIC)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/rtl_bridge ${VIRTIO_INCLUDE_ROOT}/virtio/rtl SYMBOLIC)

function(virtio_tlm_target name)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wpedantic -Werror)
  # g++ 12 with sanitizers takes the vectors inside an optional for uninitialised.
  target_compile_options(${name} PRIVATE $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Asan>>:-Wno-maybe-uninitialized>)
  get_target_property(type ${name} TYPE)
  if(type STREQUAL EXECUTABLE AND CMAKE_BUILD_TYPE STREQUAL Asan AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/asan_main_stack.cpp)
  endif()
endfunction()

function(virtio_tlm_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  add_library(${name} STATIC ${sources})
  string(REPLACE "virtio_tlm_" "" short ${name})
  add_library(virtio-tlm::${short} ALIAS ${name})
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${short})
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${VIRTIO_INCLUDE_ROOT}>)
  virtio_tlm_target(${name})
endfunction()

# SystemC and libpcap come with pkg-config files; the names of their targets are those of virtio-tlm-config.cmake.
pkg_check_modules(VIRTIO_TLM_SYSTEMC REQUIRED IMPORTED_TARGET systemc)
pkg_check_modules(VIRTIO_TLM_PCAP REQUIRED IMPORTED_TARGET libpcap)

# SystemC carries the tag of C++17, so C++20 code must say so or fail to link.
add_library(virtio_tlm_systemc INTERFACE)
set_target_properties(virtio_tlm_systemc PROPERTIES EXPORT_NAME systemc)
target_link_libraries(virtio_tlm_systemc INTERFACE PkgConfig::VIRTIO_TLM_SYSTEMC Threads::Threads)
target_compile_definitions(virtio_tlm_systemc INTERFACE SC_CPLUSPLUS=201703L SC_INCLUDE_DYNAMIC_PROCESSES)

# What `cmake --install` lays down, in two components that are two Debian packages as well:
#   dev      headers, static libraries, the CMake package and an example of its use
#   program  virtio-tlm, and in libexec the executables of its platforms and of co-simulation
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/virtio-tlm)
set(dev_doc_dir ${CMAKE_INSTALL_DATADIR}/doc/libvirtio-tlm-dev)

# --- dev -------------------------------------------------------------------------------------------------------------

# <virtio/core/...>, <virtio/blk/...>, ... and <virtio/tlm/...>, as in the build tree.
foreach(layer IN ITEMS "models/" "tlm")
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/virtio
          COMPONENT dev FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def")
endforeach()

install(TARGETS virtio_tlm_models virtio_tlm_link_timing virtio_tlm_tlm virtio_tlm_systemc EXPORT virtio-tlm-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT virtio-tlm-targets NAMESPACE virtio-tlm:: DESTINATION ${package_dir} COMPONENT dev)

configure_package_config_file(cmake/virtio-tlm-config.cmake.in virtio-tlm-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(virtio-tlm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/virtio-tlm-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/virtio-tlm-config-version.cmake
        DESTINATION ${package_dir} COMPONENT dev)

install(DIRECTORY tests/foreign DESTINATION ${dev_doc_dir}/examples COMPONENT dev
        PATTERN "check-*" EXCLUDE)
install(FILES LICENSE DESTINATION ${dev_doc_dir} RENAME copyright COMPONENT dev)

# --- program ---------------------------------------------------------------------------------------------------------

install(TARGETS virtio-tlm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS virtio-tlm-riscv-virt virtio-tlm-pcie-host RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}
        COMPONENT program)
if(TARGET virtio-tlm-cosim)
  install(TARGETS virtio-tlm-cosim RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR} COMPONENT program)
endif()
install(DIRECTORY platforms/presets DESTINATION ${CMAKE_INSTALL_DATADIR}/virtio-tlm COMPONENT program)
install(FILES cmake/copyright-program DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/virtio-tlm
        RENAME copyright COMPONENT program)

# --- Debian packages: cpack --config build/release/CPackConfig.cmake --------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "virtio-tlm developers <virtio-tlm@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL dev program)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libvirtio-tlm-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_DESCRIPTION "virtio devices for SystemC TLM-2.0: headers and static libraries")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libsystemc-dev, libfmt-dev, libexpected-dev, libpcap-dev, pkg-config")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME virtio-tlm)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION electronics)
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "SystemC platforms with virtio devices, described by a TOML file")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS u-boot-qemu)
include(CPack)

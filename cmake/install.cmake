# What `cmake --install` puts where; `find_package(sam2unet)` finds the library afterwards.
include(CMakePackageConfigHelpers)

# Components are packages (cmake/package.cmake): program, library, development, model, training.
install(TARGETS sam2unet sam2unet_metrics EXPORT sam2unet-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library)
install(TARGETS sam2unet_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(DIRECTORY include/sam2unet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/sam2unet COMPONENT model)
install(EXPORT sam2unet-targets NAMESPACE sam2unet:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sam2unet COMPONENT development)

configure_package_config_file(cmake/sam2unet-config.cmake.in ${PROJECT_BINARY_DIR}/sam2unet-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sam2unet)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sam2unet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sam2unet-config.cmake ${PROJECT_BINARY_DIR}/sam2unet-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sam2unet COMPONENT development)

# Relative to where the file lies, so that an installation may be moved.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
set(pc_prefix "\${pcfiledir}/${pc_to_prefix}")
if(SAM2UNET_DEBIAN_LAYOUT)  # stays where it is, and pkg-config leaves out the system's folders
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
endif()
file(RELATIVE_PATH pc_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
foreach(name sam2unet sam2unet-metrics)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()

# The installed program finds its library beside it, wherever the prefix is.
file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(sam2unet_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
s2u_portable(sam2unet_cli)

# The training component: the program that `sam2unet train` starts, and the library's plug-in. LibTorch stays where it was
# found.
if(SAM2UNET_BUILD_TRAIN)
  set(component sam2unet-train sam2unet_torch)
  if(TARGET sam2unet_torch_cuda)
    list(APPEND component sam2unet_torch_cuda)
  endif()
  # By name: INSTALL_RPATH_USE_LINK_PATH leaves out what lies in the source tree, as build/torch does.
  set_target_properties(${component} PROPERTIES INSTALL_RPATH ${SAM2UNET_TORCH_ROOT}/lib)
  install(TARGETS ${component} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT training LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          COMPONENT training)
  foreach(module sam2unet-nccl sam2unet-step-graph)  # beside the program, which loads them
    if(TARGET ${module})
      set_target_properties(${module} PROPERTIES INSTALL_RPATH ${SAM2UNET_TORCH_ROOT}/lib)
      install(TARGETS ${module} LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT training)
    endif()
  endforeach()
endif()

# Written when the program is built (src/cli/CMakeLists.txt). Debian's zsh looks into vendor-completions.
set(zsh_functions site-functions)
if(SAM2UNET_DEBIAN_LAYOUT)
  set(zsh_functions vendor-completions)
endif()
if(SAM2UNET_DEBIAN_LAYOUT)
  install(CODE "execute_process(COMMAND gzip -9nk -f \"${PROJECT_BINARY_DIR}/sam2unet.1\" COMMAND_ERROR_IS_FATAL ANY)" COMPONENT program)
  install(FILES ${PROJECT_BINARY_DIR}/sam2unet.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
else()
  install(FILES ${PROJECT_BINARY_DIR}/sam2unet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
endif()
install(FILES ${PROJECT_BINARY_DIR}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sam2unet COMPONENT program)
install(FILES ${PROJECT_BINARY_DIR}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_functions} RENAME _sam2unet COMPONENT program)
install(FILES ${PROJECT_BINARY_DIR}/completion.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME sam2unet.fish COMPONENT program)

# `cmake --build BUILD --target uninstall` takes away what the last `cmake --install BUILD` put.
add_custom_target(uninstall
  COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
  COMMENT "Removing what was installed" VERBATIM)

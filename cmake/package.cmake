# `cpack -G DEB` (scripts/package.sh): sam2unet, libsam2unet0.2, libsam2unet-dev and sam2unet-model-t, from a build with
# -DSAM2UNET_DEBIAN_LAYOUT=ON -DCMAKE_INSTALL_PREFIX=/usr. The training component is not packaged, since Debian has no LibTorch of
# its version.
set(CPACK_PACKAGE_NAME sam2unet)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own, the first line of its description
set(CPACK_PACKAGE_VENDOR "sam2unet")
set(CPACK_PACKAGE_CONTACT "sam2unet maintainers <sam2unet@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL program library development model)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})

function(s2u_package component name section description)
  string(TOUPPER ${component} C)
  set(CPACK_DEBIAN_${C}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${C}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_COMPONENT_${C}_DESCRIPTION "${description}" PARENT_SCOPE)
endfunction()

get_target_property(abi sam2unet SOVERSION)
set(library_package libsam2unet${abi})
s2u_package(program sam2unet science "pictures segmented with SAM2-UNet
Finds camouflaged, salient, marine, mirror and polyp objects in pictures with
the network SAM2-UNet, evaluates maps with the measures that papers report,
checks data sets, and converts weight files. Needs neither Python nor a GPU.")
s2u_package(library ${library_package} libs "SAM2-UNet, shared libraries
The network SAM2-UNet with its readers of pictures and of weight files, and
the metrics of segmentation in a library of their own, in C and C++.")
s2u_package(development libsam2unet-dev libdevel "SAM2-UNet, development files
Headers, CMake and pkg-config files of the SAM2-UNet libraries, in C and C++.")
s2u_package(model sam2unet-model-t science "SAM2-UNet, the default model
Weights with the Hiera-T trunk for salient objects, trained on DUTS-TR. That
data set is distributed for research; use these weights for research.")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "sam2unet-model-t")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS "sam2unet-model-t")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_MODEL_PACKAGE_ARCHITECTURE all)

if(SAM2UNET_DEBIAN_LAYOUT)
  # What Debian's policy wants of every package: where it is from, and what changed.
  set(dir ${PROJECT_BINARY_DIR}/debian)
  file(WRITE ${dir}/triggers "activate-noawait ldconfig\n")
  file(WRITE ${dir}/shlibs "")
  foreach(library libsam2unet libsam2unet_metrics)
    file(APPEND ${dir}/shlibs "${library} ${abi} ${library_package} (= ${PROJECT_VERSION})\n")
  endforeach()
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${dir}/triggers ${dir}/shlibs)
  # CPack writes scripts that call ldconfig too, and has no switch for it: harmless beside the trigger.
  file(WRITE ${dir}/overrides "# CPack's own scripts; the trigger does the same.\n${library_package}: maintscript-calls-ldconfig\n")
  install(FILES ${dir}/overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME ${library_package} COMPONENT library)
  foreach(pair program:sam2unet library:${library_package} development:libsam2unet-dev model:sam2unet-model-t)
    string(REGEX MATCH "^[^:]*" component ${pair})
    string(REGEX REPLACE "^[^:]*:" "" package ${pair})
    file(WRITE ${dir}/${package}/changelog "sam2unet (${PROJECT_VERSION}) unstable; urgency=medium\n\n  * Release; see CHANGELOG.md of the sources.\n\n -- ${CPACK_PACKAGE_CONTACT}  Thu, 01 Jan 2026 00:00:00 +0000\n")
    execute_process(COMMAND gzip -9nf ${dir}/${package}/changelog COMMAND_ERROR_IS_FATAL ANY)
    install(FILES ${dir}/${package}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
    install(FILES cmake/debian/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  endforeach()
endif()
include(CPack)

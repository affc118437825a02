# One folder, one target. `s2u_layer(NAME SOURCES...)` makes the static library s2u_NAME of a folder under src/;
# what it may link is the direction in which data flows (docs/architecture.md).

add_library(s2u_options INTERFACE)
target_include_directories(s2u_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                 ${PROJECT_BINARY_DIR}/generated)
# `{.precision = f16}` leaves the other members at their defaults on purpose. GCC 12 warns of overlapping copies inside its
# own std::string (its bug 105329). What nvcc makes of CUDA files is not for these eyes.
set(s2u_warnings -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor $<$<BOOL:${SAM2UNET_WERROR}>:-Werror>
                 -Wno-missing-field-initializers
                 $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
target_compile_options(s2u_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${s2u_warnings}>")
# The numbers are the reference's to the last bit in places (Pillow, metrics): no contraction behind our back.
# Kernels that want fused multiply-add ask for it by name.
target_compile_options(s2u_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # Kernels keep vectors in arrays, which those of unknown length cannot be in: NEON everywhere.
  target_compile_definitions(s2u_options INTERFACE "HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)")
endif()
if(SAM2UNET_SANITIZE)
  target_compile_options(s2u_options INTERFACE -fsanitize=${SAM2UNET_SANITIZE} -fno-omit-frame-pointer
                                               -fno-sanitize-recover=all)
  target_link_options(s2u_options INTERFACE -fsanitize=${SAM2UNET_SANITIZE})
endif()
if(SAM2UNET_BUILD_FUZZ)
  target_compile_options(s2u_options INTERFACE -fsanitize=fuzzer-no-link)  # coverage for libFuzzer
endif()

function(s2u_layer name)
  add_library(s2u_${name} STATIC ${ARGN})
  target_link_libraries(s2u_${name} PUBLIC s2u_options)
endfunction()

# For the wheel: what a library or program needs lies beside it, and what that needs too, hence RPATH and not RUNPATH. Not
# linked statically: Debian 12's libstdc++.a and libgcc_eh.a ask for GLIBC_2.36, its shared ones are what manylinux takes.
function(s2u_portable target)
  if(SAM2UNET_PORTABLE)
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN;$ORIGIN/../lib")
    target_link_options(${target} PRIVATE LINKER:--disable-new-dtags)
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/portable/condition_variable.cpp)
  endif()
endfunction()

# `s2u_test(NAME SOURCES... [LINK targets...])`: a GoogleTest program whose cases are CTest tests.
function(s2u_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE s2u_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE
    S2U_SOURCE_DIR="${PROJECT_SOURCE_DIR}" S2U_BINARY_DIR="${PROJECT_BINARY_DIR}"
    S2U_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  # Tests share the cores with each other: OpenMP's threads must sleep at a barrier, not spin on a neighbour's core.
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES
                       PROPERTIES TIMEOUT 600 ENVIRONMENT OMP_WAIT_POLICY=PASSIVE)
endfunction()

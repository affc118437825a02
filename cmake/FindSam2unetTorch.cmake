# LibTorch as the target Sam2unetTorch::torch, from (in this order) CMAKE_PREFIX_PATH, build/torch
# (scripts/torch.sh), an installed Python torch. PyTorch's own CMake package demands the CUDA toolkit even
# where only libtorch_cpu is linked; this one demands headers and two libraries. Nothing of it is cached, so that a
# configured tree follows CMAKE_PREFIX_PATH.
#
# Where libtorch_cuda and the wheels nvidia-cuda-runtime (headers, libcudart) and nvidia-cuda-crt (headers that those
# include) are there, Sam2unetTorch::cuda is a target too: what is linked with it loads only where all that PyTorch
# needs on a GPU is installed.

# A prefix is LibTorch itself, a site-packages folder, or what torch.utils.cmake_prefix_path says.
set(_roots)
foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
  list(APPEND _roots ${prefix} ${prefix}/torch ${prefix}/../..)
endforeach()
string(REPLACE ":" ";" _environment "$ENV{CMAKE_PREFIX_PATH}")
foreach(prefix IN LISTS _environment)
  list(APPEND _roots ${prefix} ${prefix}/torch ${prefix}/../..)
endforeach()
list(APPEND _roots ${PROJECT_SOURCE_DIR}/build/torch/torch)
unset(SAM2UNET_TORCH_ROOT CACHE)
unset(SAM2UNET_TORCH_ROOT)
find_path(SAM2UNET_TORCH_ROOT include/ATen/ATen.h PATHS ${_roots} NO_DEFAULT_PATH NO_CACHE)
if(NOT SAM2UNET_TORCH_ROOT)
  execute_process(COMMAND python3 -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
                  OUTPUT_VARIABLE _installed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(_installed)
    find_path(SAM2UNET_TORCH_ROOT include/ATen/ATen.h PATHS ${_installed} NO_DEFAULT_PATH NO_CACHE)
  endif()
endif()
if(SAM2UNET_TORCH_ROOT)
  get_filename_component(SAM2UNET_TORCH_ROOT ${SAM2UNET_TORCH_ROOT} REALPATH)
endif()
set(_libraries ${SAM2UNET_TORCH_ROOT}/lib)
foreach(name cpu cuda)
  string(TOUPPER ${name} NAME)
  unset(SAM2UNET_TORCH_${NAME})
  find_library(SAM2UNET_TORCH_${NAME} torch_${name} PATHS ${_libraries} NO_DEFAULT_PATH NO_CACHE)
endforeach()
foreach(name c10 c10_cuda)
  string(TOUPPER ${name} NAME)
  unset(SAM2UNET_TORCH_${NAME})
  find_library(SAM2UNET_TORCH_${NAME} ${name} PATHS ${_libraries} NO_DEFAULT_PATH NO_CACHE)
endforeach()

# "2.15.0+cu132": a wheel says it in version.py, the zip in build-version.
set(_version "")
foreach(file version.py build-version)
  if(EXISTS ${SAM2UNET_TORCH_ROOT}/${file} AND NOT _version)
    file(STRINGS ${SAM2UNET_TORCH_ROOT}/${file} _lines REGEX "^(__version__ = ')?[0-9]+\\.[0-9]+")
    string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" _version "${_lines}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Sam2unetTorch
  REQUIRED_VARS SAM2UNET_TORCH_ROOT SAM2UNET_TORCH_CPU SAM2UNET_TORCH_C10 VERSION_VAR _version
  REASON_FAILURE_MESSAGE "run scripts/torch.sh, or name a LibTorch of 2.11 or newer by CMAKE_PREFIX_PATH")
if(Sam2unetTorch_FOUND AND NOT TARGET Sam2unetTorch::torch)
  message(STATUS "LibTorch ${_version}: ${SAM2UNET_TORCH_ROOT}")
  add_library(Sam2unetTorch::torch INTERFACE IMPORTED)
  # Behind the system's folders: the wheel brings headers of its own copy of {fmt}, which is not exported.
  target_compile_options(Sam2unetTorch::torch INTERFACE "SHELL:-idirafter \"${SAM2UNET_TORCH_ROOT}/include\"")
  target_compile_definitions(Sam2unetTorch::torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
  # Its libraries are built with NDEBUG, and classes of its headers have members and checks more without it.
  target_compile_definitions(Sam2unetTorch::torch INTERFACE $<$<NOT:$<CONFIG:Release>>:NDEBUG>)
  target_link_libraries(Sam2unetTorch::torch INTERFACE ${SAM2UNET_TORCH_CPU} ${SAM2UNET_TORCH_C10})
  get_filename_component(_packages ${SAM2UNET_TORCH_ROOT}/.. REALPATH)
  file(GLOB _cuda_headers ${_packages}/nvidia/*/include/cuda_runtime_api.h)
  file(GLOB _cuda_runtime ${_packages}/nvidia/*/lib/libcudart.so.*)
  unset(_crt)
  if(_cuda_headers)
    list(GET _cuda_headers 0 _include)
    get_filename_component(_include ${_include} DIRECTORY)
    find_path(_crt crt/host_config.h PATHS ${_include} ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES} NO_DEFAULT_PATH NO_CACHE)
  endif()
  if(NOT SAM2UNET_TORCH_CUDA OR NOT SAM2UNET_TORCH_C10_CUDA OR NOT _cuda_runtime OR NOT _crt)
    message(STATUS "LibTorch without what CUDA graphs and NCCL are compiled with: left out")
  else()
    add_library(Sam2unetTorch::cuda INTERFACE IMPORTED)
    target_include_directories(Sam2unetTorch::cuda SYSTEM INTERFACE ${_include})
    # The libraries that libtorch_cuda itself links (cuDNN, NCCL) need not be on the machine that builds.
    target_link_options(Sam2unetTorch::cuda INTERFACE LINKER:--unresolved-symbols=ignore-in-shared-libs)
    target_link_libraries(Sam2unetTorch::cuda INTERFACE Sam2unetTorch::torch ${SAM2UNET_TORCH_CUDA}
                                                        ${SAM2UNET_TORCH_C10_CUDA} ${_cuda_runtime})
  endif()
endif()

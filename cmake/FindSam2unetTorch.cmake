# LibTorch as the target Sam2unetTorch::torch, from (in this order) CMAKE_PREFIX_PATH, build/torch
# (scripts/torch.sh), an installed Python torch. PyTorch's own CMake package demands the CUDA toolkit even
# where only libtorch_cpu is linked; this one demands headers and two libraries.
set(_roots)
foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
  list(APPEND _roots ${prefix} ${prefix}/torch)
endforeach()
list(APPEND _roots ${PROJECT_SOURCE_DIR}/build/torch/torch)
find_path(SAM2UNET_TORCH_ROOT include/ATen/ATen.h PATHS ${_roots} NO_DEFAULT_PATH)
if(NOT SAM2UNET_TORCH_ROOT)
  execute_process(COMMAND python3 -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
                  OUTPUT_VARIABLE _installed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_path(SAM2UNET_TORCH_ROOT include/ATen/ATen.h PATHS ${_installed} NO_DEFAULT_PATH)
endif()
find_library(SAM2UNET_TORCH_CPU torch_cpu PATHS ${SAM2UNET_TORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(SAM2UNET_TORCH_C10 c10 PATHS ${SAM2UNET_TORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(SAM2UNET_TORCH_CUDA torch_cuda PATHS ${SAM2UNET_TORCH_ROOT}/lib NO_DEFAULT_PATH)
mark_as_advanced(SAM2UNET_TORCH_ROOT SAM2UNET_TORCH_CPU SAM2UNET_TORCH_C10 SAM2UNET_TORCH_CUDA)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Sam2unetTorch
  REQUIRED_VARS SAM2UNET_TORCH_ROOT SAM2UNET_TORCH_CPU SAM2UNET_TORCH_C10
  REASON_FAILURE_MESSAGE "run scripts/torch.sh, or name a LibTorch by CMAKE_PREFIX_PATH")
if(Sam2unetTorch_FOUND AND NOT TARGET Sam2unetTorch::torch)
  add_library(Sam2unetTorch::torch INTERFACE IMPORTED)
  # Behind the system's folders: the wheel brings headers of its own copy of {fmt}, which is not exported.
  target_compile_options(Sam2unetTorch::torch INTERFACE "SHELL:-idirafter ${SAM2UNET_TORCH_ROOT}/include")
  target_compile_definitions(Sam2unetTorch::torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
  target_link_libraries(Sam2unetTorch::torch INTERFACE ${SAM2UNET_TORCH_CPU} ${SAM2UNET_TORCH_C10})
  # libtorch_cuda is opened at run time where its own libraries are installed.
  target_compile_definitions(Sam2unetTorch::torch INTERFACE
    SAM2UNET_TORCH_CUDA_LIBRARY="$<IF:$<BOOL:${SAM2UNET_TORCH_CUDA}>,${SAM2UNET_TORCH_CUDA},>")
endif()

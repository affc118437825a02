set(work ${BUILD}/install_test)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGN}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

# The record of a real installation from this build, if there is one, is not ours to lose.
set(manifest ${BUILD}/install_manifest.txt)
if(EXISTS ${manifest})
  file(COPY_FILE ${manifest} ${work}.manifest)
endif()
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
file(RENAME ${manifest} ${work}/manifest)
if(EXISTS ${work}.manifest)
  file(RENAME ${work}.manifest ${manifest})
endif()
run(${CMAKE_COMMAND} -G "${GENERATOR}" -S ${SOURCE}/examples -B ${work}/build -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_CXX_FLAGS=${FLAGS} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/segment ${SOURCE}/samples/cat.jpg ${work}/cat.png)
if(NOT output MATCHES "^451x300, [0-9.]+ % foreground" OR NOT EXISTS ${work}/cat.png)
  message(FATAL_ERROR "the example printed: ${output}")
endif()

# So does the C one, compiled as a C programmer does it, by pkg-config, from an installation that was moved.
file(RENAME ${work}/prefix ${work}/moved)
file(GLOB pc ${work}/moved/lib/pkgconfig ${work}/moved/lib/*/pkgconfig ${work}/moved/lib64/pkgconfig)
file(GLOB libraries ${work}/moved/lib/libsam2unet.so ${work}/moved/lib/*/libsam2unet.so ${work}/moved/lib64/libsam2unet.so)
get_filename_component(lib "${libraries}" DIRECTORY)
run(sh -c "PKG_CONFIG_PATH=${pc} && export PKG_CONFIG_PATH && cc -std=c99 -Wall -Wextra -pedantic -Werror ${FLAGS} ${SOURCE}/examples/segment_c.c -o ${work}/segment_c $(pkg-config --cflags --libs sam2unet) -Wl,-rpath,${lib}")
run(${work}/segment_c ${SOURCE}/samples/cat.jpg ${work}/cat_c.png)
if(NOT output MATCHES "^451x300, [0-9.]+ % foreground")
  message(FATAL_ERROR "the C example printed: ${output}")
endif()
run(${CMAKE_COMMAND} -E compare_files ${work}/cat.png ${work}/cat_c.png)
file(RENAME ${work}/moved ${work}/prefix)

# The installed program runs from its prefix, and brings its manual page.
run(${work}/prefix/bin/sam2unet --version)
foreach(file man/man1/sam2unet.1 bash-completion/completions/sam2unet zsh/site-functions/_sam2unet
        fish/vendor_completions.d/sam2unet.fish doc/sam2unet/LICENSE sam2unet/models/README.md)
  if(NOT EXISTS ${work}/prefix/share/${file})
    message(FATAL_ERROR "share/${file} was not installed")
  endif()
endforeach()

# So does the training component, where it was built: its program and its plug-in are found from the prefix.
if(TRAIN)
  run(${work}/prefix/bin/sam2unet train --help)
  run(${work}/prefix/bin/sam2unet predict ${SOURCE}/samples/cat.jpg -o ${work}/torch --device torch-cpu)
  if(NOT EXISTS ${work}/torch/cat.png)
    message(FATAL_ERROR "the installed plug-in wrote nothing: ${output}")
  endif()
endif()

# Nothing but the interface shows: every defined dynamic symbol is in our namespace or begins with s2u_.
execute_process(COMMAND sh -c "nm -DC --defined-only ${work}/prefix/lib*/libsam2unet.so ${work}/prefix/lib/*/libsam2unet.so 2>/dev/null | grep -E ' [A-Z] ' | grep -vE ' (sam2unet::|(typeinfo|vtable|typeinfo name) for sam2unet::|s2u_)' | head -5"
                OUTPUT_VARIABLE leaked)
if(NOT leaked STREQUAL "" AND FLAGS STREQUAL "")
  message(FATAL_ERROR "symbols outside the interface are visible:\n${leaked}")
endif()

# And all of it goes again; what is not ours stays.
file(WRITE ${work}/prefix/share/man/man1/other.1 "")
run(${CMAKE_COMMAND} -DMANIFEST=${work}/manifest -P ${SOURCE}/cmake/uninstall.cmake)
file(GLOB_RECURSE left LIST_DIRECTORIES false RELATIVE ${work}/prefix ${work}/prefix/*)
if(NOT left STREQUAL "share/man/man1/other.1")
  message(FATAL_ERROR "left after uninstalling: ${left}")
endif()
if(EXISTS ${work}/prefix/share/sam2unet OR EXISTS ${work}/prefix/include/sam2unet OR EXISTS ${work}/prefix/share/doc/sam2unet)
  message(FATAL_ERROR "empty folders of ours are left after uninstalling")
endif()

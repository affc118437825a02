set(work ${BUILD}/install_test)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGN}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
run(${CMAKE_COMMAND} -G "${GENERATOR}" -S ${SOURCE}/examples -B ${work}/build -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_CXX_FLAGS=${FLAGS} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/segment ${SOURCE}/samples/cat.jpg ${work}/cat.png)
if(NOT output MATCHES "^451x300, [0-9.]+ % foreground" OR NOT EXISTS ${work}/cat.png)
  message(FATAL_ERROR "the example printed: ${output}")
endif()

# The installed program runs from its prefix, and brings its manual page.
run(${work}/prefix/bin/sam2unet --version)
file(GLOB manual ${work}/prefix/share/man/man1/sam2unet.1)
if(NOT manual)
  message(FATAL_ERROR "no manual page was installed")
endif()

# So does the training component, where it was built: its program and its plug-in are found from the prefix.
if(TRAIN)
  run(${work}/prefix/bin/sam2unet train --help)
  run(${work}/prefix/bin/sam2unet predict ${SOURCE}/samples/cat.jpg -o ${work}/torch --device torch-cpu)
  if(NOT EXISTS ${work}/torch/cat.png)
    message(FATAL_ERROR "the installed plug-in wrote nothing: ${output}")
  endif()
endif()

# Nothing but the interface shows: every defined dynamic symbol is in our namespace.
execute_process(COMMAND sh -c "nm -DC --defined-only ${work}/prefix/lib*/libsam2unet.so ${work}/prefix/lib/*/libsam2unet.so 2>/dev/null | grep -E ' [TWV] ' | grep -vE ' (sam2unet::|(typeinfo|vtable|typeinfo name) for sam2unet::|std::|(typeinfo|vtable|typeinfo name) for std::)' | head -5"
                OUTPUT_VARIABLE leaked)
if(NOT leaked STREQUAL "")
  message(FATAL_ERROR "symbols outside the interface are visible:\n${leaked}")
endif()

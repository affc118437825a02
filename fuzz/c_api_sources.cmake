# What the fuzz target of the C API is made of; the test that replays its corpus too.
set(S2U_C_API_SOURCES capi/status.cpp capi/guard.cpp capi/planes.cpp capi/pair.cpp capi/scores.cpp api/c/handles.cpp api/c/image.cpp
    api/c/outlines.cpp api/c/tensors.cpp)
list(TRANSFORM S2U_C_API_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/)

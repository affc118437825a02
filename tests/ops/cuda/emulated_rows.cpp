#include "ops/cuda/rows.cu"

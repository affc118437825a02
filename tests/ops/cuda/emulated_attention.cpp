#include "ops/cuda/attention.cu"

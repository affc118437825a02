#include "ops/cuda/product.cu"

// libFuzzer target: the .npz reader (zip, deflate, .npy headers) on any bytes. What it accepts must be readable to the
// last byte.
#include "rondo/TensorFile.h"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const rondo::Result<rondo::NamedBuffers> tensors = rondo::readNpz(std::as_bytes(std::span(data, size)));
  if (!tensors) {
    if (tensors.error().message().empty())
      std::abort();
    return 0;
  }
  volatile uint8_t sum = 0;
  for (const auto &[name, buffer] : *tensors)
    for (size_t i = 0; i < buffer.bytes(); ++i)
      sum = sum + buffer.as<uint8_t>()[i];
  return 0;
}

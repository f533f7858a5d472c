// libFuzzer target: the reader of artifacts on any bytes. Where they begin as an artifact, their hash is made right first, or no damage would ever
// get past it. What is accepted can be written, read and written again with the same bytes, and gives a kernel or an error.
#include "rondo/Artifact.h"
#include "rondo/Kernel.h"
#include <cstring>
#define XXH_INLINE_ALL
#include <xxhash.h>

static std::string withHash(std::string bytes) {
  constexpr size_t header = 40, hashAt = 24;
  if (bytes.size() < header || bytes.compare(0, 8, "RONDOART") != 0)
    return bytes;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data() + header, bytes.size() - header));
  std::memcpy(bytes.data() + hashAt, canonical.digest, sizeof canonical.digest);
  return bytes;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string bytes = withHash(std::string(reinterpret_cast<const char *>(data), size));
  const rondo::Result<rondo::Artifact> artifact = rondo::Artifact::fromBytes(bytes);
  if (!artifact) {
    if (artifact.error().message().empty())
      std::abort();
    return 0;
  }
  const std::string written = artifact->toBytes();
  const rondo::Result<rondo::Artifact> again = rondo::Artifact::fromBytes(written);
  if (!again || again->toBytes() != written)
    std::abort();
  for (const rondo::CallSizes sizes : {rondo::CallSizes{1, 1}, rondo::CallSizes{16, 4096}})
    if (const auto kernel = artifact->loadOnHost(sizes); !kernel && kernel.error().message().empty())
      std::abort();
  for (const char *device : {"cpu", "cuda:sm_80", "cuda:sm_90"})
    if (const auto variant = artifact->choose(device, {16, 4096}); !variant && variant.error().message().empty())
      std::abort();
  return 0;
}

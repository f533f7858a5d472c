// See MachineCode.h.
#include "compiler/Driver/MachineCode.h"
#include "compiler/Target/CUDA/Assembler.h"
#include "rondo/Artifact.h"

using namespace rondo;

std::string driver::assembleImage(std::string_view target, std::string_view texts) {
  const std::shared_ptr<const DeviceImage> image = splitImage(target, texts);
  std::vector<std::string> cubins, all = {image->code};
  all.insert(all.end(), image->more.begin(), image->more.end());
  for (const std::string &ptx : all) {
    auto assembled = cuda::assemble(ptx, image->architecture);
    if (!assembled) {
      llvm::consumeError(assembled.takeError());
      return "";
    }
    cubins.push_back(std::move(assembled->cubin));
  }
  return packCubins(cubins);
}

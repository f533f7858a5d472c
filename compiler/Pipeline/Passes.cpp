// Pass registration. See Passes.h.
#include "compiler/Pipeline/Passes.h"
#include "compiler/Differentiate/Passes.h"
#include "compiler/Target/CPU/Passes.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/CUDA/TilePasses.h"
#include "compiler/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

void rondo::registerPasses() {
  registerRondoTransformsPasses();
  registerRondoDifferentiatePasses();
  cpu::registerRondoTargetCPUPasses();
  cuda::registerRondoTargetCUDAPasses();
  cuda::registerRondoTargetCUDATilesPasses();
  cuda::registerTilePipelines();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
}
